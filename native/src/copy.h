// Copies between registered memory, which one thread owns, and an MN's memory, which everybody changes at
// once.
//
// Rules: a READ takes each aligned 8-byte word in one piece. A WRITE lands in ascending address order in
// steps of whole aligned words, and its edges byte by byte: rewriting a neighbour's byte with its old value,
// as a read-modify-write of the edge word would, loses what the neighbour writes in between. memcpy keeps
// neither rule, it may run backwards and overlap its steps.
//
// On x86-64, 16 bytes move at once where both processor makers guarantee that an aligned 16-byte access is
// atomic: on processors with AVX (Intel SDM volume 3, 9.1.1; AMD APM volume 2, 7.3.2). 16 whole bytes are two
// words taken or landed together, which the rules allow. Plain loads and stores of x86 are acquire and
// release.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define FUSEE_WIDE_COPY 1
#include <immintrin.h>
#endif

namespace fusee {

inline bool isAligned(const void* p, uintptr_t unit) {
  return (reinterpret_cast<uintptr_t>(p) & (unit - 1)) == 0;
}

inline void fullFence() {
#if defined(__SANITIZE_THREAD__)
  // ThreadSanitizer does not model fences; a sequentially consistent exchange orders as much on x86 and arm.
  static uint64_t dummy;
  __atomic_fetch_add(&dummy, 1, __ATOMIC_SEQ_CST);
#else
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

inline uint64_t loadWord(const uint8_t* at) {
  return __atomic_load_n(reinterpret_cast<const uint64_t*>(at), __ATOMIC_ACQUIRE);
}

inline void storeWord(uint8_t* at, uint64_t word) {
  __atomic_store_n(reinterpret_cast<uint64_t*>(at), word, __ATOMIC_RELEASE);
}

#if FUSEE_WIDE_COPY
inline bool detectWide() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx") != 0;
}
inline const bool hasWideAtomics = detectWide();

// Steps of 64 bytes from a 16-byte aligned source; returns how many bytes it took.
inline size_t readWide(uint8_t* into, const uint8_t* from, size_t bytes) {
  size_t done = 0;
  for (; done + 64 <= bytes; done += 64) {
    const auto* source = reinterpret_cast<const __m128i*>(from + done);
    auto* target = reinterpret_cast<__m128i*>(into + done);
    const __m128i a = _mm_load_si128(source), b = _mm_load_si128(source + 1);
    const __m128i c = _mm_load_si128(source + 2), d = _mm_load_si128(source + 3);
    _mm_storeu_si128(target, a);
    _mm_storeu_si128(target + 1, b);
    _mm_storeu_si128(target + 2, c);
    _mm_storeu_si128(target + 3, d);
  }
  return done;
}

// As readWide, to a 16-byte aligned target. The barrier keeps the compiler from changing the order of the
// stores; the processor keeps it by itself.
inline size_t writeWide(uint8_t* into, const uint8_t* from, size_t bytes) {
  size_t done = 0;
  for (; done + 16 <= bytes; done += 16) {
    const __m128i piece = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + done));
    _mm_store_si128(reinterpret_cast<__m128i*>(into + done), piece);
    asm volatile("" ::: "memory");
  }
  return done;
}
#endif

// READ: from an MN's memory into registered memory.
inline void copyFromRemote(uint8_t* into, const uint8_t* from, size_t bytes) {
  if (bytes == 8 && isAligned(from, 8)) {
    const uint64_t word = loadWord(from);
    std::memcpy(into, &word, 8);
    return;
  }
  size_t at = 0;
  for (; at < bytes && !isAligned(from + at, 8); at++)
    into[at] = __atomic_load_n(from + at, __ATOMIC_RELAXED);
#if FUSEE_WIDE_COPY
  if (hasWideAtomics && bytes - at >= 72) {
    if (!isAligned(from + at, 16)) {
      const uint64_t word = loadWord(from + at);
      std::memcpy(into + at, &word, 8);
      at += 8;
    }
    at += readWide(into + at, from + at, bytes - at);
  }
#endif
  for (; at + 8 <= bytes; at += 8) {
    const uint64_t word = __atomic_load_n(reinterpret_cast<const uint64_t*>(from + at), __ATOMIC_RELAXED);
    std::memcpy(into + at, &word, 8);
  }
  for (; at < bytes; at++) into[at] = __atomic_load_n(from + at, __ATOMIC_RELAXED);
#if !defined(__SANITIZE_THREAD__)
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}

// WRITE: from registered memory into an MN's memory.
inline void copyToRemote(uint8_t* into, const uint8_t* from, size_t bytes) {
  size_t at = 0;
  for (; at < bytes && !isAligned(into + at, 8); at++)
    __atomic_store_n(into + at, from[at], __ATOMIC_RELEASE);
#if FUSEE_WIDE_COPY
  if (hasWideAtomics && bytes - at >= 40) {
    if (!isAligned(into + at, 16)) {
      uint64_t word;
      std::memcpy(&word, from + at, 8);
      storeWord(into + at, word);
      at += 8;
    }
    at += writeWide(into + at, from + at, bytes - at);
  }
#endif
  for (; at + 8 <= bytes; at += 8) {
    uint64_t word;
    std::memcpy(&word, from + at, 8);
    storeWord(into + at, word);
  }
  for (; at < bytes; at++) __atomic_store_n(into + at, from[at], __ATOMIC_RELEASE);
}

}  // namespace fusee
