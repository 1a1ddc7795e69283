// The client's connection to one memory node: set up over TCP, which proves the secret both ways, then a
// queue pair by exchange or by rdma_cm. Control path: calls block, each for some seconds at most.
#pragma once
#include <memory>
#include <string>

#include "verbs_device.h"
#include "verbs_wire.h"

namespace fusee {

struct VerbsLinkOptions {
  std::string host;
  uint16_t port;
  std::string secret;
  uint64_t client;
  VerbsMode mode;
};

class VerbsLink {
 public:
  explicit VerbsLink(const VerbsLinkOptions& options);
  ~VerbsLink();
  VerbsLink(const VerbsLink&) = delete;
  VerbsLink& operator=(const VerbsLink&) = delete;

  // Resolves the node's address by rdma_cm, which tells the device. Null with the failure.
  ibv_context* resolve(Failure& failure);
  // Proves, and connects a queue pair whose completions go to `cq`. RECVs are the caller's: prepareReceives
  // is called when the queue pair can take them, before the node can send.
  template <typename Receives>
  bool connect(const Device& device, ibv_cq* cq, QpShape& shape, Receives&& prepareReceives,
               Failure& failure) {
    if (!openSocket(failure) || !makeQueuePair(device, cq, shape, failure)) return false;
    if (!prepareReceives(qp)) {
      failure.system("no RECV can be posted to memory node " + where_);
      return false;
    }
    return prove(device, failure) && start(device, failure);
  }
  // The end of the queue pair: whatever is posted completes in error.
  void breakOff();

  int socket() const { return socket_; }
  const std::string& where() const { return where_; }

  ibv_qp* qp = nullptr;
  uint64_t remote = 0;
  uint64_t memoryBytes = 0;
  uint32_t remoteKey = 0;

 private:
  bool openSocket(Failure& failure);
  bool makeQueuePair(const Device& device, ibv_cq* cq, QpShape& shape, Failure& failure);
  bool prove(const Device& device, Failure& failure);
  bool start(const Device& device, Failure& failure);
  bool establish(const Device& device, Failure& failure);
  bool receiveWhole(void* into, size_t bytes, Failure& failure);

  VerbsLinkOptions options_;
  std::string where_;
  int socket_ = -1;
  rdma_cm_id* id_ = nullptr;
  VerbsHello hello_{};
  VerbsAccept accept_{};
};

}  // namespace fusee
