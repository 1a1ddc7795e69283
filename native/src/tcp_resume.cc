#include "tcp_resume.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>

#include "clock.h"

namespace fusee {
namespace {

constexpr timespec kPause{0, 10'000'000};

}  // namespace

std::shared_ptr<TcpResumption> TcpResumption::begin(Former former) {
  std::shared_ptr<TcpResumption> made(new TcpResumption(std::move(former)));
  // The thread shares it: whoever loses interest need not wait for its end.
  auto* shared = new std::shared_ptr<TcpResumption>(made);
  pthread_t thread;
  if (pthread_create(&thread, nullptr, run, shared) != 0) {
    delete shared;
    return nullptr;
  }
  pthread_detach(thread);
  return made;
}

void* TcpResumption::run(void* self) {
  pthread_setname_np(pthread_self(), "fusee-resume");
  const std::unique_ptr<std::shared_ptr<TcpResumption>> shared(
      static_cast<std::shared_ptr<TcpResumption>*>(self));
  (*shared)->tryAll();
  (*shared)->isOver_.store(true, std::memory_order_release);
  return nullptr;
}

void TcpResumption::tryAll() {
  for (bool isFinal = false; !isFinal && nowNs() < former_.deadlineNs;) {
    Failure failure;
    auto candidate =
        TcpLink::open(former_.address, former_.identity, former_.deadlineNs, failure, &isFinal);
    if (candidate != nullptr) {
      // One that has come back empty is another.
      const bool isSame = candidate->node() == former_.node;
      const Answer answer = isSame ? askExecuted(*candidate) : Answer::kUnknown;
      if (answer == Answer::kKnown) link = std::move(candidate);
      isFinal = answer != Answer::kUnheard;
    }
    if (!isFinal) nanosleep(&kPause, nullptr);
  }
}

TcpResumption::Answer TcpResumption::askExecuted(TcpLink& candidate) {
  TcpRequest request{};
  request.opcode = kTcpResume;
  request.remote = former_.name;
  request.expect = former_.answered;
  TcpResponse response;
  const int fd = candidate.fd();
  if (!sendAll(fd, &request, sizeof request, former_.deadlineNs) ||
      !receiveAll(fd, &response, sizeof response, former_.deadlineNs)) {
    return Answer::kUnheard;
  }
  if (response.kind != kTcpResumed || response.status != kOk ||
      response.bytes > kFoundMax * sizeof(TcpFound) || response.bytes % sizeof(TcpFound) != 0) {
    return Answer::kUnknown;
  }
  executed = response.found;
  found.resize(response.bytes / sizeof(TcpFound));
  return receiveAll(fd, found.data(), response.bytes, former_.deadlineNs) ? Answer::kKnown : Answer::kUnheard;
}

// Takes over what came of it.
void TcpLink::resume(const std::string& address, const TcpIdentity& identity, uint64_t deadlineNs) {
  outgoing_.clear();
  incoming_.clear();
  // Verbs that were still to be sent again stay behind those that were sent: their order is that of posting.
  left_ = 0;
  sendingAgain = {};
  resumption_ = TcpResumption::begin({address, identity, node_, name_, answered_, deadlineNs});
}

TcpLink::Resumed TcpLink::takeOver(uint64_t now, std::vector<SentVerb>& executed) {
  if (resumption_ == nullptr || !resumption_->isOver()) return Resumed::kNotYet;
  const std::shared_ptr<TcpResumption> from = std::move(resumption_);
  resumption_ = nullptr;
  if (from->link == nullptr || !settle(*from, executed)) return Resumed::kFailed;
  fd_ = std::move(from->link->fd_);
  answered_ = from->executed;
  heardNs_ = now;
  return Resumed::kDone;
}

// What has executed has its answer but for READs, which are sent again: later than they would have been, as
// every READ may be. Where one was ahead of a change by its own batch, which has executed, it might see that:
// such a connection is not gone on with.
bool TcpLink::settle(const TcpResumption& from, std::vector<SentVerb>& executed) {
  if (from.executed < answered_ || from.executed - answered_ > sent_.size()) return false;
  const auto count = static_cast<size_t>(from.executed - answered_);
  std::deque<SentVerb> again;
  std::vector<SentVerb> done;
  for (size_t i = 0; i < count; i++) {
    const SentVerb& sent = sent_[i];
    if (sent.opcode == kRead) {
      for (size_t j = i + 1; j < count; j++)
        if (sent_[j].batch == sent.batch && sent_[j].opcode != kRead) return false;
      again.push_back(sent);
      continue;
    }
    if (sent.opcode >= kCas) {
      const auto it = std::find_if(from.found.begin(), from.found.end(),
                                   [&](const TcpFound& f) { return f.number == answered_ + i; });
      if (it == from.found.end()) return false;
      sent.verb->found = it->found;
    }
    done.push_back(sent);
  }
  again.insert(again.end(), sent_.begin() + static_cast<ptrdiff_t>(count), sent_.end());
  again.insert(again.end(), again_.begin(), again_.end());
  sent_.clear();
  again_ = std::move(again);
  executed = std::move(done);
  return true;
}

}  // namespace fusee
