#include "rpc_client.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>

#include "clock.h"

namespace fusee {
namespace {

bool isDead(const RegionHeader* header) { return __atomic_load_n(&header->dead, __ATOMIC_ACQUIRE) != 0; }

// Requests and answers are at most 112 bytes and change hands with the phase word, so plain copies are safe.
bool cancel(RpcSlot& slot, uint32_t word) {
  return rpcPhase(word) == kRequest &&
         __atomic_compare_exchange_n(&slot.word, &word, rpcWord(rpcSequence(word), kFree), false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

}  // namespace

void announceRequest(RegionHeader* header, uint32_t index) {
  __atomic_fetch_or(&header->rpcPending[index / 64], uint64_t{1} << (index % 64), __ATOMIC_SEQ_CST);
  __atomic_fetch_add(&header->rpcWakes, 1, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, &header->rpcWakes, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

bool haveSessionsEnded(ProcessToken token, const std::vector<std::shared_ptr<Region>>& regions) {
  bool hasOne = false;
  for (const auto& region : regions) {
    const RegionHeader* header = region->header();
    for (uint32_t group = 0; group < kRpcGroups; group++) {
      if (__atomic_load_n(&header->rpcOwner[group], __ATOMIC_ACQUIRE) != token) continue;
      // One that is being claimed, or is of no session, tells nothing.
      if (!hasEnded(header->lives[group], token)) return false;
      hasOne = true;
    }
  }
  return hasOne;
}

bool cancelRequestsOf(ProcessToken token, Region& region, uint64_t deadlineNs) {
  RegionHeader* header = region.header();
  for (RpcSlot& slot : header->slots) {
    for (;;) {
      const uint32_t word = __atomic_load_n(&slot.word, __ATOMIC_ACQUIRE);
      if (rpcPhase(word) == kFree || rpcPhase(word) == kResponse) break;
      if (__atomic_load_n(&slot.requester, __ATOMIC_RELAXED) != token || cancel(slot, word)) break;
      // A node that has died serves nothing more, whatever the slot says.
      if (isDead(header) || !isAlive(header->owner)) break;
      if (nowNs() > deadlineNs) return false;
      usleep(200);
    }
  }
  return true;
}

bool RpcClient::attach(const std::shared_ptr<Region>& region, Failure& failure) {
  RegionHeader* header = region->header();
  // Free ones first: whether an owner lives takes a look at the file system.
  for (uint32_t i = 0; i < 2 * kRpcGroups; i++) {
    const uint32_t group = i % kRpcGroups;
    ProcessToken owner = __atomic_load_n(&header->rpcOwner[group], __ATOMIC_ACQUIRE);
    if (owner != 0 && (i < kRpcGroups || isAlive(owner))) continue;
    if (!__atomic_compare_exchange_n(&header->rpcOwner[group], &owner, self_, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
      continue;
    }
    Node node{region, header->slots + group * kRpcGroupSlots, group, 0, {}};
    for (uint32_t s = 0; s < kRpcGroupSlots; s++) {
      // What a former owner left: withdrawn, dropped, or waited for by idleSlot.
      node.states[s] = release(node.slots[s]) ? SlotState::kIdle : SlotState::kAbandoned;
      node.sequence = std::max(node.sequence, rpcSequence(node.slots[s].word));
    }
    nodes_.push_back(std::move(node));
    return true;
  }
  failure.fabric("region " + region->name() + " has " + std::to_string(kRpcGroups) +
                 " clients attached, which is its limit: stop some");
  return false;
}

bool RpcClient::replace(uint32_t mn, const std::shared_ptr<Region>& region, Failure& failure) {
  if (!attach(region, failure)) return false;
  giveUp(nodes_[mn]);
  nodes_[mn] = std::move(nodes_.back());
  nodes_.pop_back();
  return true;
}

bool RpcClient::withdraw(Node& node) {
  bool isFree = true;
  for (uint32_t s = 0; s < kRpcGroupSlots; s++) isFree &= release(node.slots[s]);
  return isFree;
}

void RpcClient::giveUp(Node& node) {
  withdraw(node);
  __atomic_store_n(&node.region->header()->rpcOwner[node.group], 0, __ATOMIC_RELEASE);
}

bool RpcClient::withdraw() {
  bool isFree = true;
  for (Node& node : nodes_) isFree &= withdraw(node);
  calls_.clear();
  return isFree;
}

void RpcClient::detach() {
  for (Node& node : nodes_) giveUp(node);
  nodes_.clear();
  calls_.clear();
}

// True when the slot is free to use; false while the node is serving the request in it.
bool RpcClient::release(RpcSlot& slot) {
  for (;;) {
    const uint32_t word = __atomic_load_n(&slot.word, __ATOMIC_ACQUIRE);
    if (rpcPhase(word) == kFree || cancel(slot, word)) return true;
    if (rpcPhase(word) == kServing) return false;
    if (rpcPhase(word) == kResponse) {
      __atomic_store_n(&slot.word, rpcWord(rpcSequence(word), kFree), __ATOMIC_RELEASE);
      return true;
    }
  }
}

void RpcClient::submit(Descriptor& verb, BatchHeader* batch) {
  Node& node = nodes_[verb.mn];
  Call call{&verb, batch, nowNs() + timeoutNs_, -1};
  // Behind those that wait already, to keep the posting order.
  const bool isBehind = std::any_of(calls_.begin(), calls_.end(), [&verb](const Call& other) {
    return other.slot < 0 && other.verb->mn == verb.mn;
  });
  if (!isBehind && !isDead(node.region->header())) send(node, call);
  calls_.push_back(call);
}

int32_t RpcClient::idleSlot(Node& node) {
  for (uint32_t s = 0; s < kRpcGroupSlots; s++) {
    SlotState& state = node.states[s];
    if (state == SlotState::kAbandoned && release(node.slots[s])) state = SlotState::kIdle;
    if (state == SlotState::kIdle) return static_cast<int32_t>(s);
  }
  return -1;
}

void RpcClient::send(Node& node, Call& call) {
  call.slot = idleSlot(node);
  if (call.slot < 0) return;
  node.states[call.slot] = SlotState::kCalling;
  RpcSlot& slot = node.slots[call.slot];
  __atomic_store_n(&slot.requester, self_, __ATOMIC_RELAXED);
  slot.requestBytes = call.verb->length;
  std::memcpy(slot.request, local_ + call.verb->local, call.verb->length);
  node.sequence = (node.sequence + 1) & 0x3fffffff;
  __atomic_store_n(&slot.word, rpcWord(node.sequence, kRequest), __ATOMIC_RELEASE);
  announceRequest(node.region->header(), node.group * kRpcGroupSlots + static_cast<uint32_t>(call.slot));
}

// True when the call has its status.
bool RpcClient::advance(Call& call, uint64_t now) {
  Node& node = nodes_[call.verb->mn];
  const bool dead = isDead(node.region->header());
  if (call.slot < 0) {
    if (dead || now > call.deadlineNs) return finish(call, kFail);
    send(node, call);
    return false;
  }
  RpcSlot& slot = node.slots[call.slot];
  SlotState& state = node.states[call.slot];
  const uint32_t word = __atomic_load_n(&slot.word, __ATOMIC_ACQUIRE);
  if (rpcPhase(word) == kResponse) {
    takeResponse(call, slot);
    __atomic_store_n(&slot.word, rpcWord(rpcSequence(word), kFree), __ATOMIC_RELEASE);
    state = SlotState::kIdle;
    return isDead(node.region->header()) ? finish(call, kFail) : true;
  }
  if (!dead && now <= call.deadlineNs) return false;
  state = release(slot) ? SlotState::kIdle : SlotState::kAbandoned;
  return finish(call, kFail);
}

bool RpcClient::finish(Call& call, uint32_t status) {
  call.verb->status = status;
  return true;
}

// An answer that does not fit is no answer; its length says how much room it wants.
void RpcClient::takeResponse(Call& call, const RpcSlot& slot) {
  const uint32_t bytes = slot.responseBytes;
  const auto capacity = static_cast<uint32_t>(call.verb->expect >> 32);
  call.verb->found = bytes == kRpcRefused ? 0 : bytes;
  if (bytes > kRpcBytes || bytes > capacity) {
    call.verb->status = kFail;
    return;
  }
  std::memcpy(local_ + (call.verb->expect & 0xffffffff), slot.response, bytes);
  call.verb->status = kOk;
}

}  // namespace fusee
