#include "verbs_device.h"

#include <arpa/inet.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace fusee {
namespace {

std::string textOf(const ibv_gid& gid) {
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(AF_INET6, gid.raw, text, sizeof text) == nullptr ? "?" : text;
}

// An IPv4 address in a GID: what RoCE v2 puts there.
bool isIpv4(const ibv_gid& gid) {
  static constexpr uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(gid.raw, prefix, sizeof prefix) == 0;
}

std::vector<ibv_gid_entry> gidsOf(ibv_context* context, uint32_t port) {
  std::vector<ibv_gid_entry> all(1024);
  const ssize_t count = ibv_query_gid_table(context, all.data(), all.size(), 0);
  all.resize(count < 0 ? 0 : static_cast<size_t>(count));
  all.erase(std::remove_if(all.begin(), all.end(), [port](const auto& g) { return g.port_num != port; }),
            all.end());
  return all;
}

std::string describeGids(ibv_context* context, uint32_t port) {
  std::string text;
  for (const ibv_gid_entry& entry : gidsOf(context, port)) {
    text += (text.empty() ? "" : ", ") + std::to_string(entry.gid_index) + " " + textOf(entry.gid);
  }
  return text.empty() ? "none" : text;
}

struct DeviceList {
  int count = 0;
  ibv_device** all = ibv_get_device_list(&count);
  ~DeviceList() {
    if (all != nullptr) ibv_free_device_list(all);
  }
};

std::string memlockText() {
  rlimit limit;
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return "unknown";
  return limit.rlim_cur == RLIM_INFINITY ? "unlimited" : std::to_string(limit.rlim_cur) + " bytes";
}

}  // namespace

std::string describeDevices() {
  const DeviceList list;
  std::string text;
  for (int i = 0; i < list.count; i++) {
    ibv_context* context = ibv_open_device(list.all[i]);
    if (context == nullptr) continue;
    ibv_device_attr limits;
    if (ibv_query_device(context, &limits) == 0) {
      for (uint32_t port = 1; port <= limits.phys_port_cnt; port++) {
        ibv_port_attr state;
        if (ibv_query_port(context, static_cast<uint8_t>(port), &state) != 0) continue;
        text += (text.empty() ? "" : "; ") + std::string(ibv_get_device_name(list.all[i])) + " port " +
                std::to_string(port) + " (" + ibv_port_state_str(state.state) + "; GIDs " +
                describeGids(context, port) + ")";
      }
    }
    ibv_close_device(context);
  }
  return text.empty() ? "none" : text;
}

std::shared_ptr<Device> Device::open(const DeviceChoice& choice, Failure& failure) {
  const DeviceList list;
  if (list.count == 0) {
    failure.fabric("there is no RDMA device on this host: install a NIC's driver, or make one of soft-RoCE "
                   "(rdma link add rxe0 type rxe netdev eth0)");
    return nullptr;
  }
  for (int i = 0; i < list.count; i++) {
    if (!choice.device.empty() && choice.device != ibv_get_device_name(list.all[i])) continue;
    std::shared_ptr<Device> device(new Device);
    device->context = ibv_open_device(list.all[i]);
    if (device->context == nullptr) {
      failure.system(std::string("RDMA device ") + ibv_get_device_name(list.all[i]) + " cannot be opened");
      return nullptr;
    }
    device->ownsContext_ = true;
    if (device->examine(choice, failure)) return device;
    // Without a wish any other device will do.
    if (!choice.device.empty()) return nullptr;
  }
  if (!choice.device.empty())
    failure.usage("there is no RDMA device " + choice.device + "; there are: " + describeDevices());
  return nullptr;
}

std::shared_ptr<Device> Device::of(ibv_context* context, const DeviceChoice& choice, Failure& failure) {
  std::shared_ptr<Device> device(new Device);
  device->context = context;
  return device->examine(choice, failure) ? device : nullptr;
}

Device::~Device() {
  if (domain != nullptr) ibv_dealloc_pd(domain);
  if (ownsContext_ && context != nullptr) ibv_close_device(context);
}

bool Device::examine(const DeviceChoice& choice, Failure& failure) {
  if (ibv_query_device(context, &limits) != 0) {
    failure.system("RDMA device " + name() + " cannot be examined");
    return false;
  }
  if (limits.atomic_cap == IBV_ATOMIC_NONE) {
    failure.fabric("RDMA device " + name() + " has no atomics (CAS and FAA), which the store is built on: use "
                   "a NIC that has them; there are: " + describeDevices());
    return false;
  }
  if (!choosePort(choice, failure) || !chooseGid(choice, failure)) return false;
  domain = ibv_alloc_pd(context);
  if (domain == nullptr) failure.system("no protection domain on RDMA device " + name());
  return domain != nullptr;
}

bool Device::choosePort(const DeviceChoice& choice, Failure& failure) {
  const int first = choice.port < 0 ? 1 : choice.port;
  const int last = choice.port < 0 ? limits.phys_port_cnt : choice.port;
  for (int p = first; p <= last; p++) {
    if (p < 1 || p > limits.phys_port_cnt) break;
    if (ibv_query_port(context, static_cast<uint8_t>(p), &portState) != 0) continue;
    if (portState.state != IBV_PORT_ACTIVE) continue;
    port = static_cast<uint8_t>(p);
    return true;
  }
  std::string message = "RDMA device " + name() + " has no active port";
  if (choice.port >= 0) message.append(" ").append(std::to_string(choice.port));
  failure.usage(message + "; there are: " + describeDevices());
  return false;
}

