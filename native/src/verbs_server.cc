#include "verbs_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "clock.h"
#include "found_host.h"

namespace fusee {
namespace {

constexpr size_t kPeersMax = 512;
constexpr size_t kUnprovenMax = 64;
constexpr uint64_t kProofNs = 3'000'000'000;
constexpr size_t kFencedMax = 4096;
constexpr size_t kReasonsMax = 64;

void setNonBlocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

}  // namespace

std::unique_ptr<VerbsServer> VerbsServer::start(const VerbsServerOptions& options, Failure& failure) {
  std::unique_ptr<VerbsServer> server(new VerbsServer);
  if (!server->open(options, failure)) return nullptr;
  const int error = pthread_create(&server->thread_, nullptr, run, server.get());
  if (error != 0) {
    failure.system("no thread for the verbs service", error);
    return nullptr;
  }
  server->isRunning_ = true;
  return server;
}

bool VerbsServer::open(const VerbsServerOptions& options, Failure& failure) {
  node_.secret = options.secret;
  node_.region = Region::inspect(options.region, failure);
  if (node_.region == nullptr) return false;
  if (!listenOn(options, failure)) return false;
  listenForCm(options);
  node_.device = cmListener_ != nullptr ? Device::of(cmListener_->verbs, options.choice, failure)
                                        : Device::open(options.choice, failure);
  if (node_.device == nullptr) return false;
  // All of it, so that every offset of the fabric is one of the key's.
  node_.memory = node_.device->registerMemory(
      node_.region->memory(), node_.region->memoryBytes(),
      IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC,
      failure);
  if (node_.memory == nullptr) return false;
  __atomic_store_n(&node_.region->header()->atomicsByNic, 1, __ATOMIC_SEQ_CST);
  node_.channel = ibv_create_comp_channel(node_.device->context);
  stop_ = eventfd(0, EFD_CLOEXEC);
  if (node_.channel == nullptr || stop_ < 0) {
    failure.system("no channel for completions");
    return false;
  }
  setNonBlocking(node_.channel->fd);
  setNonBlocking(node_.device->context->async_fd);
  return true;
}

bool VerbsServer::listenOn(const VerbsServerOptions& options, Failure& failure) {
  const std::string where = options.host + ":" + std::to_string(options.port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  FoundHost address;
  const int error = getaddrinfo(options.host.c_str(), std::to_string(options.port).c_str(), &hints,
                                &address.found);
  if (error != 0) {
    failure.usage("the node cannot listen on " + where + ": " + gai_strerror(error));
    return false;
  }
  const addrinfo& first = *address.found;
  listener_ = socket(first.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int yes = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (listener_ < 0 || bind(listener_, first.ai_addr, first.ai_addrlen) != 0 || listen(listener_, 64) != 0) {
    failure.system("the node cannot listen on " + where);
    return false;
  }
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &length);
  port_ = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port
                                            : reinterpret_cast<sockaddr_in&>(bound).sin_port);
  return true;
}

// Its ports are none of TCP's: the same number is taken in both, so that clients need no other to resolve.
// rdma_cm is there where the host's address belongs to an RDMA device that was not ruled out. Without it queue
// pairs are still connected by an exchange.
void VerbsServer::listenForCm(const VerbsServerOptions& options) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  FoundHost address;
  const std::string port = std::to_string(port_);
  if (getaddrinfo(options.host.c_str(), port.c_str(), &hints, &address.found) != 0) return;
  cmChannel_ = rdma_create_event_channel();
  if (cmChannel_ == nullptr) return;
  const std::string& wanted = options.choice.device;
  const bool isThere =
      rdma_create_id(cmChannel_, &cmListener_, nullptr, RDMA_PS_TCP) == 0 &&
      rdma_bind_addr(cmListener_, address.found->ai_addr) == 0 && cmListener_->verbs != nullptr &&
      (wanted.empty() || wanted == ibv_get_device_name(cmListener_->verbs->device)) &&
      rdma_listen(cmListener_, 64) == 0;
  if (isThere) {
    setNonBlocking(cmChannel_->fd);
    node_.hasCm = true;
    return;
  }
  if (cmListener_ != nullptr) rdma_destroy_id(cmListener_);
  cmListener_ = nullptr;
}

