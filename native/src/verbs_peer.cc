#include "verbs_peer.h"

#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "clock.h"

namespace fusee {
namespace {

// Calls end when they are answered, or with their connection: the client has a deadline of its own.
constexpr uint64_t kForeverNs = uint64_t{1} << 60;
// Completions of both queues; each of the calls has one RECV and at most two SENDs under way.
constexpr uint32_t kPeerSends = 4 * kVerbsCalls;
constexpr uint64_t kIsPeerReceive = uint64_t{1} << 32;

bool draw(void* at, size_t bytes) { return getrandom(at, bytes, 0) == static_cast<ssize_t>(bytes); }

// Messages of the set-up are shorter than any socket's buffer: they go out whole, or the peer is of no use.
bool sendWhole(int socket, const void* data, size_t bytes) {
  return send(socket, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(bytes);
}

}  // namespace

VerbsPeer::VerbsPeer(VerbsNodeState& node, int socket)
    : node_(node),
      socket_(socket),
      openedNs_(nowNs()),
      calls_(new Call[kVerbsCalls]()),
      rpc_(reinterpret_cast<uint8_t*>(calls_.get()), kForeverNs) {
  challenge_.magic = kVerbsMagic;
  challenge_.version = kVerbsVersion;
  // Without a nonce that nobody knew before nobody must get in.
  if (!draw(challenge_.nonce, sizeof challenge_.nonce) || !draw(token_, sizeof token_)) {
    end("no random numbers");
  } else if (!sendWhole(socket_, &challenge_, sizeof challenge_)) {
    end("it takes nothing");
  }
}

VerbsPeer::~VerbsPeer() {
  destroyQueues();
  if (frames_ != nullptr) ibv_dereg_mr(frames_);
  close(socket_);
}

void VerbsPeer::destroyQueues() {
  if (id_ != nullptr) {
    if (qp_ != nullptr) rdma_destroy_qp(id_);
    rdma_destroy_id(id_);
  } else if (qp_ != nullptr) {
    ibv_destroy_qp(qp_);
  }
  id_ = nullptr;
  qp_ = nullptr;
  if (cq_ != nullptr) ibv_destroy_cq(cq_);
  cq_ = nullptr;
}

bool VerbsPeer::end(std::string reason) {
  stage_ = Stage::kClosed;
  reason_ = std::move(reason);
  return false;
}

bool VerbsPeer::readable() {
  if (stage_ == Stage::kClosed) return false;
  uint8_t rest;
  uint8_t* into = received_ < sizeof hello_ ? reinterpret_cast<uint8_t*>(&hello_) + received_ : &rest;
  const size_t room = received_ < sizeof hello_ ? sizeof hello_ - received_ : 1;
  const ssize_t count = recv(socket_, into, room, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (count < 0) return end(std::string("its connection failed: ") + std::strerror(errno));
  if (count == 0) return end("");
  if (received_ >= sizeof hello_) return end("it sends what nobody has asked for");
  received_ += static_cast<size_t>(count);
  return received_ < sizeof hello_ || prove(hello_);
}

bool VerbsPeer::refuse(VerbsAccept& accept, const VerbsHello& hello, const std::string& text) {
  accept.isRefused = 1;
  std::strncpy(accept.text, text.c_str(), sizeof accept.text - 1);
  const Digest own = verbsProof(node_.secret, "node", challenge_, hello.nonce, accept);
  // Only those who know the secret hear why, in a way that they can trust.
  std::memcpy(accept.proof, own.data(), own.size());
  sendWhole(socket_, &accept, sizeof accept);
  return end(text);
}

bool VerbsPeer::prove(const VerbsHello& hello) {
  if (hello.magic != kVerbsMagic) return end("it does not speak this protocol");
  VerbsAccept accept{};
  accept.magic = kVerbsMagic;
  const Digest expected = verbsProof(node_.secret, "client", challenge_, hello.nonce, hello);
  if (!isEqualDigest(expected.data(), hello.proof)) {
    // Signed by nothing: whoever cannot prove itself learns no more than that.
    accept.isRefused = 2;
    sendWhole(socket_, &accept, sizeof accept);
    return end("its proof is wrong");
  }
  if (hello.version != kVerbsVersion) {
    return refuse(accept, hello, "the node speaks version " + std::to_string(kVerbsVersion) +
                                     ", the client version " + std::to_string(hello.version));
  }
  const auto& fenced = node_.fenced;
  if (std::find(fenced.begin(), fenced.end(), hello.client) != fenced.end())
    return refuse(accept, hello, "this client has been declared dead; connect anew");
  client_ = hello.client;
  return open(accept, hello);
}

bool VerbsPeer::open(VerbsAccept& accept, const VerbsHello& hello) {
  Failure failure;
  if (!rpc_.attach(node_.region, failure)) return refuse(accept, hello, failure.message);
  isAttached_ = true;
  frames_ = node_.device->registerMemory(calls_.get(), kVerbsCalls * sizeof(Call), IBV_ACCESS_LOCAL_WRITE,
                                         failure);
  if (frames_ == nullptr) return refuse(accept, hello, failure.message);
  accept.remoteKey = node_.memory->rkey;
  accept.remote = reinterpret_cast<uint64_t>(node_.region->memory());
  accept.memoryBytes = node_.region->memoryBytes();
  if (hello.mode == kConnectionManager) {
    if (!node_.hasCm) return refuse(accept, hello, "rdma_cm is not to be had at this node");
    std::memcpy(accept.token, token_, sizeof token_);
    stage_ = Stage::kWaiting;
  } else {
    if (!makeQueues(nullptr)) return refuse(accept, hello, reason_);
    accept.address = node_.device->addressOf(qp_, hello.address.firstPacket ^ 0x5a5a5a);
    if (!startQp(*node_.device, qp_, accept.address, hello.address, failure))
      return refuse(accept, hello, failure.message);
    stage_ = Stage::kOpen;
  }
  const Digest own = verbsProof(node_.secret, "node", challenge_, hello.nonce, accept);
  std::memcpy(accept.proof, own.data(), own.size());
  return sendWhole(socket_, &accept, sizeof accept) || end("it takes nothing");
}

bool VerbsPeer::makeQueues(rdma_cm_id* id) {
  Failure failure;
  cq_ = ibv_create_cq(node_.device->context, kPeerSends + kVerbsCalls, this, node_.channel, 0);
  if (cq_ == nullptr || ibv_req_notify_cq(cq_, 0) != 0)
    return end(std::string("no completion queue: ") + std::strerror(errno));
  shape_ = {kPeerSends, kVerbsCalls, sizeof(VerbsFrame)};
  qp_ = makeQp(*node_.device, cq_, id, shape_, failure);
  if (qp_ == nullptr) return end(failure.message);
  // RECVs wait from INIT on; rdma_cm has brought the queue pair there, an exchange does it now.
  if (id == nullptr) {
    ibv_qp_attr init{};
    init.qp_state = IBV_QPS_INIT;
    init.port_num = node_.device->port;
    init.qp_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC;
    if (ibv_modify_qp(qp_, &init, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS) != 0)
      return end("the queue pair cannot be set up");
  }
  for (uint32_t i = 0; i < kVerbsCalls; i++) {
    if (!receive(i)) return false;
  }
  return true;
}

bool VerbsPeer::holds(const uint8_t* token) const {
  if (stage_ != Stage::kWaiting) return false;
  uint8_t difference = 0;
  for (uint32_t i = 0; i < kVerbsTokenBytes; i++) difference |= token[i] ^ token_[i];
  return difference == 0;
}

bool VerbsPeer::accept(rdma_cm_id* id) {
  id_ = id;
  if (id->verbs != node_.device->context) return end("rdma_cm brings it over another RDMA device");
  if (!makeQueues(id)) return false;
  rdma_conn_param parameters{};
  // As many READs and atomics at a time as both devices can: rdma_cm knows.
  parameters.responder_resources = RDMA_MAX_RESP_RES;
  parameters.initiator_depth = RDMA_MAX_INIT_DEPTH;
  parameters.rnr_retry_count = kReceiverRetries;
  if (rdma_accept(id, &parameters) != 0) return end(std::string("rdma_accept: ") + std::strerror(errno));
  stage_ = Stage::kOpen;
  return true;
}

bool VerbsPeer::receive(uint32_t call) {
  ibv_sge at{reinterpret_cast<uint64_t>(&calls_[call].request), sizeof(VerbsFrame), frames_->lkey};
  ibv_recv_wr request{};
  request.wr_id = kIsPeerReceive | call;
  request.sg_list = &at;
  request.num_sge = 1;
  ibv_recv_wr* bad;
  return ibv_post_recv(qp_, &request, &bad) == 0 || end("no RECV can be posted");
}

bool VerbsPeer::completed() {
  if (cq_ == nullptr) return stage_ != Stage::kClosed;
  ibv_wc done[16];
  for (int count = 16; count == 16;) {
    count = ibv_poll_cq(cq_, 16, done);
    if (count < 0) return end("its completion queue failed");
    for (int i = 0; i < count; i++) {
      if (done[i].status != IBV_WC_SUCCESS)
        return end(std::string("a queue pair failed: ") + ibv_wc_status_str(done[i].status));
      if ((done[i].wr_id & kIsPeerReceive) == 0) sending_--;
      else if (!take(static_cast<uint32_t>(done[i].wr_id), done[i].byte_len)) return false;
    }
  }
  return true;
}

// A request is handed to the node's CPU by the way that clients on shared memory take.
bool VerbsPeer::take(uint32_t index, uint32_t bytes) {
  Call& call = calls_[index];
  const VerbsFrame& frame = call.request;
  if (bytes != sizeof frame || frame.bytes > kRpcBytes || call.isBusy) return end("a malformed request");
  call.isBusy = true;
  if (frame.kind == kFenceFrame) {
    if (frame.client == 0 || frame.client == client_ || wantedFence_ != 0) return end("a malformed FENCE");
    wantedFence_ = frame.client;
    fenceCall_ = index;
    return true;
  }
  if (frame.kind != kCallFrame) return end("a request of unknown kind");
  busyCalls_++;
  const auto* base = reinterpret_cast<const uint8_t*>(calls_.get());
  call.batch = {};
  call.batch.remaining = 1;
  call.verb = {};
  call.verb.opcode = kRpc;
  call.verb.local = static_cast<uint32_t>(frame.payload - base);
  call.verb.length = frame.bytes;
  call.verb.expect = static_cast<uint64_t>(call.response.payload - base) | uint64_t{kRpcBytes} << 32;
  rpc_.submit(call.verb, &call.batch);
  return true;
}

bool VerbsPeer::answer() {
  if (busyCalls_ == 0 || stage_ != Stage::kOpen) return true;
  rpc_.poll(nowNs(), [](BatchHeader*) {});
  for (uint32_t i = 0; i < kVerbsCalls; i++) {
    Call& call = calls_[i];
    if (!call.isBusy || call.request.kind != kCallFrame || call.verb.status == kPending) continue;
    call.response.status = call.verb.status;
    call.response.bytes = call.verb.status == kOk ? static_cast<uint32_t>(call.verb.found) : 0;
    busyCalls_--;
    if (!sendAnswer(i)) return false;
  }
  return true;
}

// The RECV of the next request waits before the answer that lets it come is sent.
bool VerbsPeer::sendAnswer(uint32_t index) {
  Call& call = calls_[index];
  call.isBusy = false;
  call.response.number = call.request.number;
  call.response.kind = kAnswerFrame;
  if (!receive(index)) return false;
  if (sending_ >= shape_.sends) return end("it takes no answers");
  ibv_sge at{reinterpret_cast<uint64_t>(&call.response), sizeof(VerbsFrame), frames_->lkey};
  ibv_send_wr send{};
  send.wr_id = index;
  send.sg_list = &at;
  send.num_sge = 1;
  send.opcode = IBV_WR_SEND;
  send.send_flags = IBV_SEND_SIGNALED;
  if (shape_.inlineBytes >= sizeof(VerbsFrame)) send.send_flags |= IBV_SEND_INLINE;
  ibv_send_wr* bad;
  if (ibv_post_send(qp_, &send, &bad) != 0) return end("no answer can be posted");
  sending_++;
  return true;
}

bool VerbsPeer::fence() {
  destroyQueues();
  stage_ = Stage::kClosed;
  return !isAttached_ || rpc_.withdraw();
}

bool VerbsPeer::fenceDone() {
  wantedFence_ = 0;
  Call& call = calls_[fenceCall_];
  call.response.status = kOk;
  call.response.bytes = 0;
  return sendAnswer(fenceCall_);
}

}  // namespace fusee
