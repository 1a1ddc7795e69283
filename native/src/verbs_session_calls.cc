// Calls of a verbs session to the nodes' weak CPUs, by SEND and RECV; and fences, which take the same way.
#include <algorithm>
#include <cstring>

#include "clock.h"
#include "verbs_session.h"

namespace fusee {

bool VerbsSession::receive(uint32_t mn, ibv_qp* qp, uint32_t slot) {
  ibv_sge at{reinterpret_cast<uint64_t>(nodes_[mn]->receives + slot), sizeof(VerbsFrame), memory_->lkey};
  ibv_recv_wr request{};
  request.wr_id = uint64_t{1} << 63 | uint64_t{mn} << 56 | slot;
  request.sg_list = &at;
  request.num_sge = 1;
  ibv_recv_wr* bad;
  return ibv_post_recv(qp, &request, &bad) == 0;
}

// An answer. One that comes too late is dropped, and its place is free again: until then it could have been
// taken for the answer to a later request.
void VerbsSession::received(Node& node, uint32_t mn, uint32_t slot, uint32_t bytes) {
  const VerbsFrame frame = node.receives[slot];
  Call& call = node.calls[frame.number % kVerbsCalls];
  const bool isAnswer = bytes == sizeof frame && frame.kind == kAnswerFrame && frame.bytes <= kRpcBytes &&
                        call.state != CallState::kIdle && call.number == frame.number;
  if (!receive(mn, node.link->qp, slot) || !isAnswer) {
    breakNode(mn, "it answers what nobody has asked for", static_cast<uint32_t>(node.firstEntry), 0);
    return;
  }
  const CallState state = call.state;
  call.state = CallState::kIdle;
  if (state == CallState::kAbandoned || call.verb == nullptr) return;
  Descriptor& verb = *call.verb;
  const auto capacity = static_cast<uint32_t>(verb.expect >> 32);
  verb.found = frame.bytes;
  // An answer that does not fit is no answer; its length says how much room it wants.
  const bool isGood = frame.status == kOk && frame.bytes <= capacity;
  if (isGood) std::memcpy(local_ + (verb.expect & 0xffffffff), frame.payload, frame.bytes);
  finishCall(call.offset, verb, isGood ? kOk : kFail);
}

void VerbsSession::finishCall(uint32_t offset, Descriptor& verb, uint32_t status) {
  verb.status = status;
  callCount_--;
  release(offset);
}

void VerbsSession::advanceCalls(uint64_t now) {
  for (uint32_t mn = 0; mn < nodes_.size(); mn++) {
    Node& node = *nodes_[mn];
    if (node.isBroken) continue;
    for (Call& call : node.calls) {
      if (call.state != CallState::kCalling || call.verb == nullptr || now <= call.deadlineNs) continue;
      call.state = CallState::kAbandoned;
      finishCall(call.offset, *call.verb, kFail);
    }
    while (!node.waitingCalls.empty()) {
      const Waiting call = node.waitingCalls.front();
      if (now > call.deadlineNs) finishCall(call.offset, batchAt(call.offset)->verbs()[call.verb], kFail);
      else if (!chainCall(node, mn, call)) break;
      node.waitingCalls.pop_front();
      closeEntries();
    }
  }
  ringAll();
}

void VerbsSession::fence(uint64_t client) {
  for (uint32_t mn = 0; mn < nodes_.size(); mn++) {
    Node& node = *nodes_[mn];
    if (node.link == nullptr) continue;
    uint32_t slot = 0;
    while (slot < kVerbsCalls && node.calls[slot].state != CallState::kIdle) slot++;
    if (node.isBroken || slot == kVerbsCalls || node.outstanding >= node.shape.sends) {
      fencesLost_++;
      continue;
    }
    VerbsFrame& frame = node.sends[slot];
    frame = {};
    frame.kind = kFenceFrame;
    frame.client = client;
    openEntry(node, mn, kNoBatch, 0);
    sendFrame(node, mn, 0, slot);
    node.calls[slot] = {nullptr, kNoBatch, 0, frame.number, CallState::kCalling};
    closeEntries();
  }
  ringAll();
}

uint32_t VerbsSession::fencesPending() const {
  uint32_t count = 0;
  for (const auto& node : nodes_) {
    count += static_cast<uint32_t>(std::count_if(
        std::begin(node->calls), std::end(node->calls),
        [](const Call& call) { return call.verb == nullptr && call.state == CallState::kCalling; }));
  }
  return count;
}

std::string VerbsSession::reasonOf(uint32_t mn) const {
  return mn < nodes_.size() && nodes_[mn]->isBroken ? nodes_[mn]->reason : "";
}

}  // namespace fusee
