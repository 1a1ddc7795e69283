#pragma once

#include <netdb.h>

namespace fusee {

// What getaddrinfo has found, while it is looked at.
struct FoundHost {
  addrinfo* found = nullptr;
  FoundHost() = default;
  FoundHost(const FoundHost&) = delete;
  FoundHost& operator=(const FoundHost&) = delete;
  ~FoundHost() {
    if (found != nullptr) freeaddrinfo(found);
  }
};

}  // namespace fusee
