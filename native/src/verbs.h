// Descriptors as TypeScript lays them out (fusee/verbs/batch.ts); a test compares the two tables.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>

namespace fusee {

static_assert(std::endian::native == std::endian::little, "words are shared with TypeScript as two halves");

enum Opcode : uint32_t { kRead = 0, kWrite = 1, kCas = 2, kFaa = 3, kRpc = 4 };
enum Status : uint32_t { kPending = 0, kOk = 1, kFail = 2 };

constexpr uint32_t kRpcBytes = 112;

struct Descriptor {
  uint32_t opcode;
  uint32_t mn;
  double remote;
  uint32_t local;
  uint32_t length;
  // CAS: expected value. FAA: addend. RPC: response offset in the low half, its capacity in the high half.
  uint64_t expect;
  uint64_t swap;
  uint64_t found;
  uint32_t status;
  uint32_t unused[3];
};
static_assert(sizeof(Descriptor) == 64);

struct BatchHeader {
  uint32_t count;
  uint32_t unused0;
  double postedNs;
  double completedNs;
  // RPCs of this batch that have no status yet.
  uint32_t remaining;
  uint32_t id;
  uint32_t unused1[8];

  Descriptor* verbs() { return reinterpret_cast<Descriptor*>(this + 1); }
};
static_assert(sizeof(BatchHeader) == 64);

}  // namespace fusee
