// Looks at the memory of regions ahead of its use, from a thread of its own.
#pragma once
#include <pthread.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "failure.h"
#include "region.h"

namespace fusee {

// The first access to a page through a mapping costs a microsecond, and 10 where a hypervisor keeps the page
// tables; populating them (madvise) does not help there, only an access does. Who will need any of the memory
// at once some day, and has time until then, has it looked at: a little at a time, so that nobody notices.
class Toucher {
 public:
  Toucher() = default;
  ~Toucher() { stop(); }
  Toucher(const Toucher&) = delete;
  Toucher& operator=(const Toucher&) = delete;

  // A byte of each page, in order, of kTouchedBytesMax in all.
  bool start(std::vector<std::shared_ptr<Region>> regions, Failure& failure);
  void stop();

 private:
  static void* run(void* self);
  bool touch(const Region& region, uint64_t& left) const;
  bool isStopping() const { return __atomic_load_n(&isStopping_, __ATOMIC_RELAXED); }

  std::vector<std::shared_ptr<Region>> regions_;
  pthread_t thread_{};
  bool isRunning_ = false;
  bool isStopping_ = false;
};

}  // namespace fusee
