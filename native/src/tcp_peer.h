// The node's side of one connection: understands what comes in, executes it, says what goes out. It knows
// bytes and no sockets, so that a fuzzer can be its network.
//
// Rules:
// - Memory is bounded: one queue each way, and a limited number of calls. When the way out is full nothing
//   more is executed, and nothing more is taken in: the client's own TCP stack makes it wait.
// - Whatever names something outside the node's memory ends the connection, with a reason; so does anything
//   before the client has proved that it knows the secret. What was executed before stays executed.
// - A WRITE lands as its bytes arrive, in whole words, and a READ leaves as there is room: no verb is too
//   large. A client that dies in the middle leaves a torn WRITE, as one on shared memory does.
// - Its thread executes the verbs of all connections, one after the other, through the same copies and
//   atomics as clients on shared memory.
#pragma once
#include <string>
#include <vector>

#include "byte_queue.h"
#include "region.h"
#include "rpc_client.h"
#include "tcp_protocol.h"

namespace fusee {

// What all connections of a node share.
struct TcpNode {
  std::shared_ptr<Region> region;
  std::vector<uint8_t> secret;
  uint64_t identity;
};

constexpr size_t kPeerQueueBytes = 256 << 10;
// Calls of one connection that have no answer yet; verbs behind one more wait.
constexpr uint32_t kPeerCalls = 64;

// Which READs, WRITEs and atomics of a client have executed, over all connections that follow each other.
struct TcpExecuted {
  uint64_t count = 0;
  uint64_t atomics = 0;
  std::vector<TcpFound> found;  // a ring of the latest, once there is one

  void addAtomic(uint64_t what) {
    if (found.empty()) found.resize(kFoundMax);
    found[atomics++ % kFoundMax] = {count++, what};
  }
};

class TcpPeer {
 public:
  // The queues have room for a greeting at least.
  explicit TcpPeer(const TcpNode& node, size_t queueBytes = kPeerQueueBytes);

  // Where received bytes go, behind inputRoom(), and how many came.
  size_t inputRoom() { return input_.room(); }
  uint8_t* inputTail() { return input_.tail(); }
  void received(size_t bytes) { input_.added(bytes); }

  // Executes what has come, as far as there is room for the answers. False: the connection is to end, and
  // reason() says why. What waits to be sent then still should be: it may be the refusal.
  bool process();
  // Takes answers of the node's CPU; true when there were some.
  bool takeAnswers();

  const ByteQueue& output() const { return output_; }
  void sent(size_t bytes) { output_.removed(bytes); }
  // It has more to execute, and waits for what was sent to be read or for what it called to be answered.
  bool isBlocked() const { return isBlocked_; }
  bool isProven() const { return stage_ == Stage::kOpen; }
  bool isCalling() const { return busyCalls_ > 0; }
  ClientKey client() const { return client_; }
  const std::string& reason() const { return reason_; }

  // The client asks for a fence of this key; 0 when it does not. Whoever has fenced says so, and only then is
  // more executed.
  ClientKey wantedFence() const { return wantedFence_; }
  bool fenceDone();
  // The connection that this one follows; 0 when it follows none. Until resumed() nothing is executed.
  uint64_t wantedResume() const { return wantedResume_; }
  // What that one came to; null: nobody knows it. False: there is no room for the answer yet.
  bool resumed(const TcpExecuted* former);
  uint64_t name() const { return name_; }
  const TcpExecuted& executed() const { return executed_; }
  // The proof was right, but this client is not to be let in.
  void refuseFenced();

  // Ends its calls, of which those that are not being served are never served. False while one is.
  bool withdraw() { return rpc_.withdraw(); }

 private:
  enum class Stage { kProof, kOpen, kClosed };
  // What became of one step: more can follow, bytes are missing, the way out or all calls are taken, or over.
  enum class Step { kGo, kStarved, kBlocked, kEnd };
  struct Call {
    BatchHeader batch;
    Descriptor verb;
    uint64_t number;
    bool isBusy;
    uint8_t request[kRpcBytes];
    uint8_t response[kRpcBytes];
  };

  bool prove();
  Step next();
  Step execute(const TcpRequest& request);
  Step call(const TcpRequest& request);
  Step continueWrite();
  Step continueRead();
  bool hasRoom(size_t bytes) { return output_.room() >= sizeof(TcpResponse) + bytes; }
  void respond(uint8_t kind, uint32_t status, uint32_t bytes, uint64_t found);
  void fenceStores();
  void wrote();
  Call* freeCall();
  bool end(std::string reason);
  uint8_t* at(uint64_t offset) const { return node_.region->memory() + offset; }

  const TcpNode& node_;
  Stage stage_ = Stage::kProof;
  ByteQueue input_;
  ByteQueue output_;
  TcpHello hello_;
  ClientKey client_ = 0;
  std::string reason_;
  // The READ or WRITE under way, and what is left of it.
  uint8_t opcode_ = 0;
  uint64_t remote_ = 0;
  uint64_t left_ = 0;
  bool hasStored_ = false;  // WRITEs may still be in the store buffer; a READ must not overtake them
  bool isBlocked_ = false;
  ClientKey wantedFence_ = 0;
  uint64_t wantedResume_ = 0;
  uint64_t answered_ = 0;  // of the connection that it follows
  uint64_t name_ = 0;
  bool hasBegun_ = false;
  TcpExecuted executed_;
  std::unique_ptr<Call[]> calls_;
  uint32_t busyCalls_ = 0;
  bool isAttached_ = false;
  RpcClient rpc_;
};

}  // namespace fusee
