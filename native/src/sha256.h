// SHA-256 and HMAC (FIPS 180-4, RFC 2104): what connections prove the pool's secret with.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace fusee {

constexpr size_t kDigestBytes = 32;
using Digest = std::array<uint8_t, kDigestBytes>;

class Sha256 {
 public:
  void update(const void* data, size_t bytes);
  // Once, at the end.
  Digest finish();

 private:
  void block(const uint8_t* at);

  uint32_t state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint8_t pending_[64];
  uint64_t bytes_ = 0;
};

// HMAC over one message, in parts.
class Hmac {
 public:
  Hmac(const void* key, size_t keyBytes);
  Hmac& update(const void* data, size_t bytes) {
    inner_.update(data, bytes);
    return *this;
  }
  Digest finish();

 private:
  Sha256 inner_;
  uint8_t outerPad_[64];
};

// In a time that does not depend on where they differ.
bool isEqualDigest(const uint8_t* a, const uint8_t* b);

}  // namespace fusee
