#include "verbs_session.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "clock.h"
#include "crc.h"

namespace fusee {
namespace {

constexpr uint64_t kIsReceive = uint64_t{1} << 63;
constexpr int kPolled = 32;
// Ten round trips of a NIC. Who waits longer waits for a processor: soft-RoCE's work is done by a thread of the
// kernel that may want this one, and so may the node, where both are on one host.
constexpr uint64_t kPatienceNs = 20'000;

uint64_t requestId(uint32_t mn, uint64_t entry, uint32_t verb) {
  return uint64_t{mn} << 56 | (entry & 0xffffffff) << 24 | verb;
}

// Soft-RoCE completes a READ or atomic by a plain ACK too: that of a WRITE ahead of it that was sent again,
// when the answer itself was lost. So where an answer is to come stands what no answer is.
constexpr uint64_t kNoAnswer = 0x8fd35b17c2e6a94d;

bool reads(const Descriptor& verb) { return verb.opcode != kWrite && verb.opcode != kRpc; }

}  // namespace

bool VerbsSession::isBatch(uint32_t offset) const {
  return (offset & 63) == 0 && uint64_t{offset} + sizeof(BatchHeader) <= options_.localBytes;
}

void VerbsSession::doorbell() {
  Control* shared = control();
  shared->completed = 0;
  if (isClosed_) return;
  const uint32_t* submissions = shared->submissions();
  const uint32_t count = std::min(shared->submitted, options_.queueCapacity);
  shared->submitted = 0;
  if (watcher_.hasNews()) [[unlikely]]
    noticeEnds();
  const uint64_t now = nowNs();
  for (uint32_t i = 0; i < count; i++) {
    // The ring is written by post() alone; anything else in it would lead outside.
    if (!isBatch(submissions[i])) [[unlikely]]
      return;
    BatchHeader* batch = batchAt(submissions[i]);
    batch->postedNs = static_cast<double>(now);
    batch->remaining = 1;
    submitted_.push_back({submissions[i], 0});
  }
  while (!submitted_.empty() && postBatch(submitted_.front())) {
    const uint32_t offset = submitted_.front().offset;
    submitted_.pop_front();
    release(offset);
  }
  ringAll();
  pollCompletions();
  if (callCount_ != 0) advanceCalls(now);
  if (count != 0 || shared->completed != 0) heardNs_ = now;
  else if (now - heardNs_ > kPatienceNs) sched_yield();
}

// False: a send queue is full; the rest of the batch goes when it has room, and nothing before that.
bool VerbsSession::postBatch(Submitted& submitted) {
  BatchHeader* batch = batchAt(submitted.offset);
  const uint64_t room = (options_.localBytes - submitted.offset) / sizeof(Descriptor) - 1;
  const auto count = static_cast<uint32_t>(std::min<uint64_t>(batch->count, room));
  bool isWhole = true;
  for (uint32_t i = submitted.next; i < count && isWhole; i++) {
    Descriptor& verb = batch->verbs()[i];
    Node* node = verb.mn < nodes_.size() ? nodes_[verb.mn].get() : nullptr;
    if (node == nullptr || node->isBroken || !isInReach(verb, options_.localBytes, node->memoryBytes)) {
      verb.status = kFail;
    } else if (!append(*node, verb.mn, submitted.offset, i)) {
      submitted.next = i;
      isWhole = false;
    }
  }
  closeEntries();
  return isWhole;
}

bool VerbsSession::append(Node& node, uint32_t mn, uint32_t offset, uint32_t index) {
  Descriptor& verb = batchAt(offset)->verbs()[index];
  if (verb.opcode == kRpc) {
    verb.status = kPending;
    batchAt(offset)->remaining++;
    callCount_++;
    const Waiting call{offset, index, nowNs() + options_.rpcTimeoutNs};
    if (!node.waitingCalls.empty() || !chainCall(node, mn, call)) node.waitingCalls.push_back(call);
    return true;
  }
  if (node.outstanding + node.chained >= node.shape.sends) return false;
  verb.status = kPending;
  openEntry(node, mn, offset, index);
  const bool isWrite = verb.opcode == kWrite;
  void* at = isWrite || verb.opcode == kRead ? local_ + verb.local : reinterpret_cast<uint8_t*>(&verb.found);
  ibv_send_wr& request = chain(node, mn, index, at, verb.length);
  const uint64_t remote = node.link->remote + remoteOffset(verb);
  if (verb.opcode <= kWrite) {
    request.opcode = isWrite ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ;
    request.wr.rdma.remote_addr = remote;
    request.wr.rdma.rkey = node.link->remoteKey;
    if (isWrite && verb.length <= node.shape.inlineBytes) request.send_flags |= IBV_SEND_INLINE;
    if (isWrite && node.hasRead) request.send_flags |= IBV_SEND_FENCE;
  } else {
    request.opcode = verb.opcode == kCas ? IBV_WR_ATOMIC_CMP_AND_SWP : IBV_WR_ATOMIC_FETCH_AND_ADD;
    request.wr.atomic.remote_addr = remote;
    request.wr.atomic.rkey = node.link->remoteKey;
    request.wr.atomic.compare_add = verb.expect;
    request.wr.atomic.swap = verb.swap;
  }
  node.hasRead |= reads(verb);
  if (device_->isSoftware() && reads(verb) && verb.length >= sizeof kNoAnswer)
    std::memcpy(static_cast<uint8_t*>(at) + verb.length - sizeof kNoAnswer, &kNoAnswer, sizeof kNoAnswer);
  return true;
}

// The first verb of the entry that has no answer though it completed; behind its last when all have one.
uint32_t VerbsSession::unanswered(uint32_t mn, const Entry& entry) const {
  if (entry.offset == kNoBatch || !device_->isSoftware()) return entry.last + 1;
  const Descriptor* verbs = batchAt(entry.offset)->verbs();
  for (uint32_t i = entry.first; i <= entry.last; i++) {
    const Descriptor& verb = verbs[i];
    if (verb.mn != mn || !reads(verb) || verb.status != kPending || verb.length < sizeof kNoAnswer) continue;
    const uint8_t* found = reinterpret_cast<const uint8_t*>(&verb.found);
    const uint8_t* end = verb.opcode == kRead ? local_ + verb.local + verb.length : found + sizeof verb.found;
    if (std::memcmp(end - sizeof kNoAnswer, &kNoAnswer, sizeof kNoAnswer) == 0) return i;
  }
  return entry.last + 1;
}

void VerbsSession::openEntry(Node& node, uint32_t mn, uint32_t offset, uint32_t index) {
  if (node.open.requests == 0) {
    node.open = {offset, index, index, 0};
    touched_.push_back(mn);
  }
  node.open.last = index;
}

// One more work request behind those that the next post takes.
ibv_send_wr& VerbsSession::chain(Node& node, uint32_t mn, uint32_t index, void* at, uint32_t bytes) {
  ibv_send_wr& request = node.requests[node.chained];
  ibv_sge& place = node.places[node.chained];
  if (node.chained > 0) node.requests[node.chained - 1].next = &request;
  place = {reinterpret_cast<uint64_t>(at), bytes, memory_->lkey};
  request = {};
  request.wr_id = requestId(mn, node.firstEntry + node.entries.size(), index);
  request.sg_list = &place;
  request.num_sge = bytes == 0 ? 0 : 1;
  node.chained++;
  node.open.requests++;
  return request;
}

// False: no place at the node is free, or the send queue is full.
bool VerbsSession::chainCall(Node& node, uint32_t mn, const Waiting& waiting) {
  uint32_t slot = 0;
  while (slot < kVerbsCalls && node.calls[slot].state != CallState::kIdle) slot++;
  if (slot == kVerbsCalls || node.outstanding + node.chained >= node.shape.sends) return false;
  Descriptor& verb = batchAt(waiting.offset)->verbs()[waiting.verb];
  VerbsFrame& frame = node.sends[slot];
  frame = {};
  frame.kind = kCallFrame;
  frame.bytes = std::min(verb.length, kRpcBytes);
  std::memcpy(frame.payload, local_ + verb.local, frame.bytes);
  openEntry(node, mn, waiting.offset, waiting.verb);
  sendFrame(node, mn, waiting.verb, slot);
  node.calls[slot] = {&verb, waiting.offset, waiting.deadlineNs, frame.number, CallState::kCalling};
  return true;
}

void VerbsSession::sendFrame(Node& node, uint32_t mn, uint32_t index, uint32_t slot) {
  VerbsFrame& frame = node.sends[slot];
  frame.number = ++callNumber_ * kVerbsCalls + slot;
  ibv_send_wr& request = chain(node, mn, index, &frame, sizeof frame);
  request.opcode = IBV_WR_SEND;
  if (sizeof frame <= node.shape.inlineBytes) request.send_flags |= IBV_SEND_INLINE;
  if (node.hasRead) request.send_flags |= IBV_SEND_FENCE;
}

// The last work request of a batch in each queue pair is the one that tells.
void VerbsSession::closeEntries() {
  for (const uint32_t mn : touched_) {
    Node& node = *nodes_[mn];
    node.requests[node.chained - 1].send_flags |= IBV_SEND_SIGNALED;
    if (node.open.offset != kNoBatch) batchAt(node.open.offset)->remaining++;
    node.entries.push_back(node.open);
    node.open = {};
    node.hasRead = false;
  }
  touched_.clear();
}

void VerbsSession::ringAll() {
  for (uint32_t mn = 0; mn < nodes_.size(); mn++) {
    Node& node = *nodes_[mn];
    if (node.chained == 0) continue;
    ibv_send_wr* bad = nullptr;
    const int error = ibv_post_send(node.link->qp, node.requests.data(), &bad);
    node.outstanding += node.chained;
    node.chained = 0;
    if (error != 0) [[unlikely]]
      breakNode(mn, std::string("ibv_post_send: ") + std::strerror(error), node.firstEntry, 0);
  }
}

void VerbsSession::pollCompletions() {
  ibv_wc done[kPolled];
  for (int count = kPolled; count == kPolled;) {
    count = ibv_poll_cq(cq_, kPolled, done);
    for (int i = 0; i < count; i++) completed(done[i]);
  }
}

void VerbsSession::completed(const ibv_wc& done) {
  const auto mn = static_cast<uint32_t>(done.wr_id >> 56 & 63);
  Node& node = *nodes_[mn];
  if (node.isBroken) return;
  const bool isReceive = (done.wr_id & kIsReceive) != 0;
  const auto entry = static_cast<uint32_t>(done.wr_id >> 24);
  const auto verb = static_cast<uint32_t>(done.wr_id & 0xffffff);
  if (done.status != IBV_WC_SUCCESS) [[unlikely]] {
    breakNode(mn, ibv_wc_status_str(done.status), isReceive ? static_cast<uint32_t>(node.firstEntry) : entry,
              isReceive ? 0 : verb);
  } else if (isReceive) {
    received(node, mn, verb, done.byte_len);
  } else if (!node.entries.empty() && entry == static_cast<uint32_t>(node.firstEntry)) {
    const Entry finished = node.entries.front();
    const uint32_t answered = unanswered(mn, finished);
    if (answered <= finished.last) [[unlikely]]
      return breakNode(mn, "soft-RoCE has lost the answer of a READ or atomic", entry, answered);
    node.entries.pop_front();
    node.firstEntry++;
    node.outstanding -= finished.requests;
    finishEntry(mn, finished, finished.last + 1);
  }
}

// Verbs of the entry before `okEnd` have executed, the others have no answer.
void VerbsSession::finishEntry(uint32_t mn, const Entry& entry, uint32_t okEnd) {
  if (entry.offset == kNoBatch) return;
  Descriptor* verbs = batchAt(entry.offset)->verbs();
  for (uint32_t i = entry.first; i <= entry.last; i++) {
    Descriptor& verb = verbs[i];
    if (verb.mn != mn || verb.opcode == kRpc || verb.status != kPending) continue;
    verb.status = i < okEnd ? kOk : kFail;
    if (verb.status == kOk && verb.opcode == kRead && verb.swap == kReadsObject)
      checkObject(local_ + verb.local, verb);
  }
  release(entry.offset);
}

// The queue pair ends. Of entry number `entry` the verbs before `verb` are known to have executed.
void VerbsSession::breakNode(uint32_t mn, const std::string& reason, uint32_t entry, uint32_t verb) {
  Node& node = *nodes_[mn];
  node.isBroken = true;
  if (node.reason.empty()) node.reason = reason;
  if (const std::string trouble = watcher_.trouble(); !trouble.empty()) node.reason += " (" + trouble + ")";
  node.link->breakOff();
  auto number = static_cast<uint32_t>(node.firstEntry);
  const std::deque<Entry> entries = std::exchange(node.entries, {});
  for (const Entry& one : entries) finishEntry(mn, one, number++ == entry ? verb : 0);
  node.outstanding = 0;
  for (Call& call : node.calls) {
    if (call.state == CallState::kCalling && call.verb != nullptr) finishCall(call.offset, *call.verb, kFail);
    if (call.state == CallState::kCalling && call.verb == nullptr) fencesLost_++;
    call.state = CallState::kIdle;
  }
  for (const Waiting& call : std::exchange(node.waitingCalls, {}))
    finishCall(call.offset, batchAt(call.offset)->verbs()[call.verb], kFail);
}

// What completed well before the end is taken first: it counts.
void VerbsSession::noticeEnds() {
  for (const VerbsWatcher::End& end : watcher_.take()) {
    Node& node = *nodes_[end.mn];
    if (node.isBroken) continue;
    node.reason = end.reason;
    node.link->breakOff();
    pollCompletions();
    if (!node.isBroken) breakNode(end.mn, end.reason, static_cast<uint32_t>(node.firstEntry), 0);
  }
}

void VerbsSession::release(uint32_t offset) {
  BatchHeader* batch = batchAt(offset);
  if (--batch->remaining != 0) return;
  batch->completedNs = static_cast<double>(nowNs());
  Control* shared = control();
  if (shared->completed >= options_.queueCapacity) return;
  shared->submissions()[options_.queueCapacity + shared->completed++] = offset;
}

void VerbsSession::checksum() {
  Control* shared = control();
  const uint64_t offset = shared->crcOffset;
  const uint64_t bytes = shared->crcBytes;
  if (offset + bytes > options_.localBytes) return;
  shared->crcResult = crc32c(local_ + offset, bytes, shared->crcSeed);
}

void VerbsSession::replay(uint32_t offset, double* timesNs, uint32_t rounds) {
  if (!isBatch(offset)) return;
  Control* shared = control();
  for (uint32_t round = 0; round < rounds; round++) {
    shared->submissions()[0] = offset;
    shared->submitted = 1;
    for (doorbell(); shared->completed == 0 && !isClosed_;) doorbell();
    const BatchHeader* batch = batchAt(offset);
    timesNs[round] = batch->completedNs - batch->postedNs;
  }
}

}  // namespace fusee
