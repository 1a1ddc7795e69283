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
