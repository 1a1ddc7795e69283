#include "verbs_link.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "clock.h"
#include "found_host.h"

namespace fusee {
namespace {

constexpr int kConnectMs = 5000;

// Whether the socket is ready within kConnectMs; a signal that this process takes is no end of the wait.
bool isReady(int socket, short events) {
  const uint64_t deadlineNs = nowNs() + uint64_t{kConnectMs} * 1'000'000;
  for (;;) {
    const uint64_t now = nowNs();
    const int leftMs = now >= deadlineNs ? 0 : static_cast<int>((deadlineNs - now) / 1'000'000 + 1);
    pollfd one{socket, events, 0};
    const int ready = poll(&one, 1, leftMs);
    if (ready >= 0 || errno != EINTR) return ready == 1;
  }
}

bool resolveHost(const std::string& host, uint16_t port, FoundHost& address, Failure& failure) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &address.found);
  if (error == 0) return true;
  failure.usage("there is no host " + host + ": " + gai_strerror(error));
  return false;
}

}  // namespace

VerbsLink::VerbsLink(const VerbsLinkOptions& options)
    : options_(options), where_(options.host + ":" + std::to_string(options.port)) {}

VerbsLink::~VerbsLink() {
  if (id_ != nullptr) {
    if (qp != nullptr) rdma_destroy_qp(id_);
    rdma_destroy_id(id_);
  } else if (qp != nullptr) {
    ibv_destroy_qp(qp);
  }
  if (socket_ >= 0) close(socket_);
}

ibv_context* VerbsLink::resolve(Failure& failure) {
  FoundHost address;
  if (!resolveHost(options_.host, options_.port, address, failure)) return nullptr;
  // Without a channel of events every call waits for its own.
  const bool isThere = rdma_create_id(nullptr, &id_, nullptr, RDMA_PS_TCP) == 0 &&
                       rdma_resolve_addr(id_, nullptr, address.found->ai_addr, kConnectMs) == 0 &&
                       rdma_resolve_route(id_, kConnectMs) == 0 && id_->verbs != nullptr;
  if (isThere) return id_->verbs;
  failure.system("rdma_cm finds no way to memory node " + where_ +
                 " (without IP over the RDMA network, connect by exchange)");
  return nullptr;
}

bool VerbsLink::openSocket(Failure& failure) {
  FoundHost address;
  if (!resolveHost(options_.host, options_.port, address, failure)) return false;
  const addrinfo& first = *address.found;
  socket_ = ::socket(first.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int error = socket_ < 0 || ::connect(socket_, first.ai_addr, first.ai_addrlen) != 0 ? errno : 0;
  if (error == EINPROGRESS) {
    socklen_t length = sizeof error;
    if (!isReady(socket_, POLLOUT)) error = ETIMEDOUT;
    else getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &length);
  }
  if (error != 0) {
    failure.system("memory node " + where_ + " cannot be reached", error);
    return false;
  }
  const int yes = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  return true;
}

bool VerbsLink::receiveWhole(void* into, size_t bytes, Failure& failure) {
  for (size_t done = 0; done < bytes;) {
    if (!isReady(socket_, POLLIN)) {
      failure.fabric("memory node " + where_ + " does not answer");
      return false;
    }
    const ssize_t count = recv(socket_, static_cast<uint8_t*>(into) + done, bytes - done, 0);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count <= 0) {
      failure.fabric("memory node " + where_ + " has closed the connection");
      return false;
    }
    done += static_cast<size_t>(count);
  }
  return true;
}

bool VerbsLink::makeQueuePair(const Device& device, ibv_cq* cq, QpShape& shape, Failure& failure) {
  if (id_ != nullptr && id_->verbs != device.context) {
    failure.usage("memory node " + where_ + " is reached over RDMA device " +
                  ibv_get_device_name(id_->verbs->device) + ", others over " + device.name() +
                  ": a client uses one device for all its nodes");
    return false;
  }
  qp = makeQp(device, cq, id_, shape, failure);
  if (qp == nullptr || id_ != nullptr) return qp != nullptr;
  ibv_qp_attr init{};
  init.qp_state = IBV_QPS_INIT;
  init.port_num = device.port;
  if (ibv_modify_qp(qp, &init, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS) == 0)
    return true;
  failure.system("the queue pair to memory node " + where_ + " cannot be set up");
  return false;
}

bool VerbsLink::prove(const Device& device, Failure& failure) {
  VerbsChallenge challenge;
  if (!receiveWhole(&challenge, sizeof challenge, failure)) return false;
  if (challenge.magic != kVerbsMagic || challenge.version != kVerbsVersion) {
    failure.fabric("at " + where_ + " no memory node of this version listens: run the same version everywhere");
    return false;
  }
  hello_ = {};
  hello_.magic = kVerbsMagic;
  hello_.version = kVerbsVersion;
  hello_.mode = options_.mode;
  hello_.client = options_.client;
  if (getrandom(hello_.nonce, sizeof hello_.nonce, 0) != sizeof hello_.nonce) {
    failure.system("no random numbers");
    return false;
  }
  if (options_.mode == kExchange) hello_.address = device.addressOf(qp, qp->qp_num & 0xffff);
  const Digest own = verbsProof(options_.secret, "client", challenge, hello_.nonce, hello_);
  std::memcpy(hello_.proof, own.data(), own.size());
  if (send(socket_, &hello_, sizeof hello_, MSG_NOSIGNAL) != sizeof hello_) {
    failure.system("memory node " + where_ + " takes no proof");
    return false;
  }
  if (!receiveWhole(&accept_, sizeof accept_, failure)) return false;
  const Digest expected = verbsProof(options_.secret, "node", challenge, hello_.nonce, accept_);
  if (!isEqualDigest(expected.data(), accept_.proof)) {
    failure.usage(std::string("memory node ") + where_ + (accept_.isRefused != 0
                  ? " refuses this client: its secret is another one"
                  : " does not know the pool's secret") + "; give the file with the pool's secret");
    return false;
  }
  accept_.text[kVerbsTextBytes - 1] = 0;
  if (accept_.isRefused != 0) {
    failure.fabric("memory node " + where_ + " refuses this client: " + accept_.text);
    return false;
  }
  remote = accept_.remote;
  remoteKey = accept_.remoteKey;
  memoryBytes = accept_.memoryBytes;
  return true;
}

bool VerbsLink::start(const Device& device, Failure& failure) {
  if (options_.mode == kConnectionManager) return establish(device, failure);
  return startQp(device, qp, hello_.address, accept_.address, failure);
}

bool VerbsLink::establish(const Device& device, Failure& failure) {
  uint8_t timeout = device.ackTimeout();
  rdma_set_option(id_, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT, &timeout, sizeof timeout);
  rdma_conn_param parameters{};
  parameters.private_data = accept_.token;
  parameters.private_data_len = kVerbsTokenBytes;
  parameters.responder_resources = RDMA_MAX_RESP_RES;
  parameters.initiator_depth = RDMA_MAX_INIT_DEPTH;
  parameters.retry_count = device.retries();
  parameters.rnr_retry_count = kReceiverRetries;
  if (rdma_connect(id_, &parameters) == 0) return true;
  failure.system("rdma_cm cannot connect to memory node " + where_);
  return false;
}

void VerbsLink::breakOff() {
  if (qp == nullptr) return;
  ibv_qp_attr error{};
  error.qp_state = IBV_QPS_ERR;
  ibv_modify_qp(qp, &error, IBV_QP_STATE);
}

}  // namespace fusee
