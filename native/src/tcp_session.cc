#include "tcp_session.h"

#include <poll.h>

#include <algorithm>

namespace fusee {
namespace {

// A connection that breaks is to be followed by another within this time: below the time that a request has.
constexpr uint64_t kResumeNs = 800'000'000;
constexpr uint64_t kDrainNs = 1'000'000'000;
// Doorbells in vain before the thread sleeps until something comes: the node may need this very core, and
// where more run than there are cores, who never sleeps waits the longest. To yield is no way out: whoever
// yields comes last, while a sleeper that has something to do is let in at once.
constexpr uint32_t kIdleDoorbells = 32;
constexpr timespec kSleep{0, 50'000};

}  // namespace

std::shared_ptr<TcpSession> TcpSession::open(TcpSessionOptions options, Failure& failure) {
  if (options.addresses.size() > kMaxNodes) {
    failure.usage(std::to_string(options.addresses.size()) + " nodes: a client reaches at most " +
                  std::to_string(kMaxNodes));
    return nullptr;
  }
  uint8_t* local = takeMemory(options.localBytes, options.queueCapacity, failure);
  if (local == nullptr) return nullptr;
  std::shared_ptr<TcpSession> session(new TcpSession(std::move(options), local));
  return session->connect(failure) ? session : nullptr;
}

bool TcpSession::connect(Failure& failure) {
  const uint64_t deadlineNs = nowNs() + options_.connectTimeoutNs;
  for (const std::string& address : options_.addresses) {
    auto link = address.empty() ? std::make_unique<TcpLink>()
                                : TcpLink::open(address, options_.identity, deadlineNs, failure);
    if (link == nullptr) return false;
    links_.push_back(std::move(link));
  }
  return true;
}

bool TcpSession::reattach(uint32_t mn, const std::string& address, uint64_t deadlineNs, Failure& failure) {
  if (isClosed_ || mn >= links_.size()) {
    failure.usage("no memory node " + std::to_string(mn) + ", or the fabric is closed");
    return false;
  }
  options_.addresses[mn] = address;
  if (links_[mn]->isResuming()) resuming_--;
  cutting_ &= ~(uint64_t{1} << mn);
  // Whoever had the place is let go first: nobody is to ask it for anything any more.
  links_[mn] = std::make_unique<TcpLink>();
  auto link = TcpLink::open(address, options_.identity, deadlineNs, failure);
  if (link == nullptr) return false;
  links_[mn] = std::move(link);
  return true;
}

void TcpSession::close() {
  if (isClosed_) return;
  isClosed_ = true;
  const uint64_t deadlineNs = nowNs() + kDrainNs;
  for (auto& link : links_) link->drain(deadlineNs);
  links_.clear();
  waiting_.clear();
}

std::vector<uint64_t> TcpSession::memoryBytes() const {
  std::vector<uint64_t> bytes;
  for (const auto& link : links_) bytes.push_back(link->memoryBytes());
  return bytes;
}

std::vector<uint64_t> TcpSession::nodes() const {
  std::vector<uint64_t> nodes;
  for (const auto& link : links_) nodes.push_back(link->node());
  return nodes;
}

void TcpSession::doorbell() {
  const uint32_t submitted = takeSubmissions();
  if (isClosed_) return;
  const uint64_t now = nowNs();
  const uint32_t* submissions = control()->submissions();
  for (uint32_t i = 0; i < submitted; i++) {
    batchAt(submissions[i])->postedNs = static_cast<double>(now);
    waiting_.push_back(submissions[i]);
  }
  hasHeard_ = submitted > 0;
  if (cutting_ != 0) [[unlikely]] cutLinks();
  if (resuming_ > 0) [[unlikely]] lookResumed(now);
  sendAll(now);
  receiveAll(now);
  releaseHeld();
  keepToLease();
  if (hasHeard_) idleDoorbells_ = 0;
  else if (++idleDoorbells_ > kIdleDoorbells) sleepAWhile();
}

void TcpSession::sleepAWhile() {
  pollfd fds[kMaxNodes];
  nfds_t count = 0;
  for (const auto& link : links_) {
    if (link->isOpen() && !link->isIdle()) fds[count++] = {link->fd(), POLLIN, 0};
  }
  ppoll(fds, count, &kSleep, nullptr);
}

void TcpSession::sendAll(uint64_t now) {
  // More than one queue of bytes goes out in pieces, as far as the sockets take them.
  for (bool isFull = true; isFull;) {
    isFull = false;
    for (auto& link : links_)
      if (link->hasAgain() && !sendAgain(*link, now)) isFull = true;
    while (!waiting_.empty() && !isFull) {
      const uint32_t offset = waiting_.front();
      if (sendBatch(offset, now)) {
        waiting_.pop_front();
        sending_ = {};
      } else {
        isFull = true;
      }
    }
    bool hasMoved = false;
    for (uint32_t mn = 0; mn < links_.size(); mn++) {
      TcpLink& link = *links_[mn];
      if (!link.isOpen()) continue;
      const size_t before = link.room();
      if (!link.flush()) breakLink(mn);
      hasMoved |= !link.isOpen() || link.room() > before;
    }
    isFull = isFull && hasMoved;
  }
}

// True when all of it has been handed to the links.
bool TcpSession::sendBatch(uint32_t offset, uint64_t now) {
  BatchHeader* batch = batchAt(offset);
  if (sending_.count == 0) {
    const auto room = (localBytes() - offset) / sizeof(Descriptor) - 1;
    sending_.count = static_cast<uint32_t>(std::min<uint64_t>(batch->count, room));
    if (sending_.count == 0) {
      complete(offset, nowNs());
      return true;
    }
    batch->remaining = sending_.count;
  }
  while (sending_.verb < sending_.count) {
    if (!sendVerb(offset, batch->verbs()[sending_.verb], now)) return false;
    sending_.verb++;
    sending_.isBegun = false;
  }
  return true;
}

// False when it has to go on later.
bool TcpSession::sendVerb(uint32_t offset, Descriptor& verb, uint64_t now) {
  if (verb.mn >= links_.size()) {
    verb.status = kFail;
    verbDone(offset);
    return true;
  }
  TcpLink& link = *links_[verb.mn];
  if (link.isResuming() || (link.hasAgain() && !sendAgain(link, now))) return false;
  if (!sending_.isBegun && !beginVerb(link, offset, verb, sending_.current, now)) return false;
  sending_.isBegun = true;
  return putBytes(link, sending_.current);
}

// What the former connection of the link had not executed goes first. False when it has to go on later.
bool TcpSession::sendAgain(TcpLink& link, uint64_t now) {
  for (;;) {
    if (link.isResuming() || !putBytes(link, link.sendingAgain)) return false;
    if (link.room() < sizeof(TcpRequest)) return !link.hasAgain();
    uint32_t batch = 0;
    Descriptor* const verb = link.beginAgain(batch);
    if (verb == nullptr) return true;
    beginVerb(link, batch, *verb, link.sendingAgain, now);
  }
}

// A link that broke in the middle has seen to the verb. False when the rest has to go later.
bool TcpSession::putBytes(TcpLink& link, Sending& sending) {
  while (link.isOpen() && sending.left > 0) {
    const auto step = static_cast<uint32_t>(std::min<size_t>(link.room(), sending.left));
    if (step == 0) return false;
    link.queue(local() + sending.local, step);
    sending.local += step;
    sending.left -= step;
  }
  return true;
}

// False when there is no room for its header. One that cannot be sent FAILs.
bool TcpSession::beginVerb(TcpLink& link, uint32_t offset, Descriptor& verb, Sending& sending, uint64_t now) {
  sending = {};
  // Posting refused what reaches outside, so such a descriptor was changed afterwards.
  if (!link.isOpen() || !isInReach(verb, localBytes(), link.memoryBytes())) {
    verb.status = kFail;
    verbDone(offset);
    return true;
  }
  if (link.room() < sizeof(TcpRequest)) return false;
  const auto opcode = static_cast<uint8_t>(verb.opcode);
  TcpRequest request{opcode, {}, verb.length, remoteOffset(verb), verb.expect, verb.swap};
  verb.status = kPending;
  if (verb.opcode == kRpc) {
    request.remote = ++calls_;
    request.expect = request.swap = 0;
    const auto into = static_cast<uint32_t>(verb.expect);
    const auto capacity = static_cast<uint32_t>(verb.expect >> 32);
    link.expect(SentCall{calls_, &verb, offset, into, capacity, now + options_.rpcTimeoutNs});
  } else {
    const bool isObject = verb.opcode == kRead && verb.swap == kReadsObject;
    if (verb.opcode >= kCas) request.bytes = 8;
    link.expect(SentVerb{&verb, offset, verb.opcode, verb.local, verb.length, isObject}, now);
  }
  link.queue(&request, sizeof request);
  if (verb.opcode == kWrite || verb.opcode == kRpc) sending = {verb.local, verb.length};
  return true;
}

void TcpSession::receiveAll(uint64_t now) {
  const auto onDone = [this](uint32_t offset) { verbDone(offset); };
  for (uint32_t mn = 0; mn < links_.size(); mn++) {
    TcpLink& link = *links_[mn];
    if (!link.isOpen() || link.isIdle()) continue;
    if (!link.receive(local(), now, onDone) || link.isSilent(now, options_.silenceNs)) breakLink(mn);
    else link.expireCalls(now, onDone);
  }
}

void TcpSession::breakLink(uint32_t mn) {
  TcpLink& link = *links_[mn];
  const auto onDone = [this](uint32_t offset) { verbDone(offset); };
  if (link.suspend(options_.addresses[mn], options_.identity, nowNs() + kResumeNs, onDone)) {
    if (link.isResuming()) {
      resuming_++;
      // One whose bytes were on their way is sent again as a whole; a call has its status.
      stopSending(mn);
      return;
    }
  }
  stopSending(mn);
  link.fail(onDone);
}

// Nothing more of the verb that is being sent goes out, if it is one to that MN.
void TcpSession::stopSending(uint32_t mn) {
  const bool isBegun = !waiting_.empty() && sending_.isBegun;
  if (isBegun && batchAt(waiting_.front())->verbs()[sending_.verb].mn == mn) sending_.current.left = 0;
}

void TcpSession::cutLinks() {
  const auto onDone = [this](uint32_t offset) { verbDone(offset); };
  for (uint32_t mn = 0; mn < links_.size(); mn++) {
    if ((cutting_ >> mn & 1) == 0) continue;
    TcpLink& link = *links_[mn];
    if (link.isResuming()) resuming_--;
    stopSending(mn);
    link.sendingAgain = {};
    link.fail(onDone);
  }
  cutting_ = 0;
}

void TcpSession::lookResumed(uint64_t now) {
  const auto onDone = [this](uint32_t offset) { verbDone(offset); };
  for (auto& link : links_) {
    if (!link->isResuming()) continue;
    const TcpLink::Resumed came = link->lookResumed(now, onDone);
    if (came == TcpLink::Resumed::kNotYet) continue;
    resuming_--;
    if (came == TcpLink::Resumed::kFailed) link->fail(onDone);
  }
}

void TcpSession::verbDone(uint32_t offset) {
  hasHeard_ = true;
  BatchHeader* batch = batchAt(offset);
  if (--batch->remaining == 0) complete(offset, nowNs());
}

bool fenceOverTcp(const std::vector<std::string>& addresses, const TcpIdentity& identity, ClientKey key,
                  uint64_t deadlineNs, Failure& failure) {
  bool isFenced = true;
  for (const std::string& address : addresses) {
    Failure missed;
    const auto link = TcpLink::open(address, identity, deadlineNs, missed);
    if (link != nullptr && link->fence(key, deadlineNs, missed)) continue;
    if (isFenced) failure = missed;
    isFenced = false;
  }
  return isFenced;
}

}  // namespace fusee
