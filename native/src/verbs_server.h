// The memory node's side of the verbs fabric: one thread that lets clients in, relays their calls to the node's
// CPU, and destroys queue pairs. One-sided verbs are the NIC's work alone.
#pragma once
#include <pthread.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "verbs_peer.h"

namespace fusee {

struct VerbsServerOptions {
  std::string region;
  std::string host;
  uint16_t port;
  std::string secret;
  DeviceChoice choice;
};

class VerbsServer {
 public:
  static std::unique_ptr<VerbsServer> start(const VerbsServerOptions& options, Failure& failure);
  ~VerbsServer();
  VerbsServer(const VerbsServer&) = delete;
  VerbsServer& operator=(const VerbsServer&) = delete;

  uint16_t port() const { return port_; }
  std::string deviceName() const { return node_.device->name(); }
  bool hasConnectionManager() const { return node_.hasCm; }
  // Why connections were closed that were not simply ended, since the last call.
  std::vector<std::string> takeReasons();

 private:
  VerbsServer() = default;
  bool open(const VerbsServerOptions& options, Failure& failure);
  bool listenOn(const VerbsServerOptions& options, Failure& failure);
  void listenForCm(const VerbsServerOptions& options);
  static void* run(void* self);
  void turn();
  int waitForEvents();
  void acceptPeer();
  void cmEvent();
  void completions();
  void asyncEvent();
  void closeOld();
  void fences();
  void drop(size_t index);

  VerbsNodeState node_;
  uint16_t port_ = 0;
  int listener_ = -1;
  int stop_ = -1;
  rdma_event_channel* cmChannel_ = nullptr;
  rdma_cm_id* cmListener_ = nullptr;
  std::vector<std::unique_ptr<VerbsPeer>> peers_;
  // Fenced while the node's CPU served a call of theirs: kept until that is over.
  std::vector<std::unique_ptr<VerbsPeer>> ending_;
  std::mutex mutex_;
  std::vector<std::string> reasons_;
  pthread_t thread_{};
  bool isRunning_ = false;
};

}  // namespace fusee
