// Fuzzing of the node's side of a TCP connection: TcpPeer, which is all that looks at bytes from outside.
//
// An input is a script: how long the pieces are in which bytes come and go, and the bytes. Unless it says
// otherwise the client has proved itself, so that what follows reaches the verbs. Beside the peer runs a
// model that takes the same bytes one request after the other, without queues, pieces or atomics: the memory
// must be the same in the end, and so must the answers.
//
// Built with libFuzzer it is its target; built with FUSEE_FUZZ_ALONE it has a main() that makes inputs by
// itself, from a seed: `tcp_peer_fuzz INPUTS SECONDS SEED`.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../src/rpc_server.h"
#include "../src/tcp_peer.h"

namespace {

using namespace fusee;

constexpr uint64_t kMemoryBytes = 4096;
constexpr size_t kQueueBytes = 512;
constexpr ClientKey kClient = 1;
using Bytes = std::vector<uint8_t>;

// The requests of an input, for whoever looks at what was found.
void tell(const uint8_t* data, size_t size) {
  TcpRequest r;
  for (size_t at = 0; at + sizeof r <= size;) {
    std::memcpy(&r, data + at, sizeof r);
    std::fprintf(stderr, "  at %zu of %zu: opcode %u, %u bytes at %llu\n", at, size, r.opcode, r.bytes,
                 static_cast<unsigned long long>(r.remote));
    at += sizeof r + (r.opcode == kWrite || r.opcode == kRpc ? r.bytes : 0);
  }
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "fuzzing found: %s\n", what);
  std::abort();
}

struct World {
  TcpNode node;
  RpcServer server;
  World() : node(makeNode()), server(node.region) {}

  static TcpNode makeNode() {
    Failure failure;
    auto region = Region::anonymous(kMemoryBytes, failure);
    if (region == nullptr) fail(failure.message.c_str());
    return {std::move(region), Bytes(32, 7), 9};
  }
};

World& world() {
  static auto* made = new World;
  return *made;
}

// What a former connection came to, for requests that name one by an odd number.
const TcpExecuted& former() {
  static const TcpExecuted made = [] {
    TcpExecuted executed;
    executed.count = 2;
    executed.addAtomic(77);
    executed.addAtomic(78);
    return executed;
  }();
  return made;
}

// What the bytes of a proven client come to; the end of them may be missing.
struct Model {
  Bytes memory = Bytes(kMemoryBytes, 0);
  Bytes answers;
  bool hasCalls = false;
  bool hasBegun = false;
  bool isOver = false;

  void resume(const TcpRequest& request) {
    const bool isKnown = (request.remote & 1) != 0;
    Bytes told;
    for (uint64_t number = 2; isKnown && number < 4; number++) {
      if (number < request.expect) continue;
      const TcpFound found{number, 75 + number};
      const auto* raw = reinterpret_cast<const uint8_t*>(&found);
      told.insert(told.end(), raw, raw + sizeof found);
    }
    const TcpResponse response{kTcpResumed, static_cast<uint8_t>(isKnown ? kOk : kFail), {},
                               static_cast<uint32_t>(told.size()), isKnown ? 4u : 0u};
    const auto* raw = reinterpret_cast<const uint8_t*>(&response);
    answers.insert(answers.end(), raw, raw + sizeof response);
    answers.insert(answers.end(), told.begin(), told.end());
  }

  void answer(uint32_t bytes, uint64_t found, uint8_t kind = kTcpResult) {
    const TcpResponse response{kind, kOk, {}, bytes, found};
    const auto* raw = reinterpret_cast<const uint8_t*>(&response);
    answers.insert(answers.end(), raw, raw + sizeof response);
  }

