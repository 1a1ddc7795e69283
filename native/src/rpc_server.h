// The node's side of RPC: a thread sleeps on the region's futex and calls back when requests are there; the
// node's own thread then takes and answers them one by one.
#pragma once
#include <pthread.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "region.h"

namespace fusee {

class RpcServer {
 public:
  explicit RpcServer(std::shared_ptr<Region> region) : region_(std::move(region)) {}
  ~RpcServer() { stop(); }
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

  // `wake` is called on the server's thread, and not again before take() found nothing more.
  bool start(std::function<void()> wake, Failure& failure);
  void stop();

  // Claims the next request, in each client's order, and copies it; returns its slot or -1.
  int32_t take(uint8_t* request, uint32_t& bytes);
  // Answers the request of that slot; kRpcRefused bytes say that there is no answer.
  void respond(uint32_t slot, const uint8_t* response, uint32_t bytes);

 private:
  static void* run(void* self);
  bool hasPending() const;
  void collect();

  std::shared_ptr<Region> region_;
  std::function<void()> wake_;
  std::vector<uint32_t> queue_;  // slots collected and not yet taken, the next one last
  pthread_t thread_{};
  bool isRunning_ = false;
  bool isStopping_ = false;
  bool isAwake_ = false;  // the node's thread has been called and has not yet come to the end
};

}  // namespace fusee
