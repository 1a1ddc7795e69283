// What sessions of all fabrics have in common: registered memory, the rings that they share with TypeScript,
// the clock, checksums, and completions that are held back.
#pragma once
#include <cstdint>
#include <vector>

#include "clock.h"
#include "failure.h"
#include "verbs.h"

namespace fusee {

// The words that session and TypeScript share, ahead of the two rings of batch offsets.
struct Control {
  uint32_t submitted;  // entries of the submission ring; the doorbell takes them all and sets 0
  uint32_t completed;  // entries of the completion ring; set anew by each doorbell
  double nowNs;
  uint32_t crcOffset;
  uint32_t crcBytes;
  uint32_t crcSeed;
  uint32_t crcResult;
  double leaseNs;  // no batch is handed back after that time; 0: whenever it is complete
  uint32_t unused[6];
  uint32_t* submissions() { return reinterpret_cast<uint32_t*>(this + 1); }
};
static_assert(sizeof(Control) == 64);

// Registered memory outlives close(): TypeScript may hold its buffers and call the doorbell for as long as it
// likes, so everything that can reach a session shares its ownership, and a closed doorbell does nothing.
class SessionCore {
 public:
  SessionCore(const SessionCore&) = delete;
  SessionCore& operator=(const SessionCore&) = delete;
  virtual ~SessionCore();

  // Takes what was submitted, moves on what is under way, fills the completion ring. Never blocks.
  virtual void doorbell() = 0;
  // Detaches from the nodes.
  virtual void close() = 0;
  // By MN; 0 of one that is known to be dead.
  virtual std::vector<uint64_t> memoryBytes() const = 0;
  void stampNow() { control()->nowNs = static_cast<double>(fusee::nowNs()); }
  void checksum();

  uint8_t* local() const { return local_; }
  uint64_t localBytes() const { return localBytes_; }
  Control* control() const { return reinterpret_cast<Control*>(local_ + localBytes_); }
  uint64_t controlBytes() const { return controlBytes(queueCapacity_); }

 protected:
  // Takes over memory from takeMemory() of the same sizes.
  SessionCore(uint8_t* local, uint64_t localBytes, uint32_t queueCapacity, uint64_t rttNs)
      : local_(local),
        localBytes_(localBytes),
        queueCapacity_(queueCapacity),
        rttNs_(rttNs),
        held_(queueCapacity) {}
  static uint8_t* takeMemory(uint64_t localBytes, uint32_t queueCapacity, Failure& failure);
  static uint64_t controlBytes(uint32_t queueCapacity) {
    return sizeof(Control) + uint64_t{queueCapacity} * 8;
  }

  // Begins a doorbell: the submissions, each of them a batch in registered memory. What was submitted is
  // gone then; 0 of them when something else is in the ring.
  uint32_t takeSubmissions();
  BatchHeader* batchAt(uint32_t offset) const { return reinterpret_cast<BatchHeader*>(local_ + offset); }
  // All verbs of the batch have their status: it is handed back, at once or when its round trip would be
  // over. Its time is when it is handed over: a client that comes late for it has waited so long.
  void complete(uint32_t offset, uint64_t now);
  // Ends the doorbell of a fabric whose fence is less than death, behind releaseHeld(): while the client's
  // lease may have ended, what is complete waits. It is looked at when answers have been taken: so whatever
  // is handed back was executed while the client counted as a member.
  void keepToLease() {
    const double leaseNs = control()->leaseNs;
    if (leaseNs == 0 || (control()->completed == 0 && lapsed_.empty())) return;
    keepToLease(leaseNs);
  }
  // Ends a doorbell.
  void releaseHeld() {
    if (heldCount_ != 0) release(fusee::nowNs());
  }

 private:
  void keepToLease(double leaseNs);
  struct Held {
    uint32_t offset;
    uint64_t dueNs;
  };
  void hold(uint32_t offset, uint64_t dueNs);
  void release(uint64_t now);
  void pushCompletion(uint32_t offset);
  bool isBatch(uint32_t offset) const {
    return (offset & 63) == 0 && uint64_t{offset} + sizeof(BatchHeader) <= localBytes_;
  }

  uint8_t* local_;
  uint64_t localBytes_;
  uint32_t queueCapacity_;
  uint64_t rttNs_;
  std::vector<uint32_t> lapsed_;  // complete, but for the lease
  std::vector<Held> held_;  // a ring, by due time
  uint32_t heldFirst_ = 0;
  uint32_t heldCount_ = 0;
};

}  // namespace fusee
