// The crc32 instruction takes 8 bytes a cycle but answers after three, so one chain would leave two thirds of
// it idle. Three lanes of equal length run side by side. Joining them means shifting a checksum over the
// bytes behind it, which is a multiplication by a power of x modulo the polynomial: a carry-less
// multiplication by a constant of the table below, whose 64-bit product goes into the last word of the third
// lane, so that the instruction itself does the reduction.
#include "crc.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fusee {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;

// Table k gives the checksum of a byte followed by k zero bytes.
constexpr std::array<std::array<uint32_t, 256>, 8> makeTables() {
  std::array<std::array<uint32_t, 256>, 8> t{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t c = byte;
    for (int bit = 0; bit < 8; bit++) c = (c & 1) != 0 ? c >> 1 ^ kPolynomial : c >> 1;
    t[0][byte] = c;
  }
  for (size_t k = 1; k < 8; k++) {
    for (size_t byte = 0; byte < 256; byte++) t[k][byte] = t[k - 1][byte] >> 8 ^ t[0][t[k - 1][byte] & 255];
  }
  return t;
}
constexpr auto kTables = makeTables();

#if defined(__x86_64__)

constexpr size_t kMaxShiftWords = 256;

// Entry w is x^(64 w - 33) modulo the polynomial, reflected: the product with a checksum, reduced by the
// instruction (which adds 32), moves the checksum over w words; one bit goes to the reflected multiplication.
constexpr std::array<uint32_t, kMaxShiftWords + 1> makeShifts() {
  std::array<uint32_t, kMaxShiftWords + 1> shifts{};
  uint32_t power = 1;  // x^31
  for (size_t w = 1; w <= kMaxShiftWords; w++) {
    shifts[w] = power;
    for (int byte = 0; byte < 8; byte++) power = power >> 8 ^ kTables[0][power & 255];
  }
  return shifts;
}
constexpr auto kShifts = makeShifts();

inline uint64_t word(const uint8_t* at) {
  uint64_t w;
  std::memcpy(&w, at, 8);
  return w;
}

__attribute__((target("sse4.2,pclmul"))) inline uint64_t shifted(uint64_t crc, size_t words) {
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<int64_t>(crc)),
                                               _mm_cvtsi64_si128(kShifts[words]), 0);
  return static_cast<uint64_t>(_mm_cvtsi128_si64(product));
}

__attribute__((target("sse4.2,pclmul"))) uint32_t crc32cFast(const uint8_t* data, size_t bytes,
                                                             uint32_t seed) {
  uint64_t a = static_cast<uint32_t>(~seed);
  while (bytes >= 96) {
    size_t words = bytes / 24;
    if (words > kMaxShiftWords / 2) words = kMaxShiftWords / 2;
    const uint8_t* second = data + words * 8;
    const uint8_t* third = second + words * 8;
    uint64_t b = 0;
    uint64_t c = 0;
    for (size_t w = 0; w + 1 < words; w++) {
      a = _mm_crc32_u64(a, word(data + w * 8));
      b = _mm_crc32_u64(b, word(second + w * 8));
      c = _mm_crc32_u64(c, word(third + w * 8));
    }
    a = _mm_crc32_u64(a, word(data + words * 8 - 8));
    b = _mm_crc32_u64(b, word(second + words * 8 - 8));
    a = _mm_crc32_u64(c, word(third + words * 8 - 8) ^ shifted(a, words * 2) ^ shifted(b, words));
    data += words * 24;
    bytes -= words * 24;
  }
  for (; bytes >= 8; bytes -= 8, data += 8) a = _mm_crc32_u64(a, word(data));
  auto crc = static_cast<uint32_t>(a);
  for (; bytes > 0; bytes--) crc = _mm_crc32_u8(crc, *data++);
  return ~crc;
}

bool detectFast() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}
const bool isFast = detectFast();

#endif

}  // namespace

uint32_t crc32cPortable(const uint8_t* data, size_t bytes, uint32_t seed) {
  uint32_t crc = ~seed;
  for (; bytes >= 8; bytes -= 8, data += 8) {
    uint32_t low;
    uint32_t high;
    std::memcpy(&low, data, 4);
    std::memcpy(&high, data + 4, 4);
    low ^= crc;
    crc = kTables[7][low & 255] ^ kTables[6][low >> 8 & 255] ^ kTables[5][low >> 16 & 255] ^
          kTables[4][low >> 24] ^ kTables[3][high & 255] ^ kTables[2][high >> 8 & 255] ^
          kTables[1][high >> 16 & 255] ^ kTables[0][high >> 24];
  }
  for (; bytes > 0; bytes--) crc = crc >> 8 ^ kTables[0][(crc ^ *data++) & 255];
  return ~crc;
}

uint32_t crc32c(const uint8_t* data, size_t bytes, uint32_t seed) {
#if defined(__x86_64__)
  if (isFast) [[likely]]
    return crc32cFast(data, bytes, seed);
#endif
  return crc32cPortable(data, bytes, seed);
}

}  // namespace fusee
