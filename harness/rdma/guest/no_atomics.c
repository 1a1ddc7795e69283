// Stands in front of libibverbs (LD_PRELOAD), so that every RDMA device says that it has no atomics: soft-RoCE
// always has them, and what becomes of a NIC without must be seen. Linked with libibverbs, or there would be no
// next one to ask.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <infiniband/verbs.h>

int ibv_query_device(struct ibv_context* context, struct ibv_device_attr* limits) {
  int (*ask)(struct ibv_context*, struct ibv_device_attr*);
  *(void**)&ask = dlsym(RTLD_NEXT, "ibv_query_device");
  const int error = ask(context, limits);
  limits->atomic_cap = IBV_ATOMIC_NONE;
  return error;
}
