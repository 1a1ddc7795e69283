// The addon's own helpers. Control path: node-addon-api. Hot calls: raw Node-API, in addon_session.cc.
#pragma once
#include <napi.h>

#include <memory>

#include "failure.h"
#include "process.h"

namespace fusee {

void exportNode(Napi::Env env, Napi::Object exports);
void exportSession(Napi::Env env, Napi::Object exports);
void exportProcess(Napi::Env env, Napi::Object exports);
void exportTcp(Napi::Env env, Napi::Object exports);

// A JavaScript Error whose `code` tells TypeScript which of its errors to make.
inline Napi::Error toError(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.message);
  error.Set("code", Napi::String::New(env, failure.code));
  return error;
}
inline void throwFailure(Napi::Env env, const Failure& failure) {
  toError(env, failure).ThrowAsJavaScriptException();
}

// An ArrayBuffer over native memory that keeps `owner` alive for as long as anything refers to the buffer.
template <typename Owner>
Napi::ArrayBuffer viewOf(Napi::Env env, const std::shared_ptr<Owner>& owner, uint8_t* data, uint64_t bytes) {
  auto* keep = new std::shared_ptr<Owner>(owner);
  return Napi::ArrayBuffer::New(
      env, data, bytes, [](Napi::Env, void*, std::shared_ptr<Owner>* kept) { delete kept; }, keep);
}

// Runs `target->close()` when the environment goes away (process end, worker end, worker terminated) before
// anybody closed it. Lives in the object it closes, and is disarmed by close() or by its end.
template <typename Target>
class CleanupHook {
 public:
  CleanupHook() = default;
  ~CleanupHook() { disarm(); }
  CleanupHook(const CleanupHook&) = delete;
  CleanupHook& operator=(const CleanupHook&) = delete;

  void arm(napi_env env, Target* target) {
    env_ = env;
    target_ = target;
    napi_add_env_cleanup_hook(env, run, this);
  }
  void disarm() {
    if (env_ != nullptr) napi_remove_env_cleanup_hook(env_, run, this);
    env_ = nullptr;
  }

 private:
  static void run(void* self) {
    auto* hook = static_cast<CleanupHook*>(self);
    hook->env_ = nullptr;
    hook->target_->close();
  }
  napi_env env_ = nullptr;
  Target* target_ = nullptr;
};

inline Napi::Object toObject(Napi::Env env, ProcessToken token) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("pid", Napi::Number::New(env, tokenPid(token)));
  object.Set("startTime", Napi::Number::New(env, static_cast<double>(tokenStartTime(token))));
  return object;
}
inline ProcessToken fromObject(const Napi::Object& object) {
  const auto pid = object.Get("pid").As<Napi::Number>().Int32Value();
  const auto startTime = object.Get("startTime").As<Napi::Number>().Int64Value();
  return pid <= 0 ? 0 : makeToken(pid, static_cast<uint64_t>(startTime));
}
inline uint64_t numberAt(const Napi::Object& options, const char* key) {
  return static_cast<uint64_t>(options.Get(key).As<Napi::Number>().Int64Value());
}

}  // namespace fusee
