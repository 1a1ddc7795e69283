// The memory node as a server: one thread that executes the verbs of all connections. The node's JavaScript
// is asked for calls only, and told what happened.
#pragma once
#include <pthread.h>

#include <atomic>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "tcp_peer.h"
#include "tcp_socket.h"

namespace fusee {

struct TcpServerOptions {
  std::string address;  // host:port to listen at
  std::vector<uint8_t> secret;
  // How long the thread looks for more after it had something to do, before it sleeps: a core for a shorter
  // way.
  uint64_t busyPollNs;
};

class TcpServer {
 public:
  explicit TcpServer(std::shared_ptr<Region> region) : node_{std::move(region), {}, 0} {}
  ~TcpServer() { stop(); }
  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;

  // `log` is called on the server's thread, with what an operator may want to know: a line each.
  bool start(TcpServerOptions options, std::function<void(std::string)> log, Failure& failure);
  // Closes all connections; nothing executes any more.
  void stop();
  uint16_t port() const { return port_; }
  // The node's CPU has answered a call.
  void answered();

 private:
  struct Connection {
    OwnedFd fd;
    std::string name;
    uint64_t startNs;
    uint32_t events = 0;  // that epoll looks for
    bool wasProven = false;
    TcpPeer peer;
    Connection(OwnedFd socket, std::string from, uint64_t now, const TcpNode& node)
        : fd(std::move(socket)), name(std::move(from)), startNs(now), peer(node) {}
  };
  using Connections = std::unordered_map<int, std::unique_ptr<Connection>>;

  static void* run(void* self);
  void loop();
  int waitMs() const;
  void acceptAll();
  void serve(Connection& connection, uint32_t events);
  bool receive(Connection& connection);
  bool advance(Connection& connection);
  bool flush(Connection& connection);
  void listenFor(Connection& connection);
  void close(int fd, const std::string& reason);
  void fence(ClientKey key);
  void settleFences();
  bool resume(Connection& connection);
  void remember(const TcpPeer& peer);
  void takeAnswers();
  void dropSlow(uint64_t now);
  bool watch(int operation, int fd, uint32_t events);

  TcpNode node_;
  TcpServerOptions options_;
  std::function<void(std::string)> log_;
  OwnedFd listener_;
  OwnedFd epoll_;
  OwnedFd wake_;
  uint16_t port_ = 0;
  Connections connections_;
  // Closed, but the node's CPU serves a call of theirs yet.
  std::vector<std::unique_ptr<Connection>> leaving_;
  std::vector<int> fencers_;
  // What connections that have ended came to, should another one follow.
  struct Former {
    ClientKey client;
    uint64_t name;
    TcpExecuted executed;
    uint64_t endNs;
  };
  std::deque<Former> former_;
  std::unordered_set<ClientKey> fenced_;
  std::deque<ClientKey> fencedOrder_;
  uint32_t unproven_ = 0;
  uint64_t pausedUntilNs_ = 0;  // accepts nobody before: there are too many files open
  std::atomic<uint32_t> calling_{0};
  std::atomic<bool> isStopping_{false};
  pthread_t thread_{};
  bool isRunning_ = false;
};

}  // namespace fusee
