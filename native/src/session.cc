#include "session.h"

#include <algorithm>

namespace fusee {

std::shared_ptr<Session> Session::open(const SessionOptions& options, Failure& failure) {
  if (options.regions.size() > kMaxNodes) {
    failure.usage(std::to_string(options.regions.size()) + " regions: a client reaches at most " +
                  std::to_string(kMaxNodes) + " memory nodes");
    return nullptr;
  }
  uint8_t* local = takeMemory(options.localBytes, options.queueCapacity, failure);
  if (local == nullptr) return nullptr;
  std::shared_ptr<Session> session(new Session(options, local));
  return session->attach(options, failure) ? session : nullptr;
}

bool Session::attach(const SessionOptions& options, Failure& failure) {
  prefault_ = options.prefault;
  for (const std::string& name : options.regions) {
    const bool isAbsent = name.empty();
    auto region = isAbsent ? Region::absent(failure) : Region::attach(name, options.prefault, failure);
    if (region == nullptr || !rpc_.attach(region, failure)) return false;
    targets_.push_back({region->memory(), region->memoryBytes(), region->header()});
    regions_.push_back(std::move(region));
    holdsLife_.push_back(holdLife(life(static_cast<uint32_t>(regions_.size()) - 1), selfToken()));
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
  auto region = Region::attach(name, prefault_, failure);
  if (region == nullptr) return false;
  Life& former = life(mn);
  if (!rpc_.replace(mn, region, failure)) return false;
  if (holdsLife_[mn]) releaseLife(former);
  // The watcher writes to the regions that it watches: it ends before one of them goes. A death meanwhile is
  // found when it starts.
  watcher_.stop();
  targets_[mn] = {region->memory(), region->memoryBytes(), region->header()};
  regions_[mn] = std::move(region);
  holdsLife_[mn] = holdLife(life(mn), selfToken());
  return watch(failure) && (!touchesAhead_ || toucher_.start(regions_, failure));
}

Session::~Session() { Session::close(); }

void Session::close() {
  if (isClosed_) return;
  isClosed_ = true;
  watcher_.stop();
  toucher_.stop();
  for (uint32_t mn = 0; mn < regions_.size(); mn++)
    if (holdsLife_[mn]) releaseLife(life(mn));
  rpc_.detach();
  targetCount_ = 0;
  targets_.clear();
  regions_.clear();
}

std::vector<uint64_t> Session::memoryBytes() const {
  std::vector<uint64_t> bytes;
  for (const auto& region : regions_) bytes.push_back(region->memoryBytes());
  return bytes;
}

void Session::doorbell() {
  const uint32_t submitted = takeSubmissions();
  if (isClosed_) return;
  const uint64_t now = nowNs();
  // Verbs take effect when they are posted, earlier than on a network; only the answer is held back.
  executeDoorbell(executor(), local(), control()->submissions(), submitted, now,
                  [this](uint32_t offset, uint32_t rpcs) {
                    BatchHeader* batch = batchAt(offset);
                    batch->remaining = rpcs;
                    if (rpcs == 0) complete(offset, static_cast<uint64_t>(batch->completedNs));
                  });
  if (!rpc_.isIdle()) {
    // The answer may have come while this doorbell ran: its time is read anew.
    rpc_.poll(now, [this](BatchHeader* batch) {
      complete(static_cast<uint32_t>(reinterpret_cast<uint8_t*>(batch) - local()), nowNs());
    });
  }
  releaseHeld();
}

std::vector<ProcessToken> Session::endedProcesses() const {
  std::vector<ProcessToken> ended;
  for (const auto& region : regions_) {
    const RegionHeader* header = region->header();
    for (uint32_t group = 0; group < kRpcGroups; group++) {
      const ProcessToken token = __atomic_load_n(&header->rpcOwner[group], __ATOMIC_ACQUIRE);
      if (token == 0 || !hasEnded(header->lives[group], token)) continue;
      const bool isKnown = std::find(ended.begin(), ended.end(), token) != ended.end();
      if (!isKnown && haveSessionsEnded(token, regions_)) ended.push_back(token);
    }
  }
  return ended;
}

bool Session::meetsNic() const {
  for (const auto& region : regions_) {
    if (__atomic_load_n(&region->header()->atomicsByNic, __ATOMIC_SEQ_CST) != 0) return true;
  }
  return false;
}

}  // namespace fusee
