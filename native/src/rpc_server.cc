#include "rpc_server.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>

namespace fusee {

bool RpcServer::start(std::function<void()> wake, Failure& failure) {
  wake_ = std::move(wake);
  const int error = pthread_create(&thread_, nullptr, run, this);
  if (error != 0) {
    failure.system("no thread for the RPC service", error);
    return false;
  }
  isRunning_ = true;
  return true;
}

void RpcServer::stop() {
  if (!isRunning_) return;
  __atomic_store_n(&isStopping_, true, __ATOMIC_SEQ_CST);
  RegionHeader* header = region_->header();
  __atomic_fetch_add(&header->rpcWakes, 1, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, &header->rpcWakes, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  pthread_join(thread_, nullptr);
  isRunning_ = false;
}

bool RpcServer::hasPending() const {
  for (const uint64_t& word : region_->header()->rpcPending) {
    if (__atomic_load_n(&word, __ATOMIC_ACQUIRE) != 0) return true;
  }
  return false;
}

void* RpcServer::run(void* self) {
  auto* server = static_cast<RpcServer*>(self);
  pthread_setname_np(pthread_self(), "fusee-rpc");
  uint32_t* wakes = &server->region_->header()->rpcWakes;
  for (;;) {
    // Read before looking: a request announced after the look changes the word, and the wait returns at once.
    const uint32_t seen = __atomic_load_n(wakes, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&server->isStopping_, __ATOMIC_SEQ_CST)) return nullptr;
    if (server->hasPending() && !__atomic_exchange_n(&server->isAwake_, true, __ATOMIC_SEQ_CST))
      server->wake_();
    syscall(SYS_futex, wakes, FUTEX_WAIT, seen, nullptr, nullptr, 0);
  }
}

// A client's slots lie in one word of the bitmap and its bits appear in the order of its requests, so sorting
// the slots of one group by sequence restores that order.
void RpcServer::collect() {
  RegionHeader* header = region_->header();
  for (uint32_t w = 0; w < kRpcSlots / 64; w++) {
    if (__atomic_load_n(&header->rpcPending[w], __ATOMIC_ACQUIRE) == 0) continue;
    uint64_t bits = __atomic_exchange_n(&header->rpcPending[w], 0, __ATOMIC_SEQ_CST);
    for (; bits != 0; bits &= bits - 1)
      queue_.push_back(w * 64 + static_cast<uint32_t>(__builtin_ctzll(bits)));
  }
  const auto sequenceOf = [header](uint32_t slot) {
    return rpcSequence(__atomic_load_n(&header->slots[slot].word, __ATOMIC_ACQUIRE));
  };
  std::vector<std::pair<uint64_t, uint32_t>> order;
  for (const uint32_t slot : queue_) {
    order.push_back({static_cast<uint64_t>(slot / kRpcGroupSlots) << 32 | sequenceOf(slot), slot});
  }
  std::sort(order.begin(), order.end(), std::greater<>());
  for (size_t i = 0; i < order.size(); i++) queue_[i] = order[i].second;
}

int32_t RpcServer::take(uint8_t* request, uint32_t& bytes) {
  for (;;) {
    // One that was stopped, and fenced meanwhile, answers nobody: its blocks are another's to grant.
    if (region_->isDead()) return -1;
    if (queue_.empty()) {
      collect();
      if (queue_.empty()) {
        // Sleep may begin; a request that came between the look and this line is seen by one more look.
        __atomic_store_n(&isAwake_, false, __ATOMIC_SEQ_CST);
        if (!hasPending() || __atomic_exchange_n(&isAwake_, true, __ATOMIC_SEQ_CST)) return -1;
        continue;
      }
    }
    const uint32_t index = queue_.back();
    queue_.pop_back();
    RpcSlot& slot = region_->header()->slots[index];
    uint32_t word = __atomic_load_n(&slot.word, __ATOMIC_ACQUIRE);
    // Claimed against the client that withdraws it, and against a fence that cancels it.
    const bool isClaimed =
        rpcPhase(word) == kRequest &&
        __atomic_compare_exchange_n(&slot.word, &word, rpcWord(rpcSequence(word), kServing), false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    if (!isClaimed) continue;
    bytes = std::min(slot.requestBytes, kRpcBytes);
    std::memcpy(request, slot.request, bytes);
    return static_cast<int32_t>(index);
  }
}

void RpcServer::respond(uint32_t index, const uint8_t* response, uint32_t bytes) {
  if (index >= kRpcSlots) return;
  RpcSlot& slot = region_->header()->slots[index];
  const uint32_t word = __atomic_load_n(&slot.word, __ATOMIC_ACQUIRE);
  if (rpcPhase(word) != kServing) return;
  if (bytes != kRpcRefused) std::memcpy(slot.response, response, bytes);
  slot.responseBytes = bytes;
  __atomic_store_n(&slot.word, rpcWord(rpcSequence(word), kResponse), __ATOMIC_RELEASE);
}

}  // namespace fusee
