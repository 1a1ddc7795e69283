// One client attached to its nodes: registered memory, the rings it shares with TypeScript, and the doorbell.
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

namespace fusee {

struct SessionOptions {
  std::vector<std::string> regions;
  uint64_t localBytes;
  uint32_t queueCapacity;
  uint64_t rttNs;
  uint64_t rpcTimeoutNs;
  bool prefault;
};

// The words that session and TypeScript share, ahead of the two rings of batch offsets.
struct Control {
  uint32_t submitted;  // entries of the submission ring; the doorbell takes them all and sets 0
  uint32_t completed;  // entries of the completion ring; set anew by each doorbell
  double nowNs;
  uint32_t crcOffset;
  uint32_t crcBytes;
  uint32_t crcSeed;
  uint32_t crcResult;
  uint32_t unused[8];
  uint32_t* submissions() { return reinterpret_cast<uint32_t*>(this + 1); }
};
static_assert(sizeof(Control) == 64);

// Registered memory outlives close(): TypeScript may hold its buffers and call the doorbell for as long as it
// likes, so everything that can reach a session shares its ownership, and a closed doorbell does nothing.
class Session {
 public:
  static std::shared_ptr<Session> open(const SessionOptions& options, Failure& failure);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Executes what was submitted, moves RPCs and held batches on, fills the completion ring. Never blocks.
  void doorbell();
  void stampNow() { control()->nowNs = static_cast<double>(fusee::nowNs()); }
  void checksum();
  // Attaches to another region in place of node `mn`'s, which is let go: another process has that node's
  // place now. Only while nothing is posted. On failure everything is as before.
  bool reattach(uint32_t mn, const std::string& name, Failure& failure);
  // Detaches from the nodes and stops the watcher.
  void close();
  bool isClosed() const { return isClosed_; }

  uint8_t* local() const { return local_; }
  uint64_t localBytes() const { return options_.localBytes; }
  Control* control() const { return reinterpret_cast<Control*>(local_ + options_.localBytes); }
  uint64_t controlBytes() const { return sizeof(Control) + uint64_t{options_.queueCapacity} * 8; }
  const std::vector<std::shared_ptr<Region>>& regions() const { return regions_; }
  // For batches in registered memory, with RPC, or for a recording that ends at `end`.
  Executor executor() {
    const uint8_t* end = local_ + options_.localBytes;
    return {local_, options_.localBytes, targets_.data(), targetCount_, &rpc_, end, true};
  }
  Executor executor(const uint8_t* end) {
    return {local_, options_.localBytes, targets_.data(), targetCount_, nullptr, end, false};
  }

 private:
  struct Held {
    uint32_t offset;
    uint64_t dueNs;
  };
  Session(const SessionOptions& options, uint8_t* local);
  bool attach(Failure& failure);
  bool watch(Failure& failure);
  bool isBatch(uint32_t offset) const;
  void complete(uint32_t offset, uint64_t now);
  void hold(uint32_t offset, uint64_t dueNs);
  void releaseHeld(uint64_t now);
  void pushCompletion(uint32_t offset);

  SessionOptions options_;
  uint8_t* local_;
  RpcClient rpc_;
  std::vector<std::shared_ptr<Region>> regions_;
  std::vector<Target> targets_;
  uint32_t targetCount_ = 0;
  std::vector<Held> held_;  // a ring, by due time
  uint32_t heldFirst_ = 0;
  uint32_t heldCount_ = 0;
  DeathWatcher watcher_;
  bool isClosed_ = false;
};

}  // namespace fusee
