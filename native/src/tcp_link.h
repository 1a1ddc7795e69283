// The client's side of one connection: what waits to be sent, what is to be answered, and what became of it.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "byte_queue.h"
#include "tcp_protocol.h"
#include "tcp_socket.h"

namespace fusee {

// What a client brings to all its nodes.
struct TcpIdentity {
  std::vector<uint8_t> secret;
  ClientKey key;
};

constexpr size_t kLinkQueueBytes = 512 << 10;

// A verb that the node has been sent. Taken from its descriptor when it was: nothing of it is read again but
// to leave what came back.
struct SentVerb {
  Descriptor* verb;
  uint32_t batch;  // its offset
  uint32_t opcode;
  uint32_t local;  // of a READ
  uint32_t length;
  bool isObject;
};
struct SentCall {
  uint64_t number;
  Descriptor* verb;
  uint32_t batch;
  uint32_t local;  // of the answer
  uint32_t capacity;
  uint64_t deadlineNs;
};

class TcpResumption;

// The bytes of a verb whose header has been sent: they go out as there is room.
struct Sending {
  uint32_t local = 0;
  uint32_t left = 0;
};

class TcpLink {
 public:
  // In place of a node that is known to be dead: every verb FAILs.
  TcpLink() : outgoing_(0), incoming_(0) {}
  // Connects, proves that both know the secret, and learns the node's size.
  // `isFinal` says of a failure that trying again is of no use.
  static std::unique_ptr<TcpLink> open(const std::string& address, const TcpIdentity& identity,
                                       uint64_t deadlineNs, Failure& failure, bool* isFinal = nullptr);
  ~TcpLink();

  bool isOpen() const { return fd_.isOpen(); }
  // The connection has broken, and another is made that goes on with it: verbs wait.
  bool isResuming() const { return resumption_ != nullptr; }
  int fd() const { return fd_.get(); }
  uint64_t memoryBytes() const { return memoryBytes_; }
  uint64_t node() const { return node_; }
  bool isIdle() const { return sent_.empty() && calls_.empty() && again_.empty(); }

  size_t room() { return outgoing_.room(); }
  void queue(const void* from, size_t bytes) { outgoing_.add(from, bytes); }
  void expect(const SentVerb& verb, uint64_t now) {
    if (sent_.empty()) heardNs_ = now;
    sent_.push_back(verb);
  }
  void expect(const SentCall& call) { calls_.push_back(call); }

