// An RDMA device as both sides use it: chosen, opened, examined, and the memory that it may reach.
#pragma once
#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include <memory>
#include <string>
#include <vector>

#include "failure.h"
#include "verbs_wire.h"

namespace fusee {

// What the user chose; empty or negative is left to us.
struct DeviceChoice {
  std::string device;
  int port = -1;
  int gidIndex = -1;
};

// The devices, ports and GIDs of this host, a line each, for messages and for people.
std::string describeDevices();

class Device {
 public:
  // Opens the chosen device, or the first with an active port.
  static std::shared_ptr<Device> open(const DeviceChoice& choice, Failure& failure);
  // Uses a context that rdma_cm has opened; it outlives this.
  static std::shared_ptr<Device> of(ibv_context* context, const DeviceChoice& choice, Failure& failure);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Null, with the limit of locked memory and how to raise it, when that is what is missing.
  ibv_mr* registerMemory(void* at, uint64_t bytes, int access, Failure& failure);

  // Soft-RoCE: packets are made by the processors that run everything else.
  bool isSoftware() const { return limits.vendor_id == kSoftwareVendor; }
  // What passes until a packet without an answer is sent again, in the NIC's terms, and how often it is. A peer
  // that is gone shows after some 470 ms, in software after 4 s: a processor that is wanted elsewhere is no
  // lost packet. 7 times would mean "for ever" to soft-RoCE.
  uint8_t ackTimeout() const { return isSoftware() ? 18 : 14; }
  uint8_t retries() const { return isSoftware() ? 3 : 6; }

  std::string name() const { return ibv_get_device_name(context->device); }
  QpAddress addressOf(const ibv_qp* qp, uint32_t firstPacket) const;

  ibv_context* context = nullptr;
  ibv_pd* domain = nullptr;
  ibv_device_attr limits{};
  ibv_port_attr portState{};
  uint8_t port = 1;
  uint8_t gidIndex = 0;
  ibv_gid gid{};
  bool hasGid = false;

 private:
  static constexpr uint32_t kSoftwareVendor = 0xffffff;
  Device() = default;
  bool examine(const DeviceChoice& choice, Failure& failure);
  bool choosePort(const DeviceChoice& choice, Failure& failure);
  bool chooseGid(const DeviceChoice& choice, Failure& failure);
  bool ownsContext_ = false;
};

// What a queue pair gets: room for so many work requests, and inline data as far as the device has it.
struct QpShape {
  uint32_t sends;
  uint32_t receives;
  uint32_t inlineBytes;
};

// Makes an RC queue pair, on `id` when rdma_cm is to connect it; tries again with less inline data when the
// device refuses. `shape` tells what was given.
ibv_qp* makeQp(const Device& device, ibv_cq* cq, rdma_cm_id* id, QpShape& shape, Failure& failure);

// INIT to RTS towards `peer`, for an exchange of addresses.
bool startQp(const Device& device, ibv_qp* qp, const QpAddress& own, const QpAddress& peer, Failure& failure);

// Shared by both ways of connecting.
constexpr uint8_t kReceiverRetries = 6;

}  // namespace fusee
