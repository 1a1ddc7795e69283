// The client's side of RPC: requests go to slots in the MN's region, answers are noticed by polling.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "region.h"
#include "verbs.h"

namespace fusee {

// One client's RPCs to all its nodes. A request is delivered in posting order; up to kRpcGroupSlots are with
// a node at once, the rest wait here. Each ends once: answered, refused, node dead, or out of time. A request
// that runs out of time is cancelled; if the node is serving it already, its slot stays out of use until the
// node has answered, and that answer is dropped, so it can never be taken for the answer to a later request.
class RpcClient {
 public:
  RpcClient(uint8_t* local, uint64_t timeoutNs) : local_(local), timeoutNs_(timeoutNs) {}
  ~RpcClient() { detach(); }
  RpcClient(const RpcClient&) = delete;
  RpcClient& operator=(const RpcClient&) = delete;

  // Claims a group of slots in the region, the next node's; those of dead processes are taken over.
  bool attach(const std::shared_ptr<Region>& region, Failure& failure);
  // The same in place of node `mn`, which is given up. Only while idle.
  bool replace(uint32_t mn, const std::shared_ptr<Region>& region, Failure& failure);
  void detach();
  // Which group of slots it has claimed in a node's region.
  uint32_t group(uint32_t mn) const { return nodes_[mn].group; }
  // Withdraws what the nodes have not begun to serve; false while one of them serves a request of this
  // client.
  bool withdraw();

  void submit(Descriptor& verb, BatchHeader* batch);
  bool isIdle() const { return calls_.empty(); }

  // Moves calls on; `finished(batch)` is called for each batch whose last RPC got its status.
  template <typename Finished>
  void poll(uint64_t now, Finished&& finished) {
    size_t kept = 0;
    for (size_t i = 0; i < calls_.size(); i++) {
      Call& call = calls_[i];
      if (!advance(call, now)) {
        calls_[kept++] = call;
      } else if (--call.batch->remaining == 0) {
        finished(call.batch);
      }
    }
    calls_.resize(kept);
  }

 private:
  enum class SlotState : uint8_t { kIdle, kCalling, kAbandoned };
  struct Node {
    std::shared_ptr<Region> region;
    RpcSlot* slots;
    uint32_t group;
    uint32_t sequence;  // of the last request: the node serves a client's requests in this order
    SlotState states[kRpcGroupSlots];
  };
  struct Call {
    Descriptor* verb;
    BatchHeader* batch;
    uint64_t deadlineNs;
    int32_t slot;  // -1 while it waits for a free one
  };

  bool advance(Call& call, uint64_t now);
  bool finish(Call& call, uint32_t status);
  void takeResponse(Call& call, const RpcSlot& slot);
  int32_t idleSlot(Node& node);
  void send(Node& node, Call& call);
  static bool release(RpcSlot& slot);
  bool withdraw(Node& node);
  void giveUp(Node& node);

  ProcessToken self_ = selfToken();
  uint8_t* local_;
  uint64_t timeoutNs_;
  std::vector<Node> nodes_;
  std::vector<Call> calls_;
};

// Tells the node's service thread that slot `index` holds a request.
void announceRequest(RegionHeader* header, uint32_t index);

// All threads of that process that had sessions in these regions have ended, and one at least had: nothing
// that the process has posted there executes any more.
bool haveSessionsEnded(ProcessToken token, const std::vector<std::shared_ptr<Region>>& regions);

// After the process was killed: withdraws its requests and waits out the one in service, so that nothing it
// asked for is done later. Returns false when the deadline passes first.
bool cancelRequestsOf(ProcessToken token, Region& region, uint64_t deadlineNs);

}  // namespace fusee
