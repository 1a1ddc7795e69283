// One client's connection as the memory node's service thread sees it: its proof, its queue pair, its calls.
#pragma once
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "region.h"
#include "rpc_client.h"
#include "verbs_device.h"
#include "verbs_wire.h"

namespace fusee {

// What all connections of a node share.
struct VerbsNodeState {
  std::shared_ptr<Region> region;
  std::shared_ptr<Device> device;
  ibv_mr* memory = nullptr;
  ibv_comp_channel* channel = nullptr;
  std::string secret;
  bool hasCm = false;  // rdma_cm is to be had here
  std::vector<uint64_t> fenced;  // clients that are not let in again, the oldest first
};

class VerbsPeer {
 public:
  enum class Stage { kProof, kWaiting, kOpen, kClosed };

  VerbsPeer(VerbsNodeState& node, int socket);
  // Destroys the queue pair: nothing of this client executes afterwards.
  ~VerbsPeer();
  VerbsPeer(const VerbsPeer&) = delete;
  VerbsPeer& operator=(const VerbsPeer&) = delete;

  // The socket has something to read, or has ended. False: close this connection; reason() tells why.
  bool readable();
  // rdma_cm brings the queue pair of whoever holds this token.
  bool holds(const uint8_t* token) const;
  bool accept(rdma_cm_id* id);
  // Takes what has completed. False as readable().
  bool completed();
  // Takes answers of the node's CPU, sends them. False as readable().
  bool answer();
  // It has had its time to prove itself, and to connect.
  void expire() { end("it has not proved itself within 3 s, or has not connected"); }
  // Ends the queue pair at once, and withdraws calls; true when none of its calls is being served any more.
  bool fence();
  // Answers a FENCE that this connection has asked for.
  bool fenceDone();

  Stage stage() const { return stage_; }
  bool isProven() const { return stage_ != Stage::kProof && stage_ != Stage::kClosed; }
  bool isCalling() const { return busyCalls_ > 0; }
  int socket() const { return socket_; }
  uint64_t client() const { return client_; }
  uint64_t wantedFence() const { return wantedFence_; }
  uint64_t openedNs() const { return openedNs_; }
  const std::string& reason() const { return reason_; }
  const rdma_cm_id* id() const { return id_; }

 private:
  struct Call {
    VerbsFrame request;
    VerbsFrame response;
    BatchHeader batch;
    Descriptor verb;
    bool isBusy;
  };
  bool end(std::string reason);
  bool prove(const VerbsHello& hello);
  bool refuse(VerbsAccept& accept, const VerbsHello& hello, const std::string& text);
  bool open(VerbsAccept& accept, const VerbsHello& hello);
  bool makeQueues(rdma_cm_id* id);
  void destroyQueues();
  bool receive(uint32_t call);
  bool take(uint32_t call, uint32_t bytes);
  bool sendAnswer(uint32_t call);

  VerbsNodeState& node_;
  int socket_;
  Stage stage_ = Stage::kProof;
  uint64_t openedNs_;
  VerbsChallenge challenge_{};
  VerbsHello hello_{};
  size_t received_ = 0;
  uint8_t token_[kVerbsTokenBytes] = {};
  uint64_t client_ = 0;
  uint64_t wantedFence_ = 0;
  uint32_t fenceCall_ = 0;
  std::string reason_;

  std::unique_ptr<Call[]> calls_;
  ibv_mr* frames_ = nullptr;
  RpcClient rpc_;
  bool isAttached_ = false;
  uint32_t busyCalls_ = 0;
  ibv_cq* cq_ = nullptr;
  ibv_qp* qp_ = nullptr;
  rdma_cm_id* id_ = nullptr;
  QpShape shape_{};
  uint32_t sending_ = 0;
};

}  // namespace fusee
