// How a client's connection that has broken is followed by another one: made on a thread of its own, while
// the client waits for nobody.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "tcp_link.h"

namespace fusee {

class TcpResumption {
 public:
  struct Former {
    std::string address;
    TcpIdentity identity;
    uint64_t node;      // which process it was
    uint64_t name;      // of the connection
    uint64_t answered;  // answers that have come
    uint64_t deadlineNs;
  };
  // Begins to try, until it has come to something, or the deadline. Null when there is no thread for it.
  static std::shared_ptr<TcpResumption> begin(Former former);

  // Whether it has come to something; everything below is of then.
  bool isOver() const { return isOver_.load(std::memory_order_acquire); }
  // Null: the node is not to be reached, is another one, or knows nothing of the former connection.
  std::unique_ptr<TcpLink> link;
  uint64_t executed = 0;        // of the verbs of the former connection, from its first one on
  std::vector<TcpFound> found;  // by atomics whose answers have not come

 private:
  explicit TcpResumption(Former former) : former_(std::move(former)) {}
  static void* run(void* self);
  void tryAll();
  // What the node answers; kUnheard: the connection has broken too, and another may bring the answer.
  enum class Answer { kKnown, kUnknown, kUnheard };
  Answer askExecuted(TcpLink& candidate);

  Former former_;
  std::atomic<bool> isOver_{false};
};

}  // namespace fusee