VerbsServer::~VerbsServer() {
  if (isRunning_) {
    const uint64_t one = 1;
    if (write(stop_, &one, sizeof one) == sizeof one) pthread_join(thread_, nullptr);
  }
  peers_.clear();
  ending_.clear();
  if (listener_ >= 0) close(listener_);
  if (stop_ >= 0) close(stop_);
  if (node_.channel != nullptr) ibv_destroy_comp_channel(node_.channel);
  if (node_.memory != nullptr) ibv_dereg_mr(node_.memory);
  node_.device.reset();
  if (cmListener_ != nullptr) rdma_destroy_id(cmListener_);
  if (cmChannel_ != nullptr) rdma_destroy_event_channel(cmChannel_);
}

std::vector<std::string> VerbsServer::takeReasons() {
  const std::lock_guard lock(mutex_);
  return std::exchange(reasons_, {});
}

void* VerbsServer::run(void* self) {
  auto* server = static_cast<VerbsServer*>(self);
  pthread_setname_np(pthread_self(), "fusee-verbs");
  while (server->waitForEvents() == 0) server->turn();
  return nullptr;
}

// Answers of the node's CPU come without an event: while some are awaited, looks are short.
int VerbsServer::waitForEvents() {
  std::vector<pollfd> fds = {{stop_, POLLIN, 0},
                             {listener_, POLLIN, 0},
                             {node_.channel->fd, POLLIN, 0},
                             {node_.device->context->async_fd, POLLIN, 0}};
  if (cmListener_ != nullptr) fds.push_back({cmChannel_->fd, POLLIN, 0});
  bool isCalling = !ending_.empty();
  for (const auto& peer : peers_) {
    fds.push_back({peer->socket(), POLLIN, 0});
    isCalling |= peer->isCalling();
  }
  const timespec wait{isCalling ? 0 : 1, isCalling ? 50'000 : 0};
  ppoll(fds.data(), fds.size(), &wait, nullptr);
  return fds[0].revents & POLLIN;
}

void VerbsServer::turn() {
  acceptPeer();
  if (cmListener_ != nullptr) cmEvent();
  completions();
  asyncEvent();
  for (size_t i = peers_.size(); i-- > 0;) {
    if (!peers_[i]->readable() || !peers_[i]->answer()) drop(i);
  }
  closeOld();
  fences();
}

void VerbsServer::acceptPeer() {
  const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (socket < 0) return;
  size_t unproven = 0;
  for (const auto& peer : peers_) unproven += peer->isProven() ? 0 : 1;
  if (unproven >= kUnprovenMax || peers_.size() >= kPeersMax) {
    close(socket);
    return;
  }
  // Half-open connections end, and with them their queue pairs.
  const int yes = 1, idleSeconds = 10, tries = 3;
  setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idleSeconds, sizeof idleSeconds);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &idleSeconds, sizeof idleSeconds);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
  peers_.push_back(std::make_unique<VerbsPeer>(node_, socket));
}

