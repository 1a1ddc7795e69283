#include "tcp_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "clock.h"

namespace fusee {
namespace {

constexpr uint64_t kProofNs = 3'000'000'000;
constexpr uint32_t kUnprovenMax = 64;
constexpr uint32_t kConnectionsMax = 1024;
constexpr uint64_t kPauseNs = 100'000'000;
// Keys are drawn anew by every client: one that comes back after so many fences is none of ours.
constexpr size_t kFencedMax = 1 << 16;
constexpr int kEvents = 64;
// So long, and of so many connections that have ended, it is remembered what has executed: clients try for a
// second.
constexpr uint64_t kFormerNs = 10'000'000'000;
constexpr size_t kFormerMax = 256;

std::string nameOf(const sockaddr_storage& from) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (from.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    std::string name = "[";
    return name.append(text).append("]:").append(std::to_string(ntohs(v6.sin6_port)));
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
  inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
  return std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
}

}  // namespace

bool TcpServer::start(TcpServerOptions options, std::function<void(std::string)> log, Failure& failure) {
  options_ = std::move(options);
  log_ = std::move(log);
  node_.secret = options_.secret;
  if (getrandom(&node_.identity, sizeof node_.identity, 0) != sizeof node_.identity) {
    failure.system("no random numbers");
    return false;
  }
  listener_ = listenAt(options_.address, port_, failure);
  if (!listener_.isOpen()) return false;
  epoll_ = OwnedFd(epoll_create1(EPOLL_CLOEXEC));
  wake_ = OwnedFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll_.isOpen() || !wake_.isOpen() || !watch(EPOLL_CTL_ADD, listener_.get(), EPOLLIN) ||
      !watch(EPOLL_CTL_ADD, wake_.get(), EPOLLIN)) {
    failure.system("no epoll for the server");
    return false;
  }
  const int error = pthread_create(&thread_, nullptr, run, this);
  if (error != 0) {
    failure.system("no thread for the server", error);
    return false;
  }
  isRunning_ = true;
  return true;
}

void TcpServer::stop() {
  if (!isRunning_) return;
  isStopping_.store(true);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t wrote = write(wake_.get(), &one, sizeof one);
  pthread_join(thread_, nullptr);
  isRunning_ = false;
  listener_.reset();
  connections_.clear();
  leaving_.clear();
}

void TcpServer::answered() {
  if (calling_.load() == 0) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t wrote = write(wake_.get(), &one, sizeof one);
}

bool TcpServer::watch(int operation, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  return epoll_ctl(epoll_.get(), operation, fd, &event) == 0;
}

void* TcpServer::run(void* self) {
  pthread_setname_np(pthread_self(), "fusee-tcp");
  static_cast<TcpServer*>(self)->loop();
  return nullptr;
}

void TcpServer::loop() {
  epoll_event events[kEvents];
  uint64_t busyUntilNs = 0;
  while (!isStopping_.load()) {
    uint64_t now = nowNs();
    const int count = epoll_wait(epoll_.get(), events, kEvents, now < busyUntilNs ? 0 : waitMs());
    bool isWoken = false;
    for (int i = 0; i < count; i++) {
      const int fd = events[i].data.fd;
      if (fd == listener_.get()) {
        acceptAll();
      } else if (fd == wake_.get()) {
        uint64_t ignored;
        isWoken = read(fd, &ignored, sizeof ignored) > 0;
      } else if (const auto found = connections_.find(fd); found != connections_.end()) {
        serve(*found->second, events[i].events);
      }
    }
    // A call may have been answered between its delivery and this thread's sleep, so each pass looks.
    if (isWoken || calling_.load() > 0) takeAnswers();
    if (!fencers_.empty() || !leaving_.empty()) settleFences();
    now = nowNs();
    if (count > 0 && options_.busyPollNs > 0) busyUntilNs = now + options_.busyPollNs;
    if (unproven_ > 0 || pausedUntilNs_ > 0) dropSlow(now);
  }
}

// Whatever waits for the clock is looked at ten times a second; else the thread sleeps.
int TcpServer::waitMs() const { return unproven_ > 0 || pausedUntilNs_ > 0 ? 100 : -1; }

