// CRC-32C (Castagnoli, reflected): seed 0 starts a checksum, an earlier result continues it.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fusee {

uint32_t crc32c(const uint8_t* data, size_t bytes, uint32_t seed);
// The same without special instructions; exported for the test that compares the two.
uint32_t crc32cPortable(const uint8_t* data, size_t bytes, uint32_t seed);

}  // namespace fusee
