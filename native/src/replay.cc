#include "replay.h"

namespace fusee {
namespace {

bool holdsTogether(const Recording& r) {
  for (uint32_t i = 0; i < r.batchCount; i++) {
    const uint64_t offset = r.offsets[i];
    if ((offset & 63) != 0 || offset + sizeof(BatchHeader) > r.imageBytes) return false;
  }
  uint32_t before = 0;
  for (uint32_t d = 0; d < r.doorbellCount; d++) {
    if (r.doorbellEnds[d] < before || r.doorbellEnds[d] > r.batchCount) return false;
    before = r.doorbellEnds[d];
  }
  return true;
}

}  // namespace

double replay(Session& session, const Recording& recording, uint32_t passes, Failure& failure) {
  if (!holdsTogether(recording)) {
    failure.usage("the recording does not hold together: make it by record() of this version");
    return -1;
  }
  const Executor executor = session.executor(recording.images + recording.imageBytes);
  uint64_t completions = 0;
  const uint64_t start = nowNs();
  for (uint32_t pass = 0; pass < passes; pass++) {
    uint32_t first = 0;
    for (uint32_t d = 0; d < recording.doorbellCount; d++) {
      const uint32_t end = recording.doorbellEnds[d];
      executeDoorbell(executor, recording.images, recording.offsets + first, end - first, nowNs(),
                      [&completions](uint32_t, uint32_t) { completions++; });
      first = end;
    }
  }
  return static_cast<double>(nowNs() - start);
}

}  // namespace fusee