void TcpServer::acceptAll() {
  for (;;) {
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    auto* at = reinterpret_cast<sockaddr*>(&from);
    OwnedFd fd(accept4(listener_.get(), at, &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.isOpen()) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        log_(std::string("accepts nobody for a while: ") + std::strerror(errno));
        pausedUntilNs_ = nowNs() + kPauseNs;
        watch(EPOLL_CTL_MOD, listener_.get(), 0);
        return;
      }
      if (errno == EAGAIN) return;
      continue;  // that one has gone again
    }
    const std::string name = nameOf(from);
    if (unproven_ >= kUnprovenMax || connections_.size() >= kConnectionsMax) {
      log_("turned " + name + " away: " +
           (unproven_ >= kUnprovenMax ? "too many have yet to prove themselves" : "too many connections"));
      continue;
    }
    tune(fd.get());
    const int number = fd.get();
    auto connection = std::make_unique<Connection>(std::move(fd), name, nowNs(), node_);
    if (!watch(EPOLL_CTL_ADD, number, EPOLLIN)) continue;
    connection->events = EPOLLIN;
    unproven_++;
    Connection& made = *connection;
    connections_[number] = std::move(connection);
    if (!flush(made)) close(number, "it went at once");
  }
}

void TcpServer::serve(Connection& connection, uint32_t events) {
  const int fd = connection.fd.get();
  // An error of the socket shows when it is read.
  const bool isFresh = (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
  if (isFresh && !connection.peer.isBlocked() && !receive(connection)) return;
  if (!advance(connection)) {
    close(fd, connection.peer.reason());
  } else if (isFresh && connection.peer.isBlocked() && (events & (EPOLLERR | EPOLLHUP)) != 0) {
    close(fd, "");  // it will never take what waits for it
  }
}

// Takes in what is there, up to one queue; the rest waits for the next pass. False: closed.
bool TcpServer::receive(Connection& connection) {
  const int fd = connection.fd.get();
  const size_t room = connection.peer.inputRoom();
  if (room == 0) return true;
  const ssize_t got = recv(fd, connection.peer.inputTail(), room, 0);
  if (got > 0) {
    connection.peer.received(static_cast<size_t>(got));
    return true;
  }
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  close(fd, got == 0 ? "" : std::strerror(errno));
  return false;
}

// Executes and sends in turns, as long as that brings something. False: it is to be closed.
bool TcpServer::advance(Connection& connection) {
  TcpPeer& peer = connection.peer;
  for (;;) {
    const bool isGood = peer.process();
    if (peer.isProven() && !connection.wasProven) {
      connection.wasProven = true;
      unproven_--;
      if (fenced_.contains(peer.client())) peer.refuseFenced();
    }
    if (peer.wantedResume() != 0 && resume(connection)) continue;
    const size_t waiting = peer.output().size();
    const bool isSent = flush(connection);
    if (!isGood || !isSent || !peer.reason().empty()) return false;
    if (!peer.isBlocked() || peer.output().size() >= waiting) break;
  }
  if (peer.wantedFence() != 0 &&
      std::find(fencers_.begin(), fencers_.end(), connection.fd.get()) == fencers_.end()) {
    fencers_.push_back(connection.fd.get());
    fence(peer.wantedFence());
  }
  if (peer.isCalling()) calling_.store(1);
  listenFor(connection);
  return true;
}

// Sends what it can. False when the other side is gone.
bool TcpServer::flush(Connection& connection) {
  TcpPeer& peer = connection.peer;
  while (peer.output().size() > 0) {
    const ssize_t put = send(connection.fd.get(), peer.output().head(), peer.output().size(), MSG_NOSIGNAL);
    if (put < 0) return errno == EAGAIN || errno == EINTR;
    peer.sent(static_cast<size_t>(put));
  }
  return true;
}

void TcpServer::listenFor(Connection& connection) {
  const bool isBlocked = connection.peer.isBlocked() || connection.peer.wantedFence() != 0 ||
                         connection.peer.wantedResume() != 0;
  const bool hasOutput = connection.peer.output().size() > 0;
  const uint32_t events = (isBlocked ? 0u : EPOLLIN) | (hasOutput ? EPOLLOUT : 0u);
  if (events == connection.events) return;
  watch(EPOLL_CTL_MOD, connection.fd.get(), events);
  connection.events = events;
}

// An empty reason is the client's own end, which nobody has to hear of.
void TcpServer::close(int fd, const std::string& reason) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  std::unique_ptr<Connection> connection = std::move(found->second);
  connections_.erase(found);
  std::erase(fencers_, fd);
  if (!connection->wasProven) unproven_--;
  if (!reason.empty()) log_("closed the connection of " + connection->name + ": " + reason);
  watch(EPOLL_CTL_DEL, fd, 0);
  connection->fd.reset();
  if (connection->peer.isProven()) remember(connection->peer);
  if (connection->peer.withdraw()) return;
  leaving_.push_back(std::move(connection));
  calling_.store(1);
}