bool Device::chooseGid(const DeviceChoice& choice, Failure& failure) {
  const bool isEthernet = portState.link_layer == IBV_LINK_LAYER_ETHERNET;
  const std::vector<ibv_gid_entry> gids = gidsOf(context, port);
  const ibv_gid_entry* found = nullptr;
  for (const ibv_gid_entry& entry : gids) {
    if (choice.gidIndex >= 0 ? entry.gid_index == static_cast<uint32_t>(choice.gidIndex)
                             : isEthernet && entry.gid_type == IBV_GID_TYPE_ROCE_V2 && isIpv4(entry.gid)) {
      found = &entry;
      break;
    }
  }
  if (found == nullptr && choice.gidIndex >= 0) {
    failure.usage("RDMA device " + name() + " port " + std::to_string(port) + " has no GID " +
                  std::to_string(choice.gidIndex) + "; it has: " + describeGids(context, port));
    return false;
  }
  if (found == nullptr && isEthernet && !gids.empty()) found = &gids[0];
  hasGid = found != nullptr;
  if (hasGid) {
    gid = found->gid;
    gidIndex = static_cast<uint8_t>(found->gid_index);
  }
  return true;
}

ibv_mr* Device::registerMemory(void* at, uint64_t bytes, int access, Failure& failure) {
  ibv_mr* region = ibv_reg_mr(domain, at, bytes, access);
  if (region != nullptr) return region;
  const int error = errno;
  const std::string what = std::to_string(bytes) + " bytes cannot be registered with RDMA device " + name();
  if (error == ENOMEM) {
    failure.fabric(what + ": the limit of locked memory is " + memlockText() +
                   "; raise it (`ulimit -l unlimited`, or memlock in /etc/security/limits.conf) and start again");
  } else {
    failure.system(what, error);
  }
  return nullptr;
}

QpAddress Device::addressOf(const ibv_qp* qp, uint32_t firstPacket) const {
  QpAddress address{};
  address.number = qp->qp_num;
  address.firstPacket = firstPacket;
  address.lid = portState.lid;
  address.mtu = portState.active_mtu;
  address.readsTaken = static_cast<uint8_t>(std::clamp(limits.max_qp_rd_atom, 1, 128));
  address.hasGid = hasGid;
  std::memcpy(address.gid, gid.raw, sizeof address.gid);
  return address;
}

ibv_qp* makeQp(const Device& device, ibv_cq* cq, rdma_cm_id* id, QpShape& shape, Failure& failure) {
  const auto most = static_cast<uint32_t>(std::max(device.limits.max_qp_wr, 1));
  shape.sends = std::min(shape.sends, most);
  shape.receives = std::min(shape.receives, most);
  // Nothing tells the most inline data of a device: it refuses what is too much.
  for (uint32_t inlineBytes = shape.inlineBytes;; inlineBytes /= 2) {
    ibv_qp_init_attr wanted{};
    wanted.send_cq = cq;
    wanted.recv_cq = cq;
    wanted.cap = {shape.sends, shape.receives, 1, 1, inlineBytes};
    wanted.qp_type = IBV_QPT_RC;
    ibv_qp* qp = nullptr;
    if (id == nullptr) qp = ibv_create_qp(device.domain, &wanted);
    else if (rdma_create_qp(id, device.domain, &wanted) == 0) qp = id->qp;
    if (qp != nullptr) {
      shape.inlineBytes = wanted.cap.max_inline_data;
      return qp;
    }
    if (inlineBytes > 0) continue;
    failure.system("no queue pair of " + std::to_string(shape.sends) + " work requests on RDMA device " +
                   device.name());
    return nullptr;
  }
}

bool startQp(const Device& device, ibv_qp* qp, const QpAddress& own, const QpAddress& peer,
             Failure& failure) {
  ibv_qp_attr init{};
  init.qp_state = IBV_QPS_INIT;
  init.port_num = device.port;
  init.qp_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC;
  int error = ibv_modify_qp(
      qp, &init, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
  ibv_qp_attr receive{};
  receive.qp_state = IBV_QPS_RTR;
  receive.path_mtu = static_cast<ibv_mtu>(std::min(own.mtu, peer.mtu));
  receive.dest_qp_num = peer.number;
  receive.rq_psn = peer.firstPacket;
  receive.max_dest_rd_atomic = own.readsTaken;
  receive.min_rnr_timer = 12;
  receive.ah_attr.dlid = peer.lid;
  receive.ah_attr.port_num = device.port;
  if (own.hasGid && peer.hasGid) {
    receive.ah_attr.is_global = 1;
    std::memcpy(receive.ah_attr.grh.dgid.raw, peer.gid, sizeof peer.gid);
    receive.ah_attr.grh.sgid_index = device.gidIndex;
    receive.ah_attr.grh.hop_limit = 64;
  }
  if (error == 0) {
    error = ibv_modify_qp(qp, &receive,
                          IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                              IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
  }
  ibv_qp_attr send{};
  send.qp_state = IBV_QPS_RTS;
  send.timeout = device.ackTimeout();
  send.retry_cnt = device.retries();
  send.rnr_retry = kReceiverRetries;
  send.sq_psn = own.firstPacket;
  send.max_rd_atomic = static_cast<uint8_t>(
      std::min<int>(std::clamp(device.limits.max_qp_init_rd_atom, 1, 128), peer.readsTaken));
  if (error == 0) {
    error = ibv_modify_qp(qp, &send,
                          IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
                              IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
  }
  if (error != 0) failure.system("the queue pair on RDMA device " + device.name() + " cannot be started", error);
  return error == 0;
}

}  // namespace fusee
