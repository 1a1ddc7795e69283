// One clock for everything: CLOCK_MONOTONIC, which all processes of a host share.
#pragma once
#include <cstdint>
#include <ctime>

namespace fusee {

inline uint64_t nowNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

}  // namespace fusee
