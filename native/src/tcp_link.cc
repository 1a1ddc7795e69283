#include "tcp_link.h"

#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "clock.h"
#include "executor.h"

namespace fusee {
namespace {

std::string whyNot(const std::string& address, int error) {
  if (error == 0)
    return "memory node " + address + " has closed the connection; its log says why (it may have too many)";
  return "memory node " + address + " does not answer: " + std::strerror(error);
}

}  // namespace

TcpLink::~TcpLink() = default;

std::unique_ptr<TcpLink> TcpLink::open(const std::string& address, const TcpIdentity& identity,
                                       uint64_t deadlineNs, Failure& failure, bool* isFinal) {
  auto link = std::make_unique<TcpLink>();
  link->outgoing_ = ByteQueue(kLinkQueueBytes);
  link->incoming_ = ByteQueue(kLinkQueueBytes);
  errno = 0;
  link->fd_ = connectTo(address, deadlineNs, failure);
  // Where nobody listens the node has ended.
  bool isHopeless = !link->isOpen() && errno == ECONNREFUSED;
  const bool isIn = link->isOpen() && link->greet(address, identity, deadlineNs, failure, isHopeless);
  if (isFinal != nullptr) *isFinal = isHopeless;
  return isIn ? std::move(link) : nullptr;
}

// The node proves itself last, but what it gets before is of no use to it: it is an answer to its own nonce.
bool TcpLink::greet(const std::string& address, const TcpIdentity& identity, uint64_t deadlineNs,
                    Failure& failure, bool& isFinal) {
  const int fd = fd_.get();
  const auto& secret = identity.secret;
  TcpHello hello;
  TcpProof proof{kTcpMagic, kTcpVersion, identity.key, {}, {}};
  TcpAccept accept;
  if (!receiveAll(fd, &hello, sizeof hello, deadlineNs)) {
    failure.fabric(whyNot(address, errno));
    return false;
  }
  if (hello.magic != kTcpMagic) {
    failure.fabric(address + " is no memory node: it does not speak the protocol");
    return false;
  }
  if (hello.version != kTcpVersion) {
    failure.fabric("memory node " + address + " speaks version " + std::to_string(hello.version) +
                   " of the protocol, this program " + std::to_string(kTcpVersion) + ": run one version");
    return false;
  }
  if (getrandom(proof.nonce, sizeof proof.nonce, 0) != sizeof proof.nonce) {
    failure.system("no random numbers");
    return false;
  }
  const Digest own = tcpClientProof(secret.data(), secret.size(), hello, proof);
  std::memcpy(proof.proof, own.data(), own.size());
  if (!sendAll(fd, &proof, sizeof proof, deadlineNs) || !receiveAll(fd, &accept, sizeof accept, deadlineNs)) {
    failure.fabric(whyNot(address, errno));
    return false;
  }
  isFinal = true;
  const std::string node = "memory node " + address;
  const Digest expected = tcpNodeProof(secret.data(), secret.size(), hello, proof, accept);
  if (accept.magic != kTcpMagic || accept.refusal == kOtherVersion) {
    failure.fabric(node + " speaks another version of the protocol: run one version");
  } else if (accept.refusal == kFenced) {
    failure.fabric(node + " has fenced this client: the pool's master took it for dead");
  } else if (accept.refusal != kAccepted || !isEqualDigest(expected.data(), accept.proof)) {
    failure.usage(node + " has another secret: give both the pool's secret file");
  } else {
    memoryBytes_ = accept.memoryBytes;
    node_ = accept.node;
    name_ = tcpConnectionName(proof);
    return true;
  }
  return false;
}

bool TcpLink::flush() {
  while (outgoing_.size() > 0) {
    const ssize_t put = send(fd_.get(), outgoing_.head(), outgoing_.size(), MSG_NOSIGNAL);
    if (put < 0) return errno == EAGAIN || errno == EINTR;
    outgoing_.removed(static_cast<size_t>(put));
  }
  return true;
}

// How many bytes came: 0 when there are none, -1 when none will come any more.
ssize_t TcpLink::takeIn() {
  wanted_ = incoming_.room();
  const ssize_t got = recv(fd_.get(), incoming_.tail(), wanted_, 0);
  if (got > 0) {
    incoming_.added(static_cast<size_t>(got));
    return got;
  }
  return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

TcpLink::Parsed TcpLink::parse(uint8_t* local, uint32_t& batch) {
  if (left_ > 0) {
    const SentVerb& read = sent_.front();
    const auto step = static_cast<uint32_t>(std::min<size_t>(left_, incoming_.size()));
    std::memcpy(local + read.local + (read.length - left_), incoming_.head(), step);
    incoming_.removed(step);
    left_ -= step;
    return left_ > 0 ? Parsed::kMore : finish(local, batch);
  }
  TcpResponse response;
  if (incoming_.size() < sizeof response) return Parsed::kMore;
  std::memcpy(&response, incoming_.head(), sizeof response);
  return begin(response, local, batch);
}

// Everything is held to what was asked for: a node cannot write where its client does not want it to.
TcpLink::Parsed TcpLink::begin(const TcpResponse& response, uint8_t* local, uint32_t& batch) {
  if (response.kind == kTcpAnswer) return takeAnswer(response, local, batch);
  if (response.kind != kTcpResult || response.status != kOk || sent_.empty()) return Parsed::kNonsense;
  SentVerb& sent = sent_.front();
  if (response.bytes != (sent.opcode == kRead ? sent.length : 0)) return Parsed::kNonsense;
  incoming_.removed(sizeof response);
  if (sent.opcode >= kCas) sent.verb->found = response.found;
  left_ = response.bytes;
  return left_ > 0 ? Parsed::kGoOn : finish(local, batch);
}

TcpLink::Parsed TcpLink::finish(uint8_t* local, uint32_t& batch) {
  const SentVerb sent = sent_.front();
  sent_.pop_front();
  answered_++;
  if (sent.isObject) checkObject(local + sent.local, *sent.verb);
  sent.verb->status = kOk;
  batch = sent.batch;
  return Parsed::kDone;
}

TcpLink::Parsed TcpLink::takeAnswer(const TcpResponse& response, uint8_t* local, uint32_t& batch) {
  if (response.bytes > kRpcBytes) return Parsed::kNonsense;
  if (incoming_.size() < sizeof response + response.bytes) return Parsed::kMore;
  const uint8_t* answer = incoming_.head() + sizeof response;
  incoming_.removed(sizeof response + response.bytes);
  const auto call = std::find_if(calls_.begin(), calls_.end(),
                                 [&](const SentCall& c) { return c.number == response.found; });
  if (call == calls_.end()) return Parsed::kGoOn;  // its caller has given up
  // An answer that does not fit is no answer; its length says how much room it wants.
  const bool fits = response.status == kOk && response.bytes <= call->capacity;
  call->verb->found = response.bytes;
  if (fits) std::memcpy(local + call->local, answer, response.bytes);
  call->verb->status = fits ? kOk : kFail;
  batch = call->batch;
  calls_.erase(call);
  return Parsed::kDone;
}

void TcpLink::drain(uint64_t deadlineNs) {
  if (!isOpen() || isIdle()) return fd_.reset();
  shutdown(fd_.get(), SHUT_WR);
  uint8_t dropped[4096];
  while (nowNs() < deadlineNs) {
    const ssize_t got = recv(fd_.get(), dropped, sizeof dropped, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) break;
    pollfd p{fd_.get(), POLLIN, 0};
    if (got < 0) poll(&p, 1, 10);
  }
  fd_.reset();
}

bool TcpLink::fence(ClientKey key, uint64_t deadlineNs, Failure& failure) {
  TcpRequest request{};
  request.opcode = kTcpFence;
  request.remote = key;
  TcpResponse response;
  if (!sendAll(fd_.get(), &request, sizeof request, deadlineNs) ||
      !receiveAll(fd_.get(), &response, sizeof response, deadlineNs)) {
    failure.system("a memory node has not acknowledged the fence");
    return false;
  }
  if (response.kind == kTcpFenceDone && response.found == key) return true;
  failure.fabric("a memory node has answered a fence with nonsense");
  return false;
}

}  // namespace fusee
