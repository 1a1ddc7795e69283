// The data path of the verbs fabric: one client's batches as chains of work requests, one post per node and
// doorbell, one completion per batch and node.
//
// Rules of this file:
// - Verbs to one node go into its queue pair in posting order, batch by batch; while its send queue is full
//   nothing overtakes. Soft-RoCE does not notice an overflow, so what is outstanding is counted here.
// - Only the last work request of a batch in a queue pair is signaled. RC completes in order: its completion
//   is everybody's. A request that fails completes by itself, so those ahead of it are known to be done.
// - A READ or atomic has executed when a later WRITE or SEND of the same batch does, but a NIC may fetch what
//   the READ brings after that WRITE has landed: such a WRITE or SEND is fenced.
// - A queue pair that has failed stays so: its verbs FAIL from then on. What it still completes is dropped.
#pragma once
#include <pthread.h>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "executor.h"
#include "session_core.h"
#include "verbs_device.h"
#include "verbs_link.h"
#include "verbs_watcher.h"
#include "verbs_wire.h"

namespace fusee {

struct VerbsSessionOptions {
  std::vector<VerbsLinkOptions> nodes;  // an empty host stands for a node that is known to be dead
  DeviceChoice choice;
  uint64_t localBytes;
  uint32_t queueCapacity;
  uint64_t rpcTimeoutNs;
};

class VerbsSession {
 public:
  static std::shared_ptr<VerbsSession> open(const VerbsSessionOptions& options, Failure& failure);
  ~VerbsSession();
  VerbsSession(const VerbsSession&) = delete;
  VerbsSession& operator=(const VerbsSession&) = delete;

  // Posts what was submitted, takes what has completed. Never blocks.
  void doorbell();
  void stampNow() { control()->nowNs = static_cast<double>(nowNs()); }
  void checksum();
  void close();

  // Asks every living node to end the queue pairs of `client`; fencesPending() falls to 0 with the answers.
  void fence(uint64_t client);
  uint32_t fencesPending() const;
  // Nodes whose connection ended before they had answered a fence.
  uint32_t fencesLost() const { return fencesLost_; }
  // Why verbs to this node FAIL; empty while they do not.
  std::string reasonOf(uint32_t mn) const;
  // Posts the batch at `offset` again and again, natively; each round trip's time goes to `timesNs`.
  void replay(uint32_t offset, double* timesNs, uint32_t rounds);

  uint8_t* local() const { return local_; }
  uint64_t localBytes() const { return options_.localBytes; }
  Control* control() const { return reinterpret_cast<Control*>(local_ + options_.localBytes); }
  uint64_t controlBytes() const { return sizeof(Control) + uint64_t{options_.queueCapacity} * 8; }
  uint64_t memoryBytes(uint32_t mn) const { return nodes_[mn]->memoryBytes; }
  uint32_t nodeCount() const { return static_cast<uint32_t>(nodes_.size()); }
  std::string deviceName() const { return device_ == nullptr ? "" : device_->name(); }

 private:
  // In place of a batch's offset: a FENCE belongs to none.
  static constexpr uint32_t kNoBatch = 0xffffffff;
  // Verbs first to last of a batch that went to one node, under one completion.
  struct Entry {
    uint32_t offset;
    uint32_t first;
    uint32_t last;
    uint32_t requests;
  };
  enum class CallState : uint8_t { kIdle, kCalling, kAbandoned };
  struct Call {
    Descriptor* verb;  // null: a FENCE
    uint32_t offset;
    uint64_t deadlineNs;
    uint64_t number;
    CallState state;
  };
  struct Waiting {
    uint32_t offset;
    uint32_t verb;
    uint64_t deadlineNs;
  };
  struct Node {
    std::unique_ptr<VerbsLink> link;  // null: dead from the start
    uint64_t memoryBytes = 0;
    QpShape shape{};
    bool isBroken = true;
    std::string reason;
    uint32_t outstanding = 0;  // work requests in the send queue
    uint64_t firstEntry = 0;   // number of the oldest entry
    std::deque<Entry> entries;
    // The chain that the next post takes, and what the batch at hand has in it.
    std::vector<ibv_send_wr> requests;
    std::vector<ibv_sge> places;
    uint32_t chained = 0;
    Entry open{};
    bool hasRead = false;
    Call calls[kVerbsCalls] = {};
    std::deque<Waiting> waitingCalls;
    VerbsFrame* sends = nullptr;
    VerbsFrame* receives = nullptr;
  };
  struct Submitted {
    uint32_t offset;
    uint32_t next;
  };

  VerbsSession(const VerbsSessionOptions& options, uint8_t* local, uint64_t bytes);
  void placeFrames(VerbsFrame* frames);
  bool connect(Failure& failure);
  bool connectNode(uint32_t mn, uint32_t completions, Failure& failure);
  bool receive(uint32_t mn, ibv_qp* qp, uint32_t slot);
  BatchHeader* batchAt(uint32_t offset) const { return reinterpret_cast<BatchHeader*>(local_ + offset); }
  bool isBatch(uint32_t offset) const;

  bool postBatch(Submitted& submitted);
  bool append(Node& node, uint32_t mn, uint32_t offset, uint32_t index);
  void openEntry(Node& node, uint32_t mn, uint32_t offset, uint32_t index);
  ibv_send_wr& chain(Node& node, uint32_t mn, uint32_t index, void* at, uint32_t bytes);
  bool chainCall(Node& node, uint32_t mn, const Waiting& waiting);
  void sendFrame(Node& node, uint32_t mn, uint32_t index, uint32_t slot);
  void closeEntries();
  void ringAll();
  void pollCompletions();
  void completed(const ibv_wc& done);
  void received(Node& node, uint32_t mn, uint32_t slot, uint32_t bytes);
  uint32_t unanswered(uint32_t mn, const Entry& entry) const;
  void finishEntry(uint32_t mn, const Entry& entry, uint32_t okEnd);
  void breakNode(uint32_t mn, const std::string& reason, uint32_t entry, uint32_t verb);
  void noticeEnds();
  void advanceCalls(uint64_t now);
  void finishCall(uint32_t offset, Descriptor& verb, uint32_t status);
  void release(uint32_t offset);

  VerbsSessionOptions options_;
  uint8_t* local_;
  uint64_t bytes_;
  std::shared_ptr<Device> device_;
  ibv_mr* memory_ = nullptr;
  ibv_cq* cq_ = nullptr;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::deque<Submitted> submitted_;
  std::vector<uint32_t> touched_;
  uint64_t callNumber_ = 0;
  uint32_t fencesLost_ = 0;
  uint64_t heardNs_ = 0;    // when a batch last came or went
  uint32_t callCount_ = 0;  // calls with a node, or waiting to go there
  VerbsWatcher watcher_;
  bool isClosed_ = false;
};

}  // namespace fusee