void VerbsServer::cmEvent() {
  rdma_cm_event* event;
  if (rdma_get_cm_event(cmChannel_, &event) != 0) return;
  rdma_cm_id* id = event->id;
  const auto kind = event->event;
  uint8_t token[kVerbsTokenBytes] = {};
  const bool hasToken = event->param.conn.private_data_len >= kVerbsTokenBytes;
  if (hasToken) std::memcpy(token, event->param.conn.private_data, sizeof token);
  rdma_ack_cm_event(event);
  if (kind == RDMA_CM_EVENT_CONNECT_REQUEST) {
    for (size_t i = 0; i < peers_.size(); i++) {
      if (!hasToken || !peers_[i]->holds(token)) continue;
      if (!peers_[i]->accept(id)) drop(i);
      return;
    }
    rdma_reject(id, nullptr, 0);
    rdma_destroy_id(id);
    return;
  }
  for (size_t i = 0; i < peers_.size(); i++) {
    const bool isEnd = kind != RDMA_CM_EVENT_ESTABLISHED && peers_[i]->id() == id;
    if (isEnd) drop(i);
    if (isEnd) return;
  }
}

void VerbsServer::completions() {
  ibv_cq* cq;
  void* context;
  while (ibv_get_cq_event(node_.channel, &cq, &context) == 0) {
    ibv_ack_cq_events(cq, 1);
    ibv_req_notify_cq(cq, 0);
    for (size_t i = 0; i < peers_.size(); i++) {
      if (peers_[i].get() != context) continue;
      if (!peers_[i]->completed()) drop(i);
      break;
    }
  }
}

// A device that fails takes its queue pairs along, which clients see; a port that goes down they see by their
// retries. Here it is enough that nothing piles up, and that the node's log has the words.
void VerbsServer::asyncEvent() {
  ibv_async_event event;
  if (ibv_get_async_event(node_.device->context, &event) != 0) return;
  const std::string text = ibv_event_type_str(event.event_type);
  ibv_ack_async_event(&event);
  if (event.event_type == IBV_EVENT_COMM_EST) return;
  const std::lock_guard lock(mutex_);
  if (reasons_.size() < kReasonsMax) reasons_.push_back("RDMA device " + node_.device->name() + ": " + text);
}

void VerbsServer::closeOld() {
  const uint64_t now = nowNs();
  for (size_t i = peers_.size(); i-- > 0;) {
    const auto stage = peers_[i]->stage();
    const bool isLate = stage == VerbsPeer::Stage::kProof || stage == VerbsPeer::Stage::kWaiting;
    if (!isLate || now - peers_[i]->openedNs() <= kProofNs) continue;
    peers_[i]->expire();
    drop(i);
  }
  for (size_t i = ending_.size(); i-- > 0;) {
    if (ending_[i]->fence()) ending_.erase(ending_.begin() + static_cast<ptrdiff_t>(i));
  }
}

// All queue pairs of the named client end, and it is not let in again. The answer waits for a call of it that
// is being served.
void VerbsServer::fences() {
  for (size_t asker = 0; asker < peers_.size(); asker++) {
    const uint64_t wanted = peers_[asker]->wantedFence();
    if (wanted == 0) continue;
    if (std::find(node_.fenced.begin(), node_.fenced.end(), wanted) == node_.fenced.end()) {
      if (node_.fenced.size() >= kFencedMax) node_.fenced.erase(node_.fenced.begin());
      node_.fenced.push_back(wanted);
    }
    bool isOver = true;
    for (const auto& peer : peers_) {
      if (peer->client() == wanted) isOver &= peer->fence();
    }
    for (const auto& peer : ending_) {
      if (peer->client() == wanted) isOver &= peer->fence();
    }
    if (isOver && !peers_[asker]->fenceDone()) drop(asker);
  }
}

void VerbsServer::drop(size_t index) {
  std::unique_ptr<VerbsPeer> peer = std::move(peers_[index]);
  peers_.erase(peers_.begin() + static_cast<ptrdiff_t>(index));
  if (!peer->reason().empty()) {
    const std::lock_guard lock(mutex_);
    if (reasons_.size() < kReasonsMax)
      reasons_.push_back("client " + std::to_string(peer->client()) + ": " + peer->reason());
  }
  // A call of it may be under way at the node's CPU: a fence must know.
  if (!peer->fence()) ending_.push_back(std::move(peer));
}

}  // namespace fusee
