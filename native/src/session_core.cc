#include "session_core.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "crc.h"

namespace fusee {

uint8_t* SessionCore::takeMemory(uint64_t localBytes, uint32_t queueCapacity, Failure& failure) {
  const uint64_t bytes = localBytes + controlBytes(queueCapacity);
  // Present from the start, in large pages where the kernel gives them: neither page faults nor walks of page
  // tables have a place in a measured round trip.
  void* local = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (local != MAP_FAILED) {
    madvise(local, bytes, MADV_HUGEPAGE);
    const bool isThere = madvise(local, bytes, MADV_POPULATE_WRITE) == 0 || errno == EINVAL;
    if (isThere) return static_cast<uint8_t*>(local);
    munmap(local, bytes);
  }
  failure.system("no " + std::to_string(bytes) + " bytes of registered memory");
  return nullptr;
}

SessionCore::~SessionCore() { munmap(local_, localBytes_ + controlBytes()); }

uint32_t SessionCore::takeSubmissions() {
  Control* shared = control();
  shared->completed = 0;
  const uint32_t submitted = std::min(shared->submitted, queueCapacity_);
  shared->submitted = 0;
  // The ring is written by post() alone; anything else in it would lead outside.
  for (uint32_t i = 0; i < submitted; i++) {
    if (!isBatch(shared->submissions()[i])) [[unlikely]]
      return 0;
  }
  return submitted;
}

void SessionCore::complete(uint32_t offset, uint64_t now) {
  BatchHeader* batch = batchAt(offset);
  const uint64_t dueNs = static_cast<uint64_t>(batch->postedNs) + rttNs_;
  batch->completedNs = static_cast<double>(now);
  if (dueNs <= now) pushCompletion(offset);
  else hold(offset, dueNs);
}

void SessionCore::keepToLease(double leaseNs) {
  Control* shared = control();
  uint32_t* completions = shared->submissions() + queueCapacity_;
  const auto now = static_cast<double>(fusee::nowNs());
  if (now >= leaseNs) {
    lapsed_.insert(lapsed_.end(), completions, completions + shared->completed);
    shared->completed = 0;
    return;
  }
  for (const uint32_t offset : lapsed_) {
    batchAt(offset)->completedNs = now;
    pushCompletion(offset);
  }
  lapsed_.clear();
}

void SessionCore::hold(uint32_t offset, uint64_t dueNs) {
  uint32_t at = heldCount_++;
  // Nearly always the last: only a batch that waited for others is due before later ones.
  for (; at > 0; at--) {
    const Held& before = held_[(heldFirst_ + at - 1) % queueCapacity_];
    if (before.dueNs <= dueNs) break;
    held_[(heldFirst_ + at) % queueCapacity_] = before;
  }
  held_[(heldFirst_ + at) % queueCapacity_] = {offset, dueNs};
}

void SessionCore::release(uint64_t now) {
  while (heldCount_ != 0 && held_[heldFirst_].dueNs <= now) {
    const uint32_t offset = held_[heldFirst_].offset;
    batchAt(offset)->completedNs = static_cast<double>(now);
    pushCompletion(offset);
    heldFirst_ = (heldFirst_ + 1) % queueCapacity_;
    heldCount_--;
  }
}

void SessionCore::pushCompletion(uint32_t offset) {
  Control* shared = control();
  shared->submissions()[queueCapacity_ + shared->completed++] = offset;
}

void SessionCore::checksum() {
  Control* shared = control();
  const uint64_t offset = shared->crcOffset;
  const uint64_t bytes = shared->crcBytes;
  if (offset + bytes > localBytes_) return;
  shared->crcResult = crc32c(local_ + offset, bytes, shared->crcSeed);
}

}  // namespace fusee