  // Returns how many bytes it took; 0 when no whole request is left.
  size_t take(const uint8_t* from, size_t size) {
    TcpRequest request;
    if (size < sizeof request) return 0;
    std::memcpy(&request, from, sizeof request);
    const bool isAtomic = request.opcode == kCas || request.opcode == kFaa;
    if (request.opcode > kTcpResume) isOver = true;
    if (request.opcode == kTcpResume && (request.remote == 0 || hasBegun)) isOver = true;
    if (request.opcode == kTcpFence && (request.remote == 0 || request.remote == kClient)) isOver = true;
    if (request.opcode == kRpc && request.bytes > kRpcBytes) isOver = true;
    const bool isFar = request.remote > kMemoryBytes || request.bytes > kMemoryBytes - request.remote;
    if (request.opcode < kRpc && isFar) isOver = true;
    if (isAtomic && (request.bytes != 8 || request.remote % 8 != 0)) isOver = true;
    if (isOver) return 0;
    hasBegun = true;
    size_t took = sizeof request;
    if (request.opcode == kTcpResume) {
      resume(request);
      return took;
    }
    uint8_t* at = memory.data() + request.remote;
    if (request.opcode == kTcpFence) {
      answer(0, request.remote, kTcpFenceDone);
    } else if (request.opcode == kRead) {
      answer(request.bytes, 0);
      answers.insert(answers.end(), at, at + request.bytes);
    } else if (request.opcode == kWrite) {
      // What is there lands, but for the end of a word that has not come whole.
      const auto landed = std::min<size_t>(request.bytes, size - took);
      const size_t torn = landed < request.bytes ? (request.remote + landed) % 8 : 0;
      std::memcpy(at, from + took, landed - std::min(torn, landed));
      took += landed;
      if (landed == request.bytes) answer(0, 0);
    } else if (isAtomic) {
      uint64_t word;
      std::memcpy(&word, at, 8);
      answer(0, word);
      const uint64_t next =
          request.opcode == kFaa ? word + request.expect : word == request.expect ? request.swap : word;
      std::memcpy(at, &next, 8);
    } else {
      hasCalls = true;
      if (size < took + request.bytes) return 0;
      took += request.bytes;
    }
    return took;
  }
};

void prove(TcpPeer& peer, World& w) {
  TcpHello hello;
  std::memcpy(&hello, peer.output().head(), sizeof hello);
  peer.sent(sizeof hello);
  TcpProof proof{kTcpMagic, kTcpVersion, kClient, {}, {}};
  const Digest digest = tcpClientProof(w.node.secret.data(), w.node.secret.size(), hello, proof);
  std::memcpy(proof.proof, digest.data(), digest.size());
  peer.inputRoom();
  std::memcpy(peer.inputTail(), &proof, sizeof proof);
  peer.received(sizeof proof);
  if (!peer.process() || !peer.isProven()) fail("a client that knows the secret is not let in");
  peer.sent(sizeof(TcpAccept));
  if (peer.output().size() != 0) fail("more was sent than the node's proof");
}

// The node's CPU answers all calls with what they brought.
bool serveCalls(TcpPeer& peer, World& w) {
  uint8_t request[128];
  uint32_t bytes = 0;
  for (int32_t slot; (slot = w.server.take(request, bytes)) >= 0;)
    w.server.respond(static_cast<uint32_t>(slot), request, bytes);
  return peer.takeAnswers();
}

void run(const uint8_t* data, size_t size) {
  if (size < 4) return;
  World& w = world();
  std::memset(w.node.region->memory(), 0, kMemoryBytes);
  TcpPeer peer(w.node, kQueueBytes);
  const bool isProven = data[0] != 255;
  const size_t in = data[1] + 1u, out = data[2] + 1u;
  data += 3;
  size -= 3;
  if (isProven) prove(peer, w);
  Bytes answers;
  bool isOpen = true;
  size_t fed = 0;
  for (bool hasMoved = true; isOpen && hasMoved;) {
    hasMoved = false;
    const size_t piece = peer.isBlocked() ? 0 : std::min({in, size - fed, peer.inputRoom()});
    if (piece > 0) std::memcpy(peer.inputTail(), data + fed, piece);
    peer.received(piece);
    fed += piece;
    if (peer.wantedFence() != 0) peer.fenceDone();
    if (peer.wantedResume() != 0) peer.resumed((peer.wantedResume() & 1) != 0 ? &former() : nullptr);
    isOpen = peer.process();
    const size_t gone = std::min(out, peer.output().size());
    answers.insert(answers.end(), peer.output().head(), peer.output().head() + gone);
    peer.sent(gone);
    const bool canTakeMore = fed < size && !peer.isBlocked();
    const bool waits = peer.wantedFence() != 0 || peer.wantedResume() != 0;
    hasMoved = serveCalls(peer, w) || waits || piece > 0 || gone > 0 || canTakeMore;
  }
  answers.insert(answers.end(), peer.output().head(), peer.output().head() + peer.output().size());
  peer.withdraw();
  if (!isProven) {
    if (peer.isProven()) fail("somebody was let in without the secret");
    return;
  }
  Model model;
  for (size_t at = 0, took = 1; took > 0; at += took) took = model.take(data + at, size - at);
  if (model.isOver == isOpen) tell(data, size);
  if (model.isOver == isOpen) fail("peer and model disagree on what is a bad frame");
  const uint8_t* memory = w.node.region->memory();
  const auto first = model.memory.begin();
  const auto differs = std::mismatch(first, model.memory.end(), memory).first - first;
  if (static_cast<uint64_t>(differs) != kMemoryBytes) {
    tell(data, size);
    std::fprintf(stderr, "pieces of %zu and %zu, %zu fed, open %d; %s; the memory differs from %td on\n", in,
                 out, fed, isOpen, peer.reason().c_str(), differs);
    fail("the memory is not what the requests make of it");
  }
  if (!model.hasCalls && answers != model.answers) fail("the answers are not those to the requests");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  run(data, size);
  return 0;
}

