// What the host's loopback takes for the bytes of a SEARCH that hits, without anything around it:
// `ping_pong ROUNDS REQUEST_BYTES RESPONSE_BYTES` prints the median and the 99th percentile in nanoseconds.
//
// Both ends wait as the fabric's ends do: the server sleeps in epoll, the client looks again and again and
// leaves the processor to others when it has looked in vain for long.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace {

uint64_t nowNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

void noDelay(int fd) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

void serve(int listener, size_t requestBytes, size_t responseBytes) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
  noDelay(fd);
  const int epoll = epoll_create1(0);
  epoll_event event{};
  event.events = EPOLLIN;
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  std::vector<char> bytes(std::max(requestBytes, responseBytes));
  for (size_t held = 0;;) {
    epoll_wait(epoll, &event, 1, -1);
    const ssize_t got = recv(fd, bytes.data(), bytes.size(), 0);
    if (got == 0) return;
    if (got > 0) held += static_cast<size_t>(got);
    for (; held >= requestBytes; held -= requestBytes) {
      for (size_t sent = 0; sent < responseBytes;) {
        const ssize_t put = send(fd, bytes.data(), responseBytes - sent, MSG_NOSIGNAL);
        if (put > 0) sent += static_cast<size_t>(put);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const size_t rounds = std::strtoul(argv[1], nullptr, 10);
  const size_t requestBytes = std::strtoul(argv[2], nullptr, 10);
  const size_t responseBytes = std::strtoul(argv[3], nullptr, 10);
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof at;
  if (bind(listener, reinterpret_cast<sockaddr*>(&at), length) != 0 || listen(listener, 1) != 0) return 1;
  getsockname(listener, reinterpret_cast<sockaddr*>(&at), &length);
  if (fork() == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    serve(listener, requestBytes, responseBytes);
    return 0;
  }
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&at), length) != 0) return 1;
  noDelay(fd);
  std::vector<char> bytes(std::max(requestBytes, responseBytes));
  std::vector<uint64_t> took;
  for (size_t i = 0; i < rounds + rounds / 10; i++) {
    const uint64_t start = nowNs();
    if (send(fd, bytes.data(), requestBytes, 0) != static_cast<ssize_t>(requestBytes)) return 1;
    int vain = 0;
    for (size_t held = 0; held < responseBytes;) {
      const ssize_t got = recv(fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (got > 0) held += static_cast<size_t>(got);
      else if (++vain > 32) sched_yield();
    }
    if (i >= rounds / 10) took.push_back(nowNs() - start);
  }
  std::sort(took.begin(), took.end());
  std::printf("%llu %llu\n", static_cast<unsigned long long>(took[took.size() / 2]),
              static_cast<unsigned long long>(took[took.size() * 99 / 100]));
  return 0;
}
