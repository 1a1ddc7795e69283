#include "tcp_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

#include "clock.h"

namespace fusee {
namespace {

constexpr int kIdleSeconds = 5;
constexpr int kProbeSeconds = 1;
constexpr int kProbes = 5;
constexpr unsigned kUnheardMs = 10'000;
constexpr int kBacklog = 128;

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

AddressList resolve(const std::string& address, bool isPassive, Failure& failure) {
  std::string host, port;
  AddressList none(nullptr, freeaddrinfo);
  if (!splitAddress(address, host, port)) {
    failure.usage("\"" + address + "\" is no address: give host:port, or [address]:port for IPv6");
    return none;
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (isPassive ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error == 0) return AddressList(found, freeaddrinfo);
  failure.fabric(address + " cannot be resolved: " + gai_strerror(error));
  return none;
}

// Waits for an event of the socket. False, with errno, when it does not come in time.
bool await(int fd, short event, uint64_t deadlineNs) {
  for (;;) {
    const uint64_t now = nowNs();
    if (now >= deadlineNs) {
      errno = ETIMEDOUT;
      return false;
    }
    pollfd p{fd, event, 0};
    const int ready = poll(&p, 1, static_cast<int>((deadlineNs - now) / 1'000'000 + 1));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

bool isAgain(ssize_t result) { return result < 0 && (errno == EAGAIN || errno == EINTR); }

}  // namespace

void OwnedFd::reset(int fd) {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

bool splitAddress(const std::string& address, std::string& host, std::string& port) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) return false;
  host = address.substr(0, colon);
  port = address.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string::npos) return false;
  if (host.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos) return false;
  return std::stoul(port) <= 65535;
}

void tune(int fd) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kIdleSeconds, sizeof kIdleSeconds);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kProbeSeconds, sizeof kProbeSeconds);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kProbes, sizeof kProbes);
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnheardMs, sizeof kUnheardMs);
}

OwnedFd listenAt(const std::string& address, uint16_t& port, Failure& failure) {
  const AddressList list = resolve(address, true, failure);
  if (list == nullptr) return OwnedFd();
  OwnedFd fd(socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int one = 1;
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  // A port whose last connections are still being forgotten can be taken again; one that is in use cannot.
  if (!fd.isOpen() || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
      bind(fd.get(), list->ai_addr, list->ai_addrlen) != 0 || listen(fd.get(), kBacklog) != 0 ||
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    const char* hint = errno == EADDRINUSE      ? " (another node has this port: choose one with --listen)"
                       : errno == EADDRNOTAVAIL ? " (no interface of this host has that address)"
                                                : "";
    failure.system("cannot listen on " + address + hint);
    return OwnedFd();
  }
  port = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                                           : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
  return fd;
}

OwnedFd connectTo(const std::string& address, uint64_t deadlineNs, Failure& failure) {
  const AddressList list = resolve(address, false, failure);
  if (list == nullptr) return OwnedFd();
  int error = 0;
  for (const addrinfo* a = list.get(); a != nullptr; a = a->ai_next) {
    OwnedFd fd(socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.isOpen()) {
      error = errno;
      continue;
    }
    tune(fd.get());
    error = connect(fd.get(), a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      socklen_t length = sizeof error;
      if (!await(fd.get(), POLLOUT, deadlineNs)) error = errno;
      else if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    }
    if (error == 0) return fd;
  }
  failure.system("memory node " + address + " cannot be reached", error);
  errno = error;
  return OwnedFd();
}

bool receiveAll(int fd, void* into, size_t bytes, uint64_t deadlineNs) {
  auto* at = static_cast<uint8_t*>(into);
  while (bytes > 0) {
    const ssize_t got = recv(fd, at, bytes, 0);
    if (got > 0) {
      at += got;
      bytes -= static_cast<size_t>(got);
      continue;
    }
    if (got == 0) errno = 0;
    if (!isAgain(got) || !await(fd, POLLIN, deadlineNs)) return false;
  }
  return true;
}

bool sendAll(int fd, const void* from, size_t bytes, uint64_t deadlineNs) {
  const auto* at = static_cast<const uint8_t*>(from);
  while (bytes > 0) {
    const ssize_t put = send(fd, at, bytes, MSG_NOSIGNAL);
    if (put > 0) {
      at += put;
      bytes -= static_cast<size_t>(put);
      continue;
    }
    if (!isAgain(put) || !await(fd, POLLOUT, deadlineNs)) return false;
  }
  return true;
}

}  // namespace fusee