#ifdef FUSEE_FUZZ_ALONE
namespace {

uint64_t state;
uint64_t draw() {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}
uint64_t below(uint64_t limit) { return draw() % limit; }

// Requests that are mostly right, and then some bytes that are not what they were.
Bytes makeInput() {
  Bytes input{static_cast<uint8_t>(below(64) == 0 ? 255 : 0), static_cast<uint8_t>(draw()),
              static_cast<uint8_t>(draw())};
  for (uint64_t requests = below(12); requests > 0; requests--) {
    TcpRequest r{};
    r.opcode = static_cast<uint8_t>(below(40) == 0 ? below(8) : below(5));
    if (input.size() == 3 && below(20) == 0) r.opcode = kTcpResume;
    const bool isAtomic = r.opcode == kCas || r.opcode == kFaa;
    r.bytes = static_cast<uint32_t>(isAtomic ? 8 : below(8) == 0 ? below(kMemoryBytes + 8) : below(130));
    r.remote = isAtomic ? below(kMemoryBytes / 8) * 8 : below(kMemoryBytes + 1);
    const bool isFar = r.bytes <= kMemoryBytes && r.remote + r.bytes > kMemoryBytes;
    if (r.opcode <= kWrite && isFar && below(50) > 0) r.remote = kMemoryBytes - r.bytes;
    if (r.opcode <= kWrite && below(50) == 0) r.remote = draw();
    if (r.opcode == kRpc && below(20) > 0) r.bytes = static_cast<uint32_t>(below(kRpcBytes + 1));
    r.expect = below(2) == 0 ? below(5) : draw();
    r.swap = draw();
    const auto* raw = reinterpret_cast<const uint8_t*>(&r);
    input.insert(input.end(), raw, raw + sizeof r);
    if (r.opcode != kWrite && r.opcode != kRpc) continue;
    for (uint32_t i = 0; i < r.bytes && i < 2 * kMemoryBytes; i++)
      input.push_back(static_cast<uint8_t>(draw()));
  }
  for (uint64_t changes = below(4); changes > 0; changes--) input[below(input.size())] ^= 1 << below(8);
  if (below(4) == 0) input.resize(below(input.size() + 1));
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: tcp_peer_fuzz INPUTS SECONDS SEED\n");
    return 2;
  }
  const uint64_t inputs = std::strtoull(argv[1], nullptr, 10);
  const double seconds = std::strtod(argv[2], nullptr);
  state = std::strtoull(argv[3], nullptr, 10) * 2654435761u + 1;
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [start] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  uint64_t done = 0;
  while (done < inputs && (done % 1024 != 0 || elapsed() < seconds)) {
    const Bytes input = makeInput();
    run(input.data(), input.size());
    done++;
  }
  std::printf("%llu inputs in %.1f s, nothing found\n", static_cast<unsigned long long>(done), elapsed());
  return 0;
}
#endif
