#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "clock.h"

namespace fusee {

ProcessToken readToken(int32_t pid) {
  if (pid <= 0) return 0;
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[1024];
  const ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  if (got <= 0) return 0;
  text[got] = 0;
  // The command name (field 2) may itself hold spaces and brackets: count the fields after its last bracket.
  const char* at = std::strrchr(text, ')');
  if (at == nullptr || at[1] != ' ') return 0;
  const char state = at[2];
  if (state == 'Z' || state == 'X' || state == 'x') return 0;
  at += 2;
  for (int field = 3; field < 22; field++) {
    at = std::strchr(at, ' ');
    if (at == nullptr) return 0;
    at++;
  }
  return makeToken(pid, std::strtoull(at, nullptr, 10));
}

// Asked for by every connection: read once, and again after a fork.
ProcessToken selfToken() {
  static std::atomic<ProcessToken> own{0};
  ProcessToken token = own.load(std::memory_order_relaxed);
  if (token == 0 || tokenPid(token) != getpid()) {
    token = readToken(getpid());
    own.store(token, std::memory_order_relaxed);
  }
  return token;
}

bool isAlive(ProcessToken token) { return token != 0 && readToken(tokenPid(token)) == token; }

int openProcess(ProcessToken token) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, tokenPid(token), 0));
  // The pid may have passed to another process before the open; the start time tells, and cannot change
  // after.
  if (fd >= 0 && !isAlive(token)) {
    close(fd);
    return -1;
  }
  return fd;
}

bool killAndWait(ProcessToken token, uint64_t deadlineNs, const std::function<bool()>& isOver,
                 Failure& failure) {
  const int fd = openProcess(token);
  if (fd < 0) {
    if (!isAlive(token)) return true;
    failure.system("process " + std::to_string(tokenPid(token)) + " cannot be opened");
    return false;
  }
  if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, nullptr, 0) != 0 && errno != ESRCH) {
    failure.system("process " + std::to_string(tokenPid(token)) + " cannot be killed");
    close(fd);
    return false;
  }
  // A pidfd becomes readable when the whole thread group has exited.
  while (!isOver()) {
    pollfd p{fd, POLLIN, 0};
    const int ready = poll(&p, 1, 1);
    if (ready > 0) break;
    if (nowNs() < deadlineNs) continue;
    failure.fabric("process " + std::to_string(tokenPid(token)) +
                   " was killed and has not exited by the deadline");
    close(fd);
    return false;
  }
  close(fd);
  return true;
}

bool signalAtParentsDeath(int signal, Failure& failure) {
  if (prctl(PR_SET_PDEATHSIG, signal) == 0) return true;
  failure.system("the parent's death cannot be followed");
  return false;
}

bool DeathWatcher::start(const std::vector<Watched>& watched, Failure& failure) {
  stopFd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stopFd_ < 0) {
    failure.system("no eventfd for the death watcher");
    return false;
  }
  for (const Watched& w : watched) {
    const int fd = openProcess(w.token);
    if (fd >= 0) {
      entries_.push_back({fd, w.deadFlag});
    } else if (!isAlive(w.token)) {
      __atomic_store_n(w.deadFlag, 1, __ATOMIC_SEQ_CST);
    } else {
      failure.system("process " + std::to_string(tokenPid(w.token)) + " cannot be watched");
      stop();
      return false;
    }
  }
  const int error = pthread_create(&thread_, nullptr, run, this);
  if (error != 0) {
    failure.system("no thread for the death watcher", error);
    stop();
    return false;
  }
  isRunning_ = true;
  return true;
}

void DeathWatcher::stop() {
  if (isRunning_) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t wrote = write(stopFd_, &one, sizeof one);
    pthread_join(thread_, nullptr);
    isRunning_ = false;
  }
  for (const Entry& e : entries_) {
    if (e.fd >= 0) close(e.fd);
  }
  entries_.clear();
  if (stopFd_ >= 0) close(stopFd_);
  stopFd_ = -1;
}

void* DeathWatcher::run(void* self) {
  auto* watcher = static_cast<DeathWatcher*>(self);
  pthread_setname_np(pthread_self(), "fusee-death");
  std::vector<pollfd> fds;
  for (const Entry& e : watcher->entries_) fds.push_back({e.fd, POLLIN, 0});
  fds.push_back({watcher->stopFd_, POLLIN, 0});
  for (;;) {
    if (poll(fds.data(), fds.size(), -1) < 0) continue;
    if (fds.back().revents != 0) return nullptr;
    for (size_t i = 0; i + 1 < fds.size(); i++) {
      if (fds[i].revents == 0) continue;
      __atomic_store_n(watcher->entries_[i].deadFlag, 1, __ATOMIC_SEQ_CST);
      fds[i].fd = -1;
    }
  }
}

}  // namespace fusee
