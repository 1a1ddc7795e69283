// One client attached to its nodes over TCP.
#pragma once
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "executor.h"
#include "session_core.h"
#include "tcp_link.h"

namespace fusee {

struct TcpSessionOptions {
  std::vector<std::string> addresses;  // by MN; empty for one that is known to be dead
  TcpIdentity identity;
  uint64_t localBytes;
  uint32_t queueCapacity;
  uint64_t rttNs;
  uint64_t rpcTimeoutNs;
  uint64_t connectTimeoutNs;
  uint64_t silenceNs;  // a node that owes answers and says nothing for so long has lost its connection
};

// Rules:
// - A verb is sent when there is room for it; one that finds none waits, and all behind it. So memory is
//   bounded, and order to one node is kept, also across batches.
// - A connection that breaks is followed by another (`tcp_resume.h`), for a second at most, while verbs to
//   that node wait, and all behind them. Nothing FAILs by that, and nothing executes twice.
// - An MN that the pool goes on without is cut: nobody waits for its silence.
// - When none follows, the connection is broken and stays so: everything to that node FAILs, at once and for
//   ever. Whether the node is dead only the view says.
class TcpSession final : public SessionCore {
 public:
  // Connects to all nodes, one after the other. Blocks until then, or the time-out.
  static std::shared_ptr<TcpSession> open(TcpSessionOptions options, Failure& failure);
  ~TcpSession() override { TcpSession::close(); }

  void doorbell() override;
  void close() override;
  std::vector<uint64_t> memoryBytes() const override;
  // Connects to another address in place of an MN's. Nothing may be under way. Blocks until then, or the
  // deadline; when it fails the MN is one whose connection is broken.
  bool reattach(uint32_t mn, const std::string& address, uint64_t deadlineNs, Failure& failure);
  // Everything to an MN FAILs from the next doorbell on, what is under way too, until reattach(): its pool
  // goes on without it. What it has been sent may still execute there.
  void cut(uint32_t mn) {
    if (mn < links_.size()) cutting_ |= uint64_t{1} << mn;
  }
  // By MN: what each node has drawn at its start; 0 of a dead one.
  std::vector<uint64_t> nodes() const;

 private:
  TcpSession(TcpSessionOptions options, uint8_t* local)
      : SessionCore(local, options.localBytes, options.queueCapacity, options.rttNs),
        options_(std::move(options)) {}
  bool connect(Failure& failure);
  // The batch that is being sent, and how far it has got.
  struct SendingBatch {
    uint32_t verb = 0;
    uint32_t count = 0;
    bool isBegun = false;  // the header of that verb has been sent
    Sending current;
  };
  void sendAll(uint64_t now);
  bool sendBatch(uint32_t offset, uint64_t now);
  bool sendVerb(uint32_t offset, Descriptor& verb, uint64_t now);
  bool sendAgain(TcpLink& link, uint64_t now);
  bool beginVerb(TcpLink& link, uint32_t offset, Descriptor& verb, Sending& sending, uint64_t now);
  bool putBytes(TcpLink& link, Sending& sending);
  void lookResumed(uint64_t now);
  void receiveAll(uint64_t now);
  void sleepAWhile();
  void breakLink(uint32_t mn);
  void cutLinks();
  void stopSending(uint32_t mn);
  void verbDone(uint32_t offset);

  TcpSessionOptions options_;
  std::vector<std::unique_ptr<TcpLink>> links_;
  std::deque<uint32_t> waiting_;  // batches that are not sent altogether, the first one in part
  SendingBatch sending_;
  uint64_t cutting_ = 0;   // a bit for each MN to be cut
  uint32_t resuming_ = 0;  // connections that are broken and may be followed by others
  uint64_t calls_ = 0;
  uint32_t idleDoorbells_ = 0;
  bool hasHeard_ = false;
  bool isClosed_ = false;
};

// Connects to the nodes and has them fence a client; what fails is told, after all were tried. Blocks.
bool fenceOverTcp(const std::vector<std::string>& addresses, const TcpIdentity& identity, ClientKey key,
                  uint64_t deadlineNs, Failure& failure);

}  // namespace fusee
