// A memory node's memory: a file in /dev/shm, with the fabric's own header ahead of the MN's offset 0.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "failure.h"
#include "life.h"
#include "process.h"
#include "verbs.h"

namespace fusee {

constexpr uint64_t kRegionMagic = 0x314d485345535546;  // "FUSESHM1"
constexpr uint32_t kFabricVersion = 2;

// RPC slots: each client claims one group, so that several of its coroutines can call a node at once. A group
// never crosses a word of the pending bitmap.
constexpr uint32_t kRpcGroupSlots = 4;
constexpr uint32_t kRpcGroups = 256;
constexpr uint32_t kRpcSlots = kRpcGroupSlots * kRpcGroups;

// A slot goes FREE -> REQUEST (client) -> SERVING (node) -> RESPONSE (node) -> FREE (client). Its word holds
// the phase in two bits under a sequence number, so that an answer is matched with its request. A request can
// be cancelled by a compare-and-swap from REQUEST to FREE for as long as the node has not begun to serve it.
enum RpcPhase : uint32_t { kFree = 0, kRequest = 1, kServing = 2, kResponse = 3 };
inline uint32_t rpcPhase(uint32_t word) { return word & 3; }
inline uint32_t rpcSequence(uint32_t word) { return word >> 2; }
inline uint32_t rpcWord(uint32_t sequence, RpcPhase phase) { return sequence << 2 | phase; }
constexpr uint32_t kRpcRefused = 0xffffffff;  // responseBytes when the node's service gave no answer

struct alignas(64) RpcSlot {
  uint32_t word;
  uint32_t requestBytes;
  uint32_t responseBytes;
  ProcessToken requester;  // of the last request: the slot may have changed hands while it is being served
  alignas(64) uint8_t request[128];
  uint8_t response[128];
};
static_assert(sizeof(RpcSlot) == 320 && kRpcBytes <= 128);

// Magic, version and owner keep their places in every version: attaching and sweeping read them first.
struct RegionHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t ready;  // set last, with release: the memory is formatted
  ProcessToken owner;
  uint64_t memoryBytes;
  uint32_t atomicsByNic;  // served over verbs: no processor may CAS or FAA what clients do
  alignas(64) uint32_t dead;      // read after every verb, so alone on its line
  alignas(64) uint32_t rpcWakes;  // futex that the node's service thread sleeps on
  alignas(64) uint64_t rpcPending[kRpcSlots / 64];
  alignas(64) ProcessToken rpcOwner[kRpcGroups];
  alignas(64) RpcSlot slots[kRpcSlots];
  Life lives[kRpcGroups];  // of whoever owns that group
};

// Whole pages, so that MN offset 0 is page aligned.
constexpr uint64_t kHeaderBytes = (sizeof(RegionHeader) + 4095) / 4096 * 4096;

constexpr const char* kShmFolder = "/dev/shm";

class Region {
 public:
  // Makes the region under its name, or nothing at all. The memory is zero and not yet ready.
  static std::shared_ptr<Region> create(const std::string& name, uint64_t memoryBytes, bool prefault,
                                        Failure&);
  // Maps the region of a living owner that has declared it ready.
  static std::shared_ptr<Region> attach(const std::string& name, bool prefault, Failure&);
  // In place of an MN that is known to be dead: no memory, and every verb FAILs.
  static std::shared_ptr<Region> absent(Failure&);
  // Zeroed memory of this process alone, ready, without a name: for tests of what works on a region.
  static std::shared_ptr<Region> anonymous(uint64_t memoryBytes, Failure&);
  // As attach, for a fence: the owner may be dead and the memory unformatted.
  static std::shared_ptr<Region> inspect(const std::string& name, Failure&);
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  RegionHeader* header() const { return reinterpret_cast<RegionHeader*>(base_); }
  uint8_t* memory() const { return base_ + kHeaderBytes; }
  uint64_t memoryBytes() const { return memoryBytes_; }
  const std::string& name() const { return name_; }

  void setReady();
  // Verbs FAIL from now on, everywhere: what the owner, which lives, has in its memory counts for nothing.
  void fence() { __atomic_store_n(&header()->dead, 1, __ATOMIC_SEQ_CST); }
  bool isDead() const { return __atomic_load_n(&header()->dead, __ATOMIC_SEQ_CST) != 0; }
  // The owner's: takes another name, in place of whatever had it; under the old one nobody finds it any more.
  bool rename(const std::string& name, Failure&);
  // The owner's end: verbs FAIL from now on, and the name is gone. The mapping stays until the last
  // reference.
  void retire();

 private:
  Region(std::string name, uint8_t* base, uint64_t memoryBytes)
      : name_(std::move(name)), base_(base), memoryBytes_(memoryBytes) {}
  static std::shared_ptr<Region> open(const std::string& name, Failure&);
  bool prefault(Failure&);
  void own(uint64_t device, uint64_t inode);

  std::string name_;
  uint8_t* base_;
  uint64_t memoryBytes_;
  bool isOwner_ = false;
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
};

// Removes regions whose name begins with `prefix` and whose owner is gone; returns their names.
std::vector<std::string> sweepRegions(const std::string& prefix);

// True for a name that cannot leave the folder: "fusee-" and then letters, digits, dots, dashes, underscores.
bool isRegionName(const std::string& name);

}  // namespace fusee
