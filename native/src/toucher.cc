#include "toucher.h"

#include <unistd.h>

#include <algorithm>

namespace fusee {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kTouchedBytesMax = uint64_t{1} << 30;
// Half a millisecond of work where a page takes longest, then the processor is anybody's.
constexpr uint64_t kBurstPages = 32;
constexpr uint32_t kRestUs = 1000;

}  // namespace

bool Toucher::start(std::vector<std::shared_ptr<Region>> regions, Failure& failure) {
  stop();
  regions_ = std::move(regions);
  isStopping_ = false;
  const int error = pthread_create(&thread_, nullptr, run, this);
  if (error != 0) {
    failure.system("no thread to look at memory ahead", error);
    regions_.clear();
    return false;
  }
  isRunning_ = true;
  return true;
}

void Toucher::stop() {
  if (!isRunning_) return;
  __atomic_store_n(&isStopping_, true, __ATOMIC_RELAXED);
  pthread_join(thread_, nullptr);
  isRunning_ = false;
  regions_.clear();
}

bool Toucher::touch(const Region& region, uint64_t& left) const {
  const uint64_t bytes = std::min(region.memoryBytes(), left);
  left -= bytes;
  for (uint64_t at = 0; at < bytes; at += kPageBytes) {
    [[maybe_unused]] const uint8_t seen = __atomic_load_n(region.memory() + at, __ATOMIC_RELAXED);
    if (at / kPageBytes % kBurstPages != kBurstPages - 1) continue;
    if (isStopping()) return false;
    usleep(kRestUs);
  }
  return !isStopping();
}

void* Toucher::run(void* self) {
  const auto* toucher = static_cast<Toucher*>(self);
  pthread_setname_np(pthread_self(), "fusee-touch");
  uint64_t left = kTouchedBytesMax;
  for (const auto& region : toucher->regions_) {
    if (!toucher->touch(*region, left)) break;
  }
  return nullptr;
}

}  // namespace fusee
