#include "session.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "crc.h"

namespace fusee {

Session::Session(const SessionOptions& options, uint8_t* local)
    : options_(options), local_(local), rpc_(local, options.rpcTimeoutNs), held_(options.queueCapacity) {}

std::shared_ptr<Session> Session::open(const SessionOptions& options, Failure& failure) {
  if (options.regions.size() > kMaxNodes) {
    failure.usage(std::to_string(options.regions.size()) + " regions: a client reaches at most " +
                  std::to_string(kMaxNodes) + " memory nodes");
    return nullptr;
  }
  const uint64_t bytes = options.localBytes + sizeof(Control) + uint64_t{options.queueCapacity} * 8;
  // Present from the start, in large pages where the kernel gives them: neither page faults nor walks of page
  // tables have a place in a measured round trip.
  void* local = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (local != MAP_FAILED) {
    madvise(local, bytes, MADV_HUGEPAGE);
    if (madvise(local, bytes, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) {
      munmap(local, bytes);
      local = MAP_FAILED;
    }
  }
  if (local == MAP_FAILED) {
    failure.system("no " + std::to_string(bytes) + " bytes of registered memory");
    return nullptr;
  }
  std::shared_ptr<Session> session(new Session(options, static_cast<uint8_t*>(local)));
  return session->attach(failure) ? session : nullptr;
}

bool Session::attach(Failure& failure) {
  for (const std::string& name : options_.regions) {
    const bool isAbsent = name.empty();
    auto region = isAbsent ? Region::absent(failure) : Region::attach(name, options_.prefault, failure);
    if (region == nullptr || !rpc_.attach(region, failure)) return false;
    targets_.push_back({region->memory(), region->memoryBytes(), region->header()});
    regions_.push_back(std::move(region));
  }
  targetCount_ = static_cast<uint32_t>(targets_.size());
  return watch(failure);
}

bool Session::watch(Failure& failure) {
  std::vector<DeathWatcher::Watched> watched;
  for (const auto& region : regions_) {
    // One that is absent, or known to be dead, has nobody to be watched.
    if (region->memoryBytes() == 0) continue;
    watched.push_back({region->header()->owner, &region->header()->dead});
  }
  return watcher_.start(watched, failure);
}

bool Session::reattach(uint32_t mn, const std::string& name, Failure& failure) {
  if (isClosed_ || mn >= regions_.size()) {
    failure.usage("node " + std::to_string(mn) + " is none of this client's");
    return false;
  }
  auto region = Region::attach(name, options_.prefault, failure);
  if (region == nullptr || !rpc_.replace(mn, region, failure)) return false;
  // The watcher writes to the regions that it watches: it ends before one of them goes. A death meanwhile is
  // found when it starts.
  watcher_.stop();
  targets_[mn] = {region->memory(), region->memoryBytes(), region->header()};
  regions_[mn] = std::move(region);
  return watch(failure);
}

Session::~Session() {
  close();
  munmap(local_, options_.localBytes + controlBytes());
}

void Session::close() {
  if (isClosed_) return;
  isClosed_ = true;
  watcher_.stop();
  rpc_.detach();
  targetCount_ = 0;
  targets_.clear();
  regions_.clear();
}

bool Session::isBatch(uint32_t offset) const {
  return (offset & 63) == 0 && uint64_t{offset} + sizeof(BatchHeader) <= options_.localBytes;
}

void Session::doorbell() {
  Control* shared = control();
  shared->completed = 0;
  if (isClosed_) return;
  uint32_t* submissions = shared->submissions();
  const uint32_t submitted = std::min(shared->submitted, options_.queueCapacity);
  shared->submitted = 0;
  // The ring is written by post() alone; anything else in it would lead outside.
  for (uint32_t i = 0; i < submitted; i++) {
    if (!isBatch(submissions[i])) [[unlikely]]
      return;
  }
  const uint64_t now = nowNs();
  executeDoorbell(executor(), local_, submissions, submitted, now, [this](uint32_t offset, uint32_t rpcs) {
    auto* batch = reinterpret_cast<BatchHeader*>(local_ + offset);
    batch->remaining = rpcs;
    if (rpcs == 0) complete(offset, static_cast<uint64_t>(batch->completedNs));
  });
  if (!rpc_.isIdle()) {
    // The answer may have come while this doorbell ran: its time is read anew.
    rpc_.poll(now, [this](BatchHeader* batch) {
      complete(static_cast<uint32_t>(reinterpret_cast<uint8_t*>(batch) - local_), nowNs());
    });
  }
  if (heldCount_ != 0) releaseHeld(nowNs());
}

// All verbs of the batch have their status: it is handed back, at once or when its round trip would be over.
// Its verbs took effect when they were posted, earlier than on a network; only the answer is held back. Its
// time is when it is handed over: a client that comes late for it has waited so long.
void Session::complete(uint32_t offset, uint64_t now) {
  auto* batch = reinterpret_cast<BatchHeader*>(local_ + offset);
  const uint64_t dueNs = static_cast<uint64_t>(batch->postedNs) + options_.rttNs;
  batch->completedNs = static_cast<double>(now);
  if (dueNs <= now) pushCompletion(offset);
  else hold(offset, dueNs);
}

void Session::hold(uint32_t offset, uint64_t dueNs) {
  const uint32_t capacity = options_.queueCapacity;
  uint32_t at = heldCount_++;
  // Nearly always the last: only a batch that waited for an RPC is due before later ones.
  for (; at > 0; at--) {
    const Held& before = held_[(heldFirst_ + at - 1) % capacity];
    if (before.dueNs <= dueNs) break;
    held_[(heldFirst_ + at) % capacity] = before;
  }
  held_[(heldFirst_ + at) % capacity] = {offset, dueNs};
}

void Session::releaseHeld(uint64_t now) {
  while (heldCount_ != 0 && held_[heldFirst_].dueNs <= now) {
    const uint32_t offset = held_[heldFirst_].offset;
    reinterpret_cast<BatchHeader*>(local_ + offset)->completedNs = static_cast<double>(now);
    pushCompletion(offset);
    heldFirst_ = (heldFirst_ + 1) % options_.queueCapacity;
    heldCount_--;
  }
}

void Session::pushCompletion(uint32_t offset) {
  Control* shared = control();
  shared->submissions()[options_.queueCapacity + shared->completed++] = offset;
}

void Session::checksum() {
  Control* shared = control();
  const uint64_t offset = shared->crcOffset;
  const uint64_t bytes = shared->crcBytes;
  if (offset + bytes > options_.localBytes) return;
  shared->crcResult = crc32c(local_ + offset, bytes, shared->crcSeed);
}

}  // namespace fusee
