// What a verb does to an MN's memory: one piece of code, for live sessions and for the replay they are
// measured by.
#pragma once
#include <cstddef>
#include <cstdint>

#include "clock.h"
#include "region.h"
#include "verbs.h"

namespace fusee {

class RpcClient;

constexpr uint32_t kMaxNodes = 64;

// One MN as the executor sees it.
struct Target {
  uint8_t* memory;
  uint64_t bytes;
  RegionHeader* header;
};

inline bool isWithin(uint64_t offset, uint64_t length, uint64_t limit) {
  return length <= limit && offset <= limit - length;
}

// CAS or FAA on the word at `at`; returns what was there.
inline uint64_t executeAtomic(uint32_t opcode, uint8_t* at, uint64_t expect, uint64_t swap) {
  auto* word = reinterpret_cast<uint64_t*>(at);
  if (opcode == kFaa) return __atomic_fetch_add(word, expect, __ATOMIC_SEQ_CST);
  uint64_t found = expect;
  __atomic_compare_exchange_n(word, &found, swap, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  return found;
}

// A READ of an object has landed at `object`: leaves its CRC in the descriptor.
constexpr uint64_t kReadsObject = 1;
void checkObject(const uint8_t* object, Descriptor& verb);

// NaN and whatever else fits no offset becomes one that no MN has.
inline uint64_t remoteOffset(const Descriptor& verb) {
  return static_cast<uint64_t>(static_cast<int64_t>(verb.remote));
}

// Whether a verb reaches nothing but registered memory and an MN of so many bytes. Whether a call can be made
// is another question.
inline bool isInReach(const Descriptor& verb, uint64_t localBytes, uint64_t memoryBytes) {
  if (verb.opcode == kRpc) {
    return verb.length <= kRpcBytes && isWithin(verb.local, verb.length, localBytes) &&
           isWithin(verb.expect & 0xffffffff, verb.expect >> 32, localBytes);
  }
  const uint64_t remote = remoteOffset(verb);
  if (verb.opcode <= kWrite)
    return isWithin(verb.local, verb.length, localBytes) && isWithin(remote, verb.length, memoryBytes);
  return verb.opcode <= kFaa && (remote & 7) == 0 && isWithin(remote, 8, memoryBytes);
}

struct Executor {
  uint8_t* local;
  uint64_t localBytes;
  const Target* targets;
  uint32_t targetCount;
  RpcClient* rpc;      // null under replay: RPCs FAIL
  const uint8_t* end;  // of the memory that holds the batches
  bool checksObjects;  // READs of objects get their CRC
};

// How many verbs to execute: never beyond the memory, even if the header was overwritten after posting.
inline uint32_t verbCount(const Executor& executor, BatchHeader* batch) {
  const auto room =
      static_cast<uint64_t>(executor.end - reinterpret_cast<uint8_t*>(batch)) / sizeof(Descriptor) - 1;
  return batch->count <= room ? batch->count : static_cast<uint32_t>(room);
}

// Executes the batch in posting order and gives every verb its status, except that RPCs stay pending. Verbs
// that reach outside FAIL unexecuted: posting refused them, so such a descriptor was changed afterwards.
// Returns how many RPCs are pending.
uint32_t executeBatch(const Executor& executor, BatchHeader* batch);

// Asks for the remote memory that the batch will touch, while those before it execute, as a NIC would serve
// several batches at once. Random words of 128 MiB in doorbells of eight batches: 81 ns each, 215 without.
constexpr uint32_t kPrefetchBatches = 2;
constexpr uint32_t kPrefetchBytes = 1152;  // an object of 1 KiB and what goes with it
void prefetchBatch(const Executor& executor, BatchHeader* batch);

// Everything that one doorbell posts: `offsets` of batches from `base`. Stamps each batch and hands it to
// `executed(batch offset, pending RPCs)`.
template <typename Executed>
inline void executeDoorbell(const Executor& executor, uint8_t* base, const uint32_t* offsets, uint32_t count,
                            uint64_t postedNs, Executed&& executed) {
  const auto batchAt = [base](uint32_t offset) { return reinterpret_cast<BatchHeader*>(base + offset); };
  for (uint32_t i = 0; i < count && i < kPrefetchBatches; i++) prefetchBatch(executor, batchAt(offsets[i]));
  for (uint32_t i = 0; i < count; i++) {
    if (i + kPrefetchBatches < count) prefetchBatch(executor, batchAt(offsets[i + kPrefetchBatches]));
    BatchHeader* batch = batchAt(offsets[i]);
    batch->postedNs = static_cast<double>(postedNs);
    const uint32_t pending = executeBatch(executor, batch);
    batch->completedNs = static_cast<double>(nowNs());
    executed(offsets[i], pending);
  }
}

}  // namespace fusee
