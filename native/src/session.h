// One client attached to its nodes over shared memory.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "executor.h"
#include "failure.h"
#include "process.h"
#include "region.h"
#include "rpc_client.h"
#include "session_core.h"
#include "toucher.h"

namespace fusee {

struct SessionOptions {
  std::vector<std::string> regions;
  uint64_t localBytes;
  uint32_t queueCapacity;
  uint64_t rttNs;
  uint64_t rpcTimeoutNs;
  bool prefault;
};

class Session final : public SessionCore {
 public:
  static std::shared_ptr<Session> open(const SessionOptions& options, Failure& failure);
  ~Session() override;

  // Executes what was submitted at once, moves RPCs and held batches on.
  void doorbell() override;
  // Attaches to another region in place of node `mn`'s, which is let go: another process has that node's
  // place now. Only while nothing is posted. On failure everything is as before.
  bool reattach(uint32_t mn, const std::string& name, Failure& failure);
  // Has all regions looked at ahead of use, those of later processes too.
  bool touchAhead(Failure& failure) {
    touchesAhead_ = true;
    return toucher_.start(regions_, failure);
  }
  // Detaches from the nodes and stops its threads.
  void close() override;
  std::vector<uint64_t> memoryBytes() const override;
  // Some node's atomics are its NIC's: a processor's on the same words would lose updates.
  bool meetsNic() const;
  // Processes that had sessions at these nodes, all of whose threads have ended without closing them.
  std::vector<ProcessToken> endedProcesses() const;
  // A node's process has been silent for too long, be it that it lives: verbs to it FAIL, everybody's.
  void fence(uint32_t mn) {
    if (mn < regions_.size()) regions_[mn]->fence();
  }

  // For batches in registered memory, with RPC, or for a recording that ends at `end`.
  Executor executor() {
    const uint8_t* end = local() + localBytes();
    return {local(), localBytes(), targets_.data(), targetCount_, &rpc_, end, true};
  }
  Executor executor(const uint8_t* end) {
    return {local(), localBytes(), targets_.data(), targetCount_, nullptr, end, false};
  }

 private:
  Session(const SessionOptions& options, uint8_t* local)
      : SessionCore(local, options.localBytes, options.queueCapacity, options.rttNs),
        rpc_(local, options.rpcTimeoutNs) {}
  bool attach(const SessionOptions& options, Failure& failure);
  bool watch(Failure& failure);
  Life& life(uint32_t mn) { return regions_[mn]->header()->lives[rpc_.group(mn)]; }

  RpcClient rpc_;
  std::vector<std::shared_ptr<Region>> regions_;
  std::vector<Target> targets_;
  // By MN: this thread's life there is held by this session.
  std::vector<bool> holdsLife_;
  uint32_t targetCount_ = 0;
  DeathWatcher watcher_;
  Toucher toucher_;
  bool touchesAhead_ = false;
  bool prefault_ = false;
  bool isClosed_ = false;
};

}  // namespace fusee
