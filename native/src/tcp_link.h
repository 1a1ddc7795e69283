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

class TcpLink {
 public:
  // In place of a node that is known to be dead: every verb FAILs.
  TcpLink() : outgoing_(0), incoming_(0) {}
  // Connects, proves that both know the secret, and learns the node's size.
  static std::unique_ptr<TcpLink> open(const std::string& address, const TcpIdentity& identity,
                                       uint64_t deadlineNs, Failure& failure);

  bool isOpen() const { return fd_.isOpen(); }
  int fd() const { return fd_.get(); }
  uint64_t memoryBytes() const { return memoryBytes_; }
  uint64_t node() const { return node_; }
  bool isIdle() const { return sent_.empty() && calls_.empty(); }

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
        if (parsed == Parsed::kNonsense) return false;
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
  // All that has no answer FAILs.
  template <typename OnDone>
  void fail(OnDone&& onDone) {
    fd_.reset();
    for (const SentVerb& sent : sent_) {
      sent.verb->status = kFail;
      onDone(sent.batch);
    }
    for (const SentCall& call : calls_) {
      call.verb->status = kFail;
      onDone(call.batch);
    }
    sent_.clear();
    calls_.clear();
  }
  // Ends the connection so that nothing of it executes afterwards: the node closes when it has executed all.
  void drain(uint64_t deadlineNs);
  // Asks the node to fence a client, and waits until it has.
  bool fence(ClientKey key, uint64_t deadlineNs, Failure& failure);

 private:
  enum class Parsed { kMore, kGoOn, kDone, kNonsense };
  bool greet(const std::string& address, const TcpIdentity& identity, uint64_t deadlineNs, Failure& failure);
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
};

}  // namespace fusee
