#include "life.h"

#include <linux/futex.h>

#include <cerrno>

#include "region.h"

namespace fusee {

void makeLives(RegionHeader* header) {
  pthread_mutexattr_t kind;
  pthread_mutexattr_init(&kind);
  pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
  for (Life& life : header->lives) pthread_mutex_init(&life.mutex, &kind);
  pthread_mutexattr_destroy(&kind);
}

bool holdLife(Life& life, ProcessToken self) {
  const int error = pthread_mutex_trylock(&life.mutex);
  // Its former holder has ended in its place.
  if (error == EOWNERDEAD) pthread_mutex_consistent(&life.mutex);
  else if (error != 0) return false;
  __atomic_store_n(&life.holder, self, __ATOMIC_SEQ_CST);
  return true;
}

void releaseLife(Life& life) {
  __atomic_store_n(&life.holder, 0, __ATOMIC_SEQ_CST);
  pthread_mutex_unlock(&life.mutex);
}

bool hasEnded(const Life& life, ProcessToken token) {
#if defined(__GLIBC__)
  // The holder first: a mark that is found behind it is of that holder, whose successor names itself later.
  if (__atomic_load_n(&life.holder, __ATOMIC_SEQ_CST) != token) return false;
  return (__atomic_load_n(&life.mutex.__data.__lock, __ATOMIC_SEQ_CST) & FUTEX_OWNER_DIED) != 0;
#else
  return false;
#endif
}

}  // namespace fusee
