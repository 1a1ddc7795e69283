#include "executor.h"

#include <algorithm>
#include <cstring>

#include "copy.h"
#include "crc.h"
#include "rpc_client.h"

namespace fusee {
namespace {

constexpr uint32_t kObjectHeaderBytes = 8;

#if defined(__x86_64__)
constexpr bool kAtomicsAreFences = true;  // a locked instruction drains the store buffer
#else
constexpr bool kAtomicsAreFences = false;
#endif

bool isPostable(const Executor& executor, const Descriptor& verb) {
  if (verb.mn >= executor.targetCount) return false;
  if (verb.opcode == kRpc && executor.rpc == nullptr) return false;
  return isInReach(verb, executor.localBytes, executor.targets[verb.mn].bytes);
}

// Rule 7: after the verbs, look whether a node was found dead meanwhile; then none of them may be OK.
void failOnDeadNodes(const Executor& executor, BatchHeader* batch, uint64_t used) {
  bool anyDead = false;
  for (uint64_t rest = used; rest != 0; rest &= rest - 1) {
    const Target& target = executor.targets[__builtin_ctzll(rest)];
    anyDead |= __atomic_load_n(&target.header->dead, __ATOMIC_ACQUIRE) != 0;
  }
  if (!anyDead) [[likely]]
    return;
  Descriptor* verbs = batch->verbs();
  const uint32_t count = verbCount(executor, batch);
  for (uint32_t i = 0; i < count; i++) {
    if (verbs[i].status != kOk) continue;
    if (__atomic_load_n(&executor.targets[verbs[i].mn].header->dead, __ATOMIC_ACQUIRE) != 0)
      verbs[i].status = kFail;
  }
}

}  // namespace

// Two lengths of 16 bits, which also seed the checksum, a CRC, and so many bytes; done here, while they are
// in the cache. Lengths that reach beyond what was read leave no CRC, and the reader finds out why.
void checkObject(const uint8_t* object, Descriptor& verb) {
  uint32_t lengths;
  if (verb.length < kObjectHeaderBytes) return;
  memcpy(&lengths, object, sizeof lengths);
  const uint32_t payload = (lengths & 0xffff) + (lengths >> 16);
  if (payload > verb.length - kObjectHeaderBytes) return;
  verb.found = crc32c(object + kObjectHeaderBytes, payload, lengths) | uint64_t{1} << 32;
}

uint32_t executeBatch(const Executor& executor, BatchHeader* batch) {
  Descriptor* verbs = batch->verbs();
  const uint32_t count = verbCount(executor, batch);
  uint32_t rpcs = 0;
  uint64_t used = 0;
  // MNs with WRITEs that may still be in the store buffer: a later READ of that MN, and the look at the dead
  // flag, must not overtake them.
  uint64_t stored = 0;
  for (uint32_t i = 0; i < count; i++) {
    Descriptor& verb = verbs[i];
    if (!isPostable(executor, verb)) [[unlikely]] {
      verb.status = kFail;
      continue;
    }
    const uint64_t bit = uint64_t{1} << verb.mn;
    uint8_t* at = executor.targets[verb.mn].memory + remoteOffset(verb);
    used |= bit;
    verb.status = kOk;
    switch (verb.opcode) {
      case kRead:
        if ((stored & bit) != 0) {
          fullFence();
          stored = 0;
        }
        copyFromRemote(executor.local + verb.local, at, verb.length);
        if (verb.swap == kReadsObject && executor.checksObjects)
          checkObject(executor.local + verb.local, verb);
        break;
      case kWrite:
        copyToRemote(at, executor.local + verb.local, verb.length);
        stored |= bit;
        break;
      case kCas:
      case kFaa:
        verb.found = executeAtomic(verb.opcode, at, verb.expect, verb.swap);
        if (kAtomicsAreFences) stored = 0;
        break;
      default:
        verb.status = kPending;
        executor.rpc->submit(verb, batch);
        rpcs++;
    }
  }
  if (stored != 0) fullFence();
  failOnDeadNodes(executor, batch, used);
  return rpcs;
}

void prefetchBatch(const Executor& executor, BatchHeader* batch) {
  const Descriptor* verbs = batch->verbs();
  const uint32_t count = verbCount(executor, batch);
  for (uint32_t i = 0; i < count; i++) {
    const Descriptor& verb = verbs[i];
    if (verb.opcode == kRpc || verb.mn >= executor.targetCount) continue;
    const uint8_t* at = executor.targets[verb.mn].memory + remoteOffset(verb);
    const uint32_t bytes = std::min(verb.length, kPrefetchBytes);
    for (uint32_t ahead = 0; ahead < bytes; ahead += 64) __builtin_prefetch(at + ahead);
  }
}

}  // namespace fusee
