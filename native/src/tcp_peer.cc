#include "tcp_peer.h"

#include <sys/random.h>

#include <algorithm>

#include "copy.h"
#include "executor.h"

namespace fusee {
namespace {

// Calls end when they are answered, or with their connection: the client has a deadline of its own.
constexpr uint64_t kForeverNs = uint64_t{1} << 60;

const char* nameOf(uint8_t opcode) {
  static const char* names[] = {"READ", "WRITE", "CAS", "FAA", "RPC", "FENCE", "RESUME"};
  return opcode <= kTcpResume ? names[opcode] : "unknown verb";
}

}  // namespace

TcpPeer::TcpPeer(const TcpNode& node, size_t queueBytes)
    : node_(node),
      input_(queueBytes),
      output_(queueBytes),
      calls_(new Call[kPeerCalls]()),
      rpc_(reinterpret_cast<uint8_t*>(calls_.get()), kForeverNs) {
  hello_ = {kTcpMagic, kTcpVersion, {}};
  // A nonce that cannot be drawn stays zero in part; then nobody must get in.
  if (getrandom(hello_.nonce, sizeof hello_.nonce, 0) != sizeof hello_.nonce) end("no random numbers");
  output_.add(&hello_, sizeof hello_);
}

bool TcpPeer::end(std::string reason) {
  stage_ = Stage::kClosed;
  reason_ = std::move(reason);
  input_.clear();
  return false;
}

bool TcpPeer::process() {
  if (stage_ == Stage::kClosed) return false;
  if (stage_ == Stage::kProof && !prove()) return false;
  if (stage_ != Stage::kOpen) return true;
  Step step = Step::kGo;
  while (step == Step::kGo && wantedFence_ == 0 && wantedResume_ == 0) {
    if (left_ == 0) step = next();
    else step = opcode_ == kWrite ? continueWrite() : continueRead();
  }
  isBlocked_ = step == Step::kBlocked;
  // What has been stored is there for all to see before anybody hears of it.
  fenceStores();
  return step != Step::kEnd;
}

void TcpPeer::fenceStores() {
  if (hasStored_) fullFence();
  hasStored_ = false;
}

bool TcpPeer::prove() {
  TcpProof proof;
  if (input_.size() < sizeof proof) return true;
  std::memcpy(&proof, input_.head(), sizeof proof);
  input_.removed(sizeof proof);
  TcpAccept accept{kTcpMagic, kAccepted, node_.region->memoryBytes(), node_.identity, {}};
  const auto refuse = [&](TcpRefusal refusal, const char* reason) {
    const TcpAccept refused{kTcpMagic, refusal, 0, 0, {}};
    if (output_.room() >= sizeof refused) output_.add(&refused, sizeof refused);
    return end(reason);
  };
  if (proof.magic != kTcpMagic) return end("it does not speak this protocol");
  if (proof.version != kTcpVersion) return refuse(kOtherVersion, "it speaks another version");
  const Digest expected = tcpClientProof(node_.secret.data(), node_.secret.size(), hello_, proof);
  if (!isEqualDigest(expected.data(), proof.proof)) return refuse(kWrongSecret, "its proof is wrong");
  client_ = proof.client;
  name_ = tcpConnectionName(proof);
  const Digest own = tcpNodeProof(node_.secret.data(), node_.secret.size(), hello_, proof, accept);
  std::memcpy(accept.proof, own.data(), own.size());
  output_.add(&accept, sizeof accept);
  stage_ = Stage::kOpen;
  return true;
}

void TcpPeer::refuseFenced() {
  output_.clear();
  const TcpAccept refused{kTcpMagic, kFenced, 0, 0, {}};
  if (output_.room() >= sizeof refused) output_.add(&refused, sizeof refused);
  end("it has been fenced");
}

void TcpPeer::respond(uint8_t kind, uint32_t status, uint32_t bytes, uint64_t found) {
  const TcpResponse response{kind, static_cast<uint8_t>(status), {}, bytes, found};
  output_.add(&response, sizeof response);
}

// The next request, if its header is there; taken from the input when it has been begun.
TcpPeer::Step TcpPeer::next() {
  TcpRequest request;
  if (input_.size() < sizeof request) return Step::kStarved;
  std::memcpy(&request, input_.head(), sizeof request);
  const uint64_t memoryBytes = node_.region->memoryBytes();
  const bool isAtomic = request.opcode == kCas || request.opcode == kFaa;
  const bool isOutside =
      request.opcode <= kFaa && (!isWithin(request.remote, request.bytes, memoryBytes) ||
                                 (isAtomic && (request.bytes != 8 || (request.remote & 7) != 0)));
  const bool isWrongFence = request.opcode == kTcpFence && (request.remote == 0 || request.remote == client_);
  const bool isWrongResume = request.opcode == kTcpResume && (request.remote == 0 || hasBegun_);
  if (request.opcode > kTcpResume || isOutside || isWrongFence || isWrongResume ||
      (request.opcode == kRpc && request.bytes > kRpcBytes)) {
    end(std::string(nameOf(request.opcode)) + " of " + std::to_string(request.bytes) + " bytes at " +
        std::to_string(request.remote) + ", of " + std::to_string(memoryBytes) + " bytes of memory");
    return Step::kEnd;
  }
  if (!hasRoom(0)) return Step::kBlocked;
  hasBegun_ = true;
  return request.opcode == kRpc ? call(request) : execute(request);
}

TcpPeer::Step TcpPeer::execute(const TcpRequest& request) {
  input_.removed(sizeof request);
  opcode_ = request.opcode;
  remote_ = request.remote;
  switch (request.opcode) {
    case kRead:
      fenceStores();
      respond(kTcpResult, kOk, request.bytes, 0);
      left_ = request.bytes;
      if (left_ == 0) executed_.count++;
      break;
    case kWrite:
      left_ = request.bytes;
      if (left_ == 0) wrote();
      break;
    case kTcpFence:
      wantedFence_ = request.remote;
      break;
    case kTcpResume:
      wantedResume_ = request.remote;
      answered_ = request.expect;
      break;
    default: {
      const uint64_t found = executeAtomic(request.opcode, at(request.remote), request.expect, request.swap);
      executed_.addAtomic(found);
      respond(kTcpResult, kOk, 0, found);
    }
  }
  return Step::kGo;
}

// Steps end at a word of the node's memory, but for the last: so every word lands, and is taken, in one piece.
TcpPeer::Step TcpPeer::continueWrite() {
  // Its answer follows its last byte: room for that first.
  if (!hasRoom(0)) return Step::kBlocked;
  uint64_t step = std::min<uint64_t>(left_, input_.size());
  if (step < left_) step -= std::min<uint64_t>(step, (remote_ + step) & 7);
  if (step == 0) return Step::kStarved;
  copyToRemote(at(remote_), input_.head(), step);
  hasStored_ = true;
  input_.removed(step);
  remote_ += step;
  left_ -= step;
  if (left_ == 0) wrote();
  return Step::kGo;
}

void TcpPeer::wrote() {
  executed_.count++;
  respond(kTcpResult, kOk, 0, 0);
}

TcpPeer::Step TcpPeer::continueRead() {
  uint64_t step = std::min<uint64_t>(left_, output_.room());
  if (step < left_) step -= std::min<uint64_t>(step, (remote_ + step) & 7);
  if (step == 0) return Step::kBlocked;
  copyFromRemote(output_.tail(), at(remote_), step);
  output_.added(step);
  remote_ += step;
  left_ -= step;
  if (left_ == 0) executed_.count++;
  return Step::kGo;
}

TcpPeer::Call* TcpPeer::freeCall() {
  Call* const last = calls_.get() + kPeerCalls;
  Call* const found = std::find_if(calls_.get(), last, [](const Call& c) { return !c.isBusy; });
  return found == last ? nullptr : found;
}

// Handed to the node's CPU by the way that clients on shared memory take.
TcpPeer::Step TcpPeer::call(const TcpRequest& request) {
  if (input_.size() < sizeof request + request.bytes) return Step::kStarved;
  Call* const call = freeCall();
  if (call == nullptr) return Step::kBlocked;
  Failure failure;
  if (!isAttached_ && !rpc_.attach(node_.region, failure)) {
    end(failure.message);
    return Step::kEnd;
  }
  isAttached_ = true;
  fenceStores();
  const auto offsetOf = [this](const uint8_t* p) {
    return static_cast<uint32_t>(p - reinterpret_cast<uint8_t*>(calls_.get()));
  };
  std::memcpy(call->request, input_.head() + sizeof request, request.bytes);
  input_.removed(sizeof request + request.bytes);
  call->number = request.remote;
  call->isBusy = true;
  busyCalls_++;
  call->batch = {};
  call->batch.remaining = 1;
  call->verb = {};
  call->verb.opcode = kRpc;
  call->verb.local = offsetOf(call->request);
  call->verb.length = request.bytes;
  call->verb.expect = offsetOf(call->response) | uint64_t{kRpcBytes} << 32;
  rpc_.submit(call->verb, &call->batch);
  return Step::kGo;
}

bool TcpPeer::takeAnswers() {
  const uint32_t before = busyCalls_;
  if (before == 0) return false;
  rpc_.poll(nowNs(), [](BatchHeader*) {});
  // A READ under way owns the way out until it is over.
  if (left_ > 0 && opcode_ == kRead) return false;
  for (uint32_t i = 0; i < kPeerCalls; i++) {
    Call& call = calls_[i];
    if (!call.isBusy || call.verb.status == kPending) continue;
    const uint32_t bytes = call.verb.status == kOk ? static_cast<uint32_t>(call.verb.found) : 0;
    if (!hasRoom(bytes)) break;
    respond(kTcpAnswer, call.verb.status, bytes, call.number);
    output_.add(call.response, bytes);
    call.isBusy = false;
    busyCalls_--;
  }
  return busyCalls_ < before;
}

bool TcpPeer::resumed(const TcpExecuted* former) {
  std::vector<TcpFound> told;
  if (former != nullptr) {
    for (const TcpFound& f : former->found) {
      // Of a ring that is not full yet the rest says nothing.
      const auto i = static_cast<uint64_t>(&f - former->found.data());
      if (i < former->atomics && f.number >= answered_) told.push_back(f);
    }
  }
  const auto bytes = static_cast<uint32_t>(told.size() * sizeof(TcpFound));
  if (!hasRoom(bytes)) {
    // It is the first answer: a queue that has no room for it never will.
    if (output_.size() == 0) return end("its queue is too small to tell what has executed");
    return false;
  }
  respond(kTcpResumed, former == nullptr ? kFail : kOk, bytes, former == nullptr ? 0 : former->count);
  if (bytes > 0) output_.add(told.data(), bytes);
  if (former != nullptr) {
    executed_ = *former;
    name_ = wantedResume_;
  }
  wantedResume_ = 0;
  return true;
}

bool TcpPeer::fenceDone() {
  if (!hasRoom(0)) return false;
  respond(kTcpFenceDone, kOk, 0, wantedFence_);
  wantedFence_ = 0;
  return true;
}

}  // namespace fusee
