// Bytes that wait to be sent or to be understood: a queue of a fixed size, whose content lies in one piece.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

namespace fusee {

class ByteQueue {
 public:
  explicit ByteQueue(size_t capacity) : bytes_(new uint8_t[capacity]), capacity_(capacity) {}

  const uint8_t* head() const { return bytes_.get() + first_; }
  size_t size() const { return end_ - first_; }
  // Free at the tail. What is there is moved to the front when that is the smaller half: whoever finds no
  // room has more than half a queue of bytes to get rid of first.
  size_t room() {
    if (first_ == end_) first_ = end_ = 0;
    if (first_ >= capacity_ / 2) {
      std::memmove(bytes_.get(), bytes_.get() + first_, size());
      end_ -= first_;
      first_ = 0;
    }
    return capacity_ - end_;
  }
  // Behind room(): where to put bytes, of which added() then tells how many they are.
  uint8_t* tail() { return bytes_.get() + end_; }
  void added(size_t bytes) { end_ += bytes; }
  void removed(size_t bytes) { first_ += bytes; }
  void clear() { first_ = end_ = 0; }
  void add(const void* from, size_t bytes) {
    std::memcpy(tail(), from, bytes);
    added(bytes);
  }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t capacity_;
  size_t first_ = 0;
  size_t end_ = 0;
};

}  // namespace fusee
