#include "verbs_watcher.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace fusee {

bool VerbsWatcher::start(std::vector<Watched> watched, ibv_context* context, Failure& failure) {
  watched_ = std::move(watched);
  context_ = context;
  if (context_ == nullptr) return true;
  fcntl(context_->async_fd, F_SETFL, fcntl(context_->async_fd, F_GETFL) | O_NONBLOCK);
  stop_ = eventfd(0, EFD_CLOEXEC);
  const int error = stop_ < 0 ? errno : pthread_create(&thread_, nullptr, run, this);
  if (error != 0) failure.system("no thread to watch the queue pairs", error);
  isRunning_ = error == 0;
  return isRunning_;
}

void VerbsWatcher::stop() {
  if (isRunning_) {
    const uint64_t one = 1;
    if (write(stop_, &one, sizeof one) == sizeof one) pthread_join(thread_, nullptr);
  }
  isRunning_ = false;
  if (stop_ >= 0) close(stop_);
  stop_ = -1;
}

std::vector<VerbsWatcher::End> VerbsWatcher::take() {
  const std::lock_guard lock(mutex_);
  hasNews_.store(false, std::memory_order_release);
  return std::exchange(ends_, {});
}

void VerbsWatcher::tell(uint32_t mn, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  ends_.push_back({mn, reason});
  hasNews_.store(true, std::memory_order_release);
}

void VerbsWatcher::tellAll(const std::string& reason) {
  for (const Watched& one : watched_) tell(one.mn, reason);
}

std::string VerbsWatcher::trouble() {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

void* VerbsWatcher::run(void* self) {
  pthread_setname_np(pthread_self(), "fusee-watch");
  static_cast<VerbsWatcher*>(self)->watch();
  return nullptr;
}

void VerbsWatcher::watch() {
  std::vector<pollfd> fds = {{stop_, POLLIN, 0}, {context_->async_fd, POLLIN, 0}};
  for (const Watched& one : watched_) fds.push_back({one.socket, POLLIN, 0});
  for (;;) {
    if (poll(fds.data(), fds.size(), -1) < 0) continue;
    if (fds[0].revents != 0) return;
    if (fds[1].revents != 0 && !asyncEvent()) fds[1].fd = -1;
    for (size_t i = 2; i < fds.size(); i++) {
      if (fds[i].revents == 0) continue;
      uint8_t byte;
      const ssize_t count = recv(fds[i].fd, &byte, 1, MSG_DONTWAIT);
      if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      // A node has nothing more to say: bytes are as good a reason to leave as its end.
      tell(watched_[i - 2].mn, count > 0 ? "it sends what nobody has asked for" : "its connection has ended");
      fds[i].fd = -1;
    }
  }
}

bool VerbsWatcher::asyncEvent() {
  ibv_async_event event;
  if (ibv_get_async_event(context_, &event) != 0) {
    if (errno == EAGAIN || errno == EINTR) return true;
    tellAll(std::string("its RDMA device is gone: ") + std::strerror(errno));
    return false;
  }
  const std::string text = ibv_event_type_str(event.event_type);
  const auto type = event.event_type;
  const bool isQp = type == IBV_EVENT_QP_FATAL || type == IBV_EVENT_QP_REQ_ERR ||
                    type == IBV_EVENT_QP_ACCESS_ERR || type == IBV_EVENT_PATH_MIG_ERR;
  const uint32_t number = isQp ? event.element.qp->qp_num : 0;
  ibv_ack_async_event(&event);
  if (type == IBV_EVENT_PORT_ERR || type == IBV_EVENT_PORT_ACTIVE) {
    const std::lock_guard lock(mutex_);
    trouble_ = type == IBV_EVENT_PORT_ERR ? text : "";
  }
  if (type == IBV_EVENT_DEVICE_FATAL || type == IBV_EVENT_CQ_ERR) tellAll(text);
  for (const Watched& one : watched_) {
    if (isQp && one.queuePair == number) tell(one.mn, text);
  }
  return true;
}

}  // namespace fusee
