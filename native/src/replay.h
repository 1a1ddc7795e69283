// Executing recorded batches in a native loop: what the same verbs cost without the TypeScript above them.
#pragma once
#include <cstdint>

#include "session.h"

namespace fusee {

// `images` holds batches as they lie in registered memory (header, then descriptors), one after the other;
// `offsets` says where each begins and `doorbellEnds` how many batches each doorbell had rung for, cumulated.
struct Recording {
  uint8_t* images;
  uint64_t imageBytes;
  const uint32_t* offsets;
  uint32_t batchCount;
  const uint32_t* doorbellEnds;
  uint32_t doorbellCount;
};

// Executes the recording `passes` times through the session's own executor, grouped and stamped as live.
// Returns nanoseconds in all, or -1 with the failure set when the recording does not hold together.
//
// What it means: the same verbs move the same number of bytes between the same places. WRITEs take what
// registered memory holds now, and a CAS that succeeded live mostly finds its word changed already and fails;
// its cost is the same. The nodes' memory is of no use afterwards. RPCs FAIL.
double replay(Session& session, const Recording& recording, uint32_t passes, Failure& failure);

}  // namespace fusee
