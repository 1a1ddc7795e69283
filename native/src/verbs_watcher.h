// A thread that notices, beside the data path, what no completion tells: a node's connection that ended, and the
// device's asynchronous events.
#pragma once
#include <infiniband/verbs.h>
#include <pthread.h>

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "failure.h"

namespace fusee {

class VerbsWatcher {
 public:
  struct Watched {
    int socket;
    uint32_t queuePair;
    uint32_t mn;
  };
  VerbsWatcher() = default;
  ~VerbsWatcher() { stop(); }
  VerbsWatcher(const VerbsWatcher&) = delete;
  VerbsWatcher& operator=(const VerbsWatcher&) = delete;

  bool start(std::vector<Watched> watched, ibv_context* context, Failure& failure);
  void stop();

  // What the device has said last of a port that is down, or nothing: queue pairs live on meanwhile, and
  // their retries decide, but what they then complete with tells only half.
  std::string trouble();

  // True when something has happened since take().
  bool hasNews() const { return hasNews_.load(std::memory_order_acquire); }
  struct End {
    uint32_t mn;
    std::string reason;
  };
  std::vector<End> take();

 private:
  static void* run(void* self);
  void watch();
  void tell(uint32_t mn, const std::string& reason);
  // False: there will be no more events.
  bool asyncEvent();
  void tellAll(const std::string& reason);

  std::vector<Watched> watched_;
  ibv_context* context_ = nullptr;
  int stop_ = -1;
  std::mutex mutex_;
  std::vector<End> ends_;
  std::string trouble_;
  std::atomic<bool> hasNews_{false};
  pthread_t thread_{};
  bool isRunning_ = false;
};

}  // namespace fusee
