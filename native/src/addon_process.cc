// Processes and left-over regions, as TypeScript sees them.
#include <signal.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "addon.h"
#include "clock.h"
#include "region.h"
#include "rpc_client.h"

namespace fusee {
namespace {

Napi::Value isAliveCall(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), isAlive(fromObject(info[0].As<Napi::Object>())));
}

Napi::Value findProcess(const Napi::CallbackInfo& info) {
  const ProcessToken token = readToken(info[0].As<Napi::Number>().Int32Value());
  return token == 0 ? info.Env().Null() : toObject(info.Env(), token).As<Napi::Value>();
}

Napi::Value followParent(const Napi::CallbackInfo& info) {
  Failure failure;
  const bool isWoken = info[1].As<Napi::Boolean>().Value();
  if (!signalAtParentsDeath(isWoken ? SIGCONT : SIGKILL, failure)) {
    throwFailure(info.Env(), failure);
    return info.Env().Undefined();
  }
  // Only after: a parent that dies meanwhile is met by the one or by the other.
  return Napi::Boolean::New(info.Env(), getppid() == info[0].As<Napi::Number>().Int32Value());
}

Napi::Value sweep(const Napi::CallbackInfo& info) {
  const std::vector<std::string> swept = sweepRegions(info[0].As<Napi::String>().Utf8Value());
  Napi::Array names = Napi::Array::New(info.Env(), swept.size());
  for (uint32_t i = 0; i < swept.size(); i++) names.Set(i, Napi::String::New(info.Env(), swept[i]));
  return names;
}

// Kills, waits until the threads that had sessions in the regions have ended, or for the exit, then withdraws
// from each region what the process had asked of the node's CPU: an RPC outlives its caller, and nothing
// posted before the fence may execute after it.
class Fence : public Napi::AsyncWorker {
 public:
  Fence(Napi::Env env, ProcessToken token, std::vector<std::string> regions, uint64_t deadlineNs)
      : Napi::AsyncWorker(env, "fusee-fence"),
        deferred_(Napi::Promise::Deferred::New(env)),
        token_(token),
        regions_(std::move(regions)),
        deadlineNs_(deadlineNs) {}
  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    std::vector<std::shared_ptr<Region>> regions;
    for (const std::string& name : regions_) {
      Failure missing;
      auto region = Region::inspect(name, missing);
      // A node that is gone serves nothing.
      if (region != nullptr) regions.push_back(std::move(region));
    }
    const auto isOver = [this, &regions] { return haveSessionsEnded(token_, regions); };
    isFenced_ = killAndWait(token_, deadlineNs_, isOver, failure_);
    for (size_t i = 0; isFenced_ && i < regions.size(); i++) isFenced_ = withdraw(*regions[i]);
  }
  void OnOK() override {
    if (isFenced_) deferred_.Resolve(Env().Undefined());
    else deferred_.Reject(toError(Env(), failure_).Value());
  }

 private:
  bool withdraw(Region& region) {
    if (cancelRequestsOf(token_, region, deadlineNs_)) return true;
    failure_.fabric("region " + region.name() +
                    " is still serving a request of the fenced process at the deadline");
    return false;
  }
  Napi::Promise::Deferred deferred_;
  ProcessToken token_;
  std::vector<std::string> regions_;
  uint64_t deadlineNs_;
  Failure failure_;
  bool isFenced_ = false;
};

Napi::Value fenceProcess(const Napi::CallbackInfo& info) {
  const auto options = info[1].As<Napi::Object>();
  const auto names = options.Get("regions").As<Napi::Array>();
  std::vector<std::string> regions;
  for (uint32_t i = 0; i < names.Length(); i++)
    regions.push_back(names.Get(i).As<Napi::String>().Utf8Value());
  const ProcessToken token = fromObject(info[0].As<Napi::Object>());
  if (token == 0 || token == selfToken()) {
    Failure failure;
    failure.usage("a fence is for another process, given by pid and start time");
    throwFailure(info.Env(), failure);
    return info.Env().Undefined();
  }
  auto* fence = new Fence(info.Env(), token, std::move(regions), nowNs() + numberAt(options, "deadlineNs"));
  const Napi::Promise promise = fence->promise();
  fence->Queue();
  return promise;
}

}  // namespace

void exportProcess(Napi::Env env, Napi::Object exports) {
  exports.Set("isAlive", Napi::Function::New(env, isAliveCall));
  exports.Set("findProcess", Napi::Function::New(env, findProcess));
  exports.Set("followParent", Napi::Function::New(env, followParent));
  exports.Set("sweepRegions", Napi::Function::New(env, sweep));
  exports.Set("fenceProcess", Napi::Function::New(env, fenceProcess));
}

}  // namespace fusee
