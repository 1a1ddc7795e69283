// Sockets, as both ends use them.
#pragma once
#include <cstdint>
#include <string>

#include "failure.h"

namespace fusee {

// Owns a file descriptor.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~OwnedFd() { reset(); }
  int get() const { return fd_; }
  bool isOpen() const { return fd_ >= 0; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// A "host:port" or "[address]:port" in its parts; false when it is none.
bool splitAddress(const std::string& address, std::string& host, std::string& port);

// Small messages at once; a peer whose host is gone is noticed within some seconds.
void tune(int fd);

// A non-blocking socket that listens at the address, and its port, which the system chooses for 0.
OwnedFd listenAt(const std::string& address, uint16_t& port, Failure& failure);

// A non-blocking socket that is connected to the address.
OwnedFd connectTo(const std::string& address, uint64_t deadlineNs, Failure& failure);

// All of it, before the deadline. False when the other side has closed, or is too slow; errno is 0 for the
// former, and ETIMEDOUT for the latter.
bool receiveAll(int fd, void* into, size_t bytes, uint64_t deadlineNs);
bool sendAll(int fd, const void* from, size_t bytes, uint64_t deadlineNs);

}  // namespace fusee