  // Sends all that waits, as far as the socket takes it, by one system call as long as it takes everything.
  // False: the connection is broken.
  bool flush();
  // Takes in what is there. False: the connection is broken. `onDone(batch offset)` for each verb that has
  // its status.
  template <typename OnDone>
  bool receive(uint8_t* local, uint64_t now, OnDone&& onDone) {
    for (;;) {
      const ssize_t got = takeIn();
      if (got < 0) return false;
      if (got == 0) return true;
      heardNs_ = now;
      uint32_t batch;
      for (;;) {
        const Parsed parsed = parse(local, batch);
        if (parsed == Parsed::kNonsense) {
          isSound_ = false;
          return false;
        }
        if (parsed == Parsed::kMore) break;
        if (parsed == Parsed::kDone) onDone(batch);
      }
      if (static_cast<size_t>(got) < wanted_) return true;
    }
  }
  // Calls that have run out of time FAIL; their answers will be dropped.
  template <typename OnDone>
  void expireCalls(uint64_t now, OnDone&& onDone) {
    for (size_t i = 0; i < calls_.size();) {
      if (now <= calls_[i].deadlineNs) {
        i++;
        continue;
      }
      calls_[i].verb->status = kFail;
      const uint32_t batch = calls_[i].batch;
      calls_.erase(calls_.begin() + static_cast<ptrdiff_t>(i));
      onDone(batch);
    }
  }
  // Since when nothing was heard although something should have been.
  bool isSilent(uint64_t now, uint64_t silenceNs) const {
    return !sent_.empty() && now - heardNs_ > silenceNs;
  }
  // All that has no answer FAILs, and will.
  template <typename OnDone>
  void fail(OnDone&& onDone) {
    fd_.reset();
    resumption_.reset();
    for (const auto* verbs : {&sent_, &again_}) {
      for (const SentVerb& sent : *verbs) {
        sent.verb->status = kFail;
        onDone(sent.batch);
      }
    }
    sent_.clear();
    again_.clear();
    failCalls(onDone);
  }
  // The connection is broken: begins to make another that goes on with it, beside all else. Calls FAIL,
  // since only who made them knows how they are repeated. False: no use in trying.
  template <typename OnDone>
  bool suspend(const std::string& address, const TcpIdentity& identity, uint64_t deadlineNs,
               OnDone&& onDone) {
    if (!isSound_ || name_ == 0) return false;
    fd_.reset();
    failCalls(onDone);
    resume(address, identity, deadlineNs);
    return true;
  }
  enum class Resumed { kNotYet, kDone, kFailed };
  // Looks whether the other connection is there. What has executed is answered then, and all else is to be
  // sent again, ahead of anything new: next(), as long as there is something.
  template <typename OnDone>
  Resumed lookResumed(uint64_t now, OnDone&& onDone) {
    std::vector<SentVerb> executed;
    const Resumed result = takeOver(now, executed);
    for (const SentVerb& sent : executed) {
      sent.verb->status = kOk;
      onDone(sent.batch);
    }
    return result;
  }
  bool hasAgain() const { return !again_.empty() || sendingAgain.left > 0; }
  // The next one, which is begun by that; null: there is none.
  Descriptor* beginAgain(uint32_t& batch) {
    if (again_.empty()) return nullptr;
    batch = again_.front().batch;
    Descriptor* const verb = again_.front().verb;
    again_.pop_front();
    return verb;
  }
  // What is left to be sent of the one that was begun last.
  Sending sendingAgain;
  // Ends the connection so that nothing of it executes afterwards: the node closes when it has executed all.
  void drain(uint64_t deadlineNs);
  // Asks the node to fence a client, and waits until it has.
  bool fence(ClientKey key, uint64_t deadlineNs, Failure& failure);

 private:
  template <typename OnDone>
  void failCalls(OnDone&& onDone) {
    for (const SentCall& call : calls_) {
      call.verb->status = kFail;
      onDone(call.batch);
    }
    calls_.clear();
  }
  void resume(const std::string& address, const TcpIdentity& identity, uint64_t deadlineNs);
  Resumed takeOver(uint64_t now, std::vector<SentVerb>& executed);
  bool settle(const TcpResumption& from, std::vector<SentVerb>& executed);
  enum class Parsed { kMore, kGoOn, kDone, kNonsense };
  bool greet(const std::string& address, const TcpIdentity& identity, uint64_t deadlineNs, Failure& failure,
             bool& isFinal);
  ssize_t takeIn();
  Parsed parse(uint8_t* local, uint32_t& batch);
  Parsed begin(const TcpResponse& response, uint8_t* local, uint32_t& batch);
  Parsed takeAnswer(const TcpResponse& response, uint8_t* local, uint32_t& batch);
  Parsed finish(uint8_t* local, uint32_t& batch);

  OwnedFd fd_;
  uint64_t memoryBytes_ = 0;
  uint64_t node_ = 0;
  ByteQueue outgoing_{kLinkQueueBytes};
  ByteQueue incoming_{kLinkQueueBytes};
  size_t wanted_ = 0;  // what the last receive asked for
  std::deque<SentVerb> sent_;
  std::vector<SentCall> calls_;
  uint64_t heardNs_ = 0;
  // Of the READ whose bytes are coming: how many are left. It is the first of sent_.
  uint32_t left_ = 0;
  // Of the connection, and all that follow it: its name, and how many answers have come.
  uint64_t name_ = 0;
  uint64_t answered_ = 0;
  bool isSound_ = true;  // nothing that the node has sent was nonsense
  // To be sent again, in their order.
  std::deque<SentVerb> again_;
  std::shared_ptr<TcpResumption> resumption_;
};

}  // namespace fusee
