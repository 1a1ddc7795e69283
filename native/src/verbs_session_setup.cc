// The control path of a verbs session: memory, device, queue pairs, and their end.
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "verbs_session.h"

namespace fusee {
namespace {

constexpr uint32_t kSessionSends = 1024;
// Enough for a log commit, a used bit, a call: what is larger is fetched by the NIC.
constexpr uint32_t kInlineBytes = 256;
constexpr uint64_t kHugePage = 2 << 20;

uint64_t roundUp(uint64_t bytes, uint64_t to) { return (bytes + to - 1) / to * to; }

// In huge pages where the system has set some aside: a NIC's table of pages is the smaller for them.
uint8_t* mapMemory(uint64_t& bytes, Failure& failure) {
  const int kind = MAP_PRIVATE | MAP_ANONYMOUS;
  const uint64_t rounded = roundUp(bytes, kHugePage);
  void* at = mmap(nullptr, rounded, PROT_READ | PROT_WRITE, kind | MAP_HUGETLB, -1, 0);
  if (at != MAP_FAILED) {
    bytes = rounded;
    return static_cast<uint8_t*>(at);
  }
  at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kind, -1, 0);
  if (at == MAP_FAILED) {
    failure.system("no " + std::to_string(bytes) + " bytes of registered memory");
    return nullptr;
  }
  madvise(at, bytes, MADV_HUGEPAGE);
  return static_cast<uint8_t*>(at);
}

}  // namespace

std::shared_ptr<VerbsSession> VerbsSession::open(const VerbsSessionOptions& options, Failure& failure) {
  if (options.nodes.size() > kMaxNodes) {
    failure.usage(std::to_string(options.nodes.size()) + " memory nodes: a client reaches at most " +
                  std::to_string(kMaxNodes));
    return nullptr;
  }
  uint64_t bytes = options.localBytes + sizeof(Control) + uint64_t{options.queueCapacity} * 8;
  const uint64_t frames = roundUp(bytes, 64);
  bytes = frames + options.nodes.size() * 2 * kVerbsCalls * sizeof(VerbsFrame);
  uint8_t* memory = mapMemory(bytes, failure);
  if (memory == nullptr) return nullptr;
  std::shared_ptr<VerbsSession> session(new VerbsSession(options, memory, bytes));
  session->placeFrames(reinterpret_cast<VerbsFrame*>(memory + frames));
  return session->connect(failure) ? session : nullptr;
}

VerbsSession::VerbsSession(const VerbsSessionOptions& options, uint8_t* local, uint64_t bytes)
    : options_(options), local_(local), bytes_(bytes) {
  for (size_t i = 0; i < options.nodes.size(); i++) nodes_.push_back(std::make_unique<Node>());
}

void VerbsSession::placeFrames(VerbsFrame* frames) {
  for (const auto& node : nodes_) {
    node->sends = frames;
    node->receives = frames + kVerbsCalls;
    frames += 2 * kVerbsCalls;
  }
}

bool VerbsSession::connect(Failure& failure) {
  uint32_t living = 0;
  for (uint32_t mn = 0; mn < nodeCount(); mn++) {
    const VerbsLinkOptions& to = options_.nodes[mn];
    Node& node = *nodes_[mn];
    if (to.host.empty()) {
      node.reason = "it is known to be dead";
      continue;
    }
    living++;
    node.link = std::make_unique<VerbsLink>(to);
    if (to.mode != kConnectionManager) continue;
    ibv_context* context = node.link->resolve(failure);
    if (context == nullptr) return false;
    if (device_ == nullptr) device_ = Device::of(context, options_.choice, failure);
    if (device_ == nullptr) return false;
  }
  if (device_ == nullptr) device_ = Device::open(options_.choice, failure);
  if (device_ == nullptr) return false;
  const std::string& wanted = options_.choice.device;
  if (!wanted.empty() && wanted != device_->name()) {
    failure.usage("rdma_cm reaches the memory nodes over RDMA device " + device_->name() + ", not " + wanted +
                  ": choose that one, or connect by exchange; there are: " + describeDevices());
    return false;
  }
  memory_ = device_->registerMemory(local_, bytes_, IBV_ACCESS_LOCAL_WRITE, failure);
  if (memory_ == nullptr) return false;
  const int most =
      std::min<int>(device_->limits.max_cqe, static_cast<int>(living * (kSessionSends + kVerbsCalls)));
  cq_ = ibv_create_cq(device_->context, std::max(most, 1), nullptr, nullptr, 0);
  if (cq_ == nullptr) {
    failure.system("no completion queue on RDMA device " + device_->name());
    return false;
  }
  std::vector<VerbsWatcher::Watched> watched;
  for (uint32_t mn = 0; mn < nodeCount(); mn++) {
    if (nodes_[mn]->link == nullptr) continue;
    if (!connectNode(mn, static_cast<uint32_t>(most) / living, failure)) return false;
    watched.push_back({nodes_[mn]->link->socket(), nodes_[mn]->link->qp->qp_num, mn});
  }
  return watcher_.start(std::move(watched), device_->context, failure);
}

bool VerbsSession::connectNode(uint32_t mn, uint32_t completions, Failure& failure) {
  Node& node = *nodes_[mn];
  node.shape = {std::min(kSessionSends, completions - kVerbsCalls), kVerbsCalls, kInlineBytes};
  const auto prepare = [&](ibv_qp* qp) {
    for (uint32_t slot = 0; slot < kVerbsCalls; slot++) {
      if (!receive(mn, qp, slot)) return false;
    }
    return true;
  };
  if (!node.link->connect(*device_, cq_, node.shape, prepare, failure)) return false;
  node.requests.resize(node.shape.sends);
  node.places.resize(node.shape.sends);
  node.memoryBytes = node.link->memoryBytes;
  node.isBroken = false;
  return true;
}

VerbsSession::~VerbsSession() {
  close();
  munmap(local_, bytes_);
}

// Who closes has posted things that must not execute any more: those on their way are waited for, for as long
// as a dead node's would take. A call that a node has not begun to serve goes with the connection.
void VerbsSession::close() {
  if (isClosed_) return;
  submitted_.clear();
  const uint64_t endNs = nowNs() + 1'000'000'000;
  const auto isOnTheWay = [this] {
    return std::any_of(nodes_.begin(), nodes_.end(),
                       [](const auto& node) { return !node->isBroken && node->outstanding > 0; });
  };
  while (isOnTheWay() && nowNs() < endNs) doorbell();
  isClosed_ = true;
  watcher_.stop();
  for (const auto& node : nodes_) node->link.reset();
  if (cq_ != nullptr) ibv_destroy_cq(cq_);
  if (memory_ != nullptr) ibv_dereg_mr(memory_);
  cq_ = nullptr;
  memory_ = nullptr;
  device_.reset();
}

}  // namespace fusee
