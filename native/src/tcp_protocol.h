// What travels between a client and a memory node over TCP. All words are little endian; every message is a
// fixed header, and then as many bytes as the header says.
//
//     node   -> client   TcpHello: a nonce
//     client -> node     TcpProof: a nonce of its own, its key, and the HMAC of both under the pool's secret
//     node   -> client   TcpAccept: the node's own HMAC and what it is, or why it refuses
//     client -> node     TcpRequest, then the bytes of a WRITE or a call; as many as it likes without waiting
//     node   -> client   TcpResponse, then the bytes of a READ or an answer
//
// A connection that breaks may be followed by another of the same client, whose first request names the one
// before, by what its nonce began with. The node ends that one, if it has not yet, and tells how many of its
// READs, WRITEs and atomics have executed, and what the atomics found whose answers may have been lost: so
// the client sends again what has not executed, and nothing executes twice.
//
// READs, WRITEs and atomics are answered in the order of their requests. Calls and fences are answered when
// they are done, and carry a number to be known by.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "sha256.h"
#include "verbs.h"

namespace fusee {

constexpr uint32_t kTcpMagic = 0x50435446;  // "FTCP"
constexpr uint32_t kTcpVersion = 1;
constexpr size_t kNonceBytes = 32;

// Which client a connection belongs to: drawn at random by the client, the same for all its nodes, and named
// by whoever fences it.
using ClientKey = uint64_t;

enum TcpRefusal : uint32_t {
  kAccepted = 0,
  kWrongSecret = 1,
  kFenced = 2,
  kOtherVersion = 3,
};

struct TcpHello {
  uint32_t magic;
  uint32_t version;
  uint8_t nonce[kNonceBytes];
};
struct TcpProof {
  uint32_t magic;
  uint32_t version;
  ClientKey client;
  uint8_t nonce[kNonceBytes];
  uint8_t proof[kDigestBytes];
};
struct TcpAccept {
  uint32_t magic;
  uint32_t refusal;
  uint64_t memoryBytes;
  uint64_t node;  // drawn anew by each start of a node: one that came back empty is another
  uint8_t proof[kDigestBytes];
};
static_assert(sizeof(TcpHello) == 40 && sizeof(TcpProof) == 80 && sizeof(TcpAccept) == 56);

// Beside the opcodes of verbs: ends all connections of a client for good; `remote` is its key.
constexpr uint8_t kTcpFence = 5;

// The first request of a connection, if it follows another: `remote` names that one, `expect` is how many
// answers of it have come.
constexpr uint8_t kTcpResume = 6;

struct TcpRequest {
  uint8_t opcode;
  uint8_t zero[3];
  uint32_t bytes;   // of a READ or WRITE, of a call's request; 8 for atomics
  uint64_t remote;  // offset in the node's memory; the number of a call; the key of a fence
  uint64_t expect;  // CAS: the expected value. FAA: the addend
  uint64_t swap;    // CAS: the new value
};
static_assert(sizeof(TcpRequest) == 32);

enum TcpKind : uint8_t { kTcpResult = 0, kTcpAnswer = 1, kTcpFenceDone = 2, kTcpResumed = 3 };

// Follows a response of kTcpResumed, for each atomic whose answer has not come: the how manieth verb it was,
// from 0, and what it found.
struct TcpFound {
  uint64_t number;
  uint64_t found;
};
// So many of the latest atomics of a connection are remembered; a client with more in flight is not resumed.
constexpr size_t kFoundMax = 1024;

struct TcpResponse {
  uint8_t kind;
  uint8_t status;
  uint8_t zero[2];
  uint32_t bytes;  // that follow
  uint64_t found;  // what an atomic found; the number of a call, the key of a fence, verbs executed
};
static_assert(sizeof(TcpResponse) == 16);

// What names a connection: the client has drawn it at random.
inline uint64_t tcpConnectionName(const TcpProof& proof) {
  uint64_t name;
  std::memcpy(&name, proof.nonce, sizeof name);
  return name;
}

// Under a word for the direction, so that no proof can be sent back; over all that the two have said.
inline Digest tcpClientProof(const uint8_t* secret, size_t secretBytes, const TcpHello& hello,
                             const TcpProof& proof) {
  Hmac mac(secret, secretBytes);
  mac.update("fusee-tcp-1 client", 18).update(&hello, sizeof hello);
  return mac.update(&proof, offsetof(TcpProof, proof)).finish();
}
inline Digest tcpNodeProof(const uint8_t* secret, size_t secretBytes, const TcpHello& hello,
                           const TcpProof& proof, const TcpAccept& accept) {
  Hmac mac(secret, secretBytes);
  mac.update("fusee-tcp-1 node  ", 18).update(&hello, sizeof hello);
  mac.update(&proof, offsetof(TcpProof, proof));
  return mac.update(&accept, offsetof(TcpAccept, proof)).finish();
}

}  // namespace fusee
