// What client and node of the verbs fabric say to each other: over TCP to set a queue pair up, over SEND and
// RECV to call the node's weak CPU. Fixed sizes; little-endian on both sides, as the memory itself is.
//
//     node   -> VerbsChallenge      a nonce
//     client -> VerbsHello          its own nonce, its queue pair's address, the proof that it knows the
//     secret node   -> VerbsAccept         the node's proof, its queue pair's address, where its memory is
//     and the key
//                                   of that; or a refusal
//
// The TCP connection stays: its end is the end of the queue pair on either side.
#pragma once
#include <cstdint>
#include <cstring>

#include "sha256.h"
#include "verbs.h"

namespace fusee {

constexpr uint64_t kVerbsMagic = 0x3142525645535546;  // "FUSEVRB1"
constexpr uint32_t kVerbsVersion = 1;
constexpr uint32_t kVerbsNonceBytes = 32;
constexpr uint32_t kVerbsTokenBytes = 16;

// How queue pairs are connected: addresses over TCP, which needs no IP over the RDMA network, or by rdma_cm.
enum VerbsMode : uint32_t { kExchange = 0, kConnectionManager = 1 };

// Where a queue pair is reached.
struct QpAddress {
  uint32_t number;
  uint32_t firstPacket;
  uint16_t lid;
  uint8_t mtu;
  uint8_t readsTaken;  // READs and atomics that it serves at a time
  uint8_t hasGid;
  uint8_t unused[3];
  uint8_t gid[16];
};
static_assert(sizeof(QpAddress) == 32);

struct VerbsChallenge {
  uint64_t magic;
  uint32_t version;
  uint32_t unused;
  uint8_t nonce[kVerbsNonceBytes];
};

struct VerbsHello {
  uint64_t magic;
  uint32_t version;
  uint32_t mode;
  uint64_t client;
  uint8_t nonce[kVerbsNonceBytes];
  QpAddress address;
  uint8_t proof[kDigestBytes];
};

constexpr uint32_t kVerbsTextBytes = 160;

struct VerbsAccept {
  uint64_t magic;
  uint32_t isRefused;
  uint32_t remoteKey;
  uint64_t remote;
  uint64_t memoryBytes;
  QpAddress address;
  uint8_t token[kVerbsTokenBytes];
  char text[kVerbsTextBytes];
  uint8_t proof[kDigestBytes];
};

// Both proofs cover everything that their message says, and both nonces: nothing can be played back or
// changed on its way.
template <typename Message>
Digest verbsProof(const std::string& secret, const char* side, const VerbsChallenge& challenge,
                  const uint8_t* clientNonce, const Message& message) {
  Hmac hmac(secret.data(), secret.size());
  hmac.update("fusee-verbs-1 ", 14).update(side, std::strlen(side));
  hmac.update(challenge.nonce, kVerbsNonceBytes).update(clientNonce, kVerbsNonceBytes);
  return hmac.update(&message, offsetof(Message, proof)).finish();
}

// Requests of one client that may be with one node at once: as many RECVs wait there, and as many answers
// here.
constexpr uint32_t kVerbsCalls = 16;

enum VerbsFrameKind : uint32_t { kCallFrame = 0, kFenceFrame = 1, kAnswerFrame = 2 };

// One SEND in either direction.
struct VerbsFrame {
  uint64_t number;  // of the request; the answer repeats it
  uint32_t kind;
  uint32_t status;
  uint64_t client;  // FENCE: whose queue pairs are to end
  uint32_t bytes;
  uint32_t unused;
  uint8_t payload[kRpcBytes];
};
static_assert(sizeof(VerbsFrame) == 144);

}  // namespace fusee
