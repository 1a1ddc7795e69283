// Processes as pid and start time, so that a reused pid is never taken for the process it once named.
#pragma once
#include <pthread.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "failure.h"

namespace fusee {

// Start time (clock ticks since boot, /proc/<pid>/stat field 22) above 22 bits of pid: one word, so that a
// compare-and-swap can claim something for a process. Linux limits pids to 2^22. 0 names no process.
using ProcessToken = uint64_t;

inline ProcessToken makeToken(int32_t pid, uint64_t startTime) {
  return startTime << 22 | (static_cast<uint32_t>(pid) & 0x3fffff);
}
inline int32_t tokenPid(ProcessToken token) { return static_cast<int32_t>(token & 0x3fffff); }
inline uint64_t tokenStartTime(ProcessToken token) { return token >> 22; }

// The token of a living process, or 0 when there is none; a zombie counts as dead, it executes nothing.
ProcessToken readToken(int32_t pid);
ProcessToken selfToken();
bool isAlive(ProcessToken token);

// A pidfd of exactly that process, or -1 when it is gone.
int openProcess(ProcessToken token);

// SIGKILL, then waits for the exit, or until `isOver` says that nothing of it matters any more: afterwards
// the process executes nothing. True also when it was gone.
bool killAndWait(ProcessToken token, uint64_t deadlineNs, const std::function<bool()>& isOver,
                 Failure& failure);

// From now on the kernel sends this process `signal` when the thread that started it ends: the thread, not
// its process. For a parent whose main thread starts its children that is the same, since Node ends with it.
bool signalAtParentsDeath(int signal, Failure& failure);

// Sets a word of shared memory as soon as a process is gone, from a thread of its own.
class DeathWatcher {
 public:
  struct Watched {
    ProcessToken token;
    uint32_t* deadFlag;
  };
  DeathWatcher() = default;
  ~DeathWatcher() { stop(); }
  DeathWatcher(const DeathWatcher&) = delete;
  DeathWatcher& operator=(const DeathWatcher&) = delete;

  bool start(const std::vector<Watched>& watched, Failure& failure);
  void stop();

 private:
  static void* run(void* self);
  struct Entry {
    int fd;
    uint32_t* deadFlag;
  };
  std::vector<Entry> entries_;
  int stopFd_ = -1;
  pthread_t thread_{};
  bool isRunning_ = false;
};

}  // namespace fusee