// A client is back whose connection broke: nothing more of the former one executes, and the client hears what
// has. False: the answer has to wait.
bool TcpServer::resume(Connection& connection) {
  const ClientKey client = connection.peer.client();
  const uint64_t name = connection.peer.wantedResume();
  const auto isIt = [&](const auto& one) { return one.client == client && one.name == name; };
  for (const auto& [fd, other] : connections_) {
    if (other.get() == &connection || other->peer.client() != client || other->peer.name() != name) continue;
    close(fd, "its client has connected anew");
    break;
  }
  const auto found = std::find_if(former_.begin(), former_.end(), isIt);
  if (!connection.peer.resumed(found == former_.end() ? nullptr : &found->executed)) return false;
  if (found != former_.end()) {
    log_("the client of " + connection.name + " goes on, whose connection had broken");
    former_.erase(found);
  }
  return true;
}

void TcpServer::remember(const TcpPeer& peer) {
  const uint64_t now = nowNs();
  while (!former_.empty() && (former_.size() >= kFormerMax || now - former_.front().endNs > kFormerNs))
    former_.pop_front();
  former_.push_back({peer.client(), peer.name(), peer.executed(), now});
}

// From here on nothing of that client executes but what the node's CPU is at: fences wait for that.
void TcpServer::fence(ClientKey key) {
  if (fenced_.insert(key).second) fencedOrder_.push_back(key);
  if (fencedOrder_.size() > kFencedMax) {
    fenced_.erase(fencedOrder_.front());
    fencedOrder_.pop_front();
  }
  std::vector<int> its;
  for (const auto& [fd, connection] : connections_) {
    if (connection->peer.client() == key) its.push_back(fd);
  }
  for (const int fd : its) close(fd, "its client has been fenced");
}

void TcpServer::settleFences() {
  std::erase_if(leaving_, [](const auto& connection) { return connection->peer.withdraw(); });
  const std::vector<int> waiting = fencers_;
  for (const int fd : waiting) {
    const auto found = connections_.find(fd);
    if (found == connections_.end()) continue;
    Connection& connection = *found->second;
    const ClientKey key = connection.peer.wantedFence();
    const bool isServed = std::any_of(leaving_.begin(), leaving_.end(),
                                      [key](const auto& other) { return other->peer.client() == key; });
    if (isServed || !connection.peer.fenceDone()) continue;
    std::erase(fencers_, fd);
    if (!advance(connection)) close(fd, connection.peer.reason());
  }
}

void TcpServer::takeAnswers() {
  std::vector<int> ready;
  bool isCalling = !leaving_.empty();
  for (const auto& [fd, connection] : connections_) {
    if (connection->peer.takeAnswers()) ready.push_back(fd);
    isCalling |= connection->peer.isCalling();
  }
  // Only this thread makes calls: when there are none, nobody has an answer to tell of.
  if (!isCalling) calling_.store(0);
  for (const int fd : ready) {
    const auto found = connections_.find(fd);
    if (found != connections_.end() && !advance(*found->second)) close(fd, found->second->peer.reason());
  }
}

void TcpServer::dropSlow(uint64_t now) {
  if (pausedUntilNs_ > 0 && now > pausedUntilNs_) {
    pausedUntilNs_ = 0;
    watch(EPOLL_CTL_MOD, listener_.get(), EPOLLIN);
  }
  std::vector<int> slow;
  for (const auto& [fd, connection] : connections_) {
    if (!connection->wasProven && now - connection->startNs > kProofNs) slow.push_back(fd);
  }
  for (const int fd : slow) close(fd, "it has not proved itself in time");
}

}  // namespace fusee
