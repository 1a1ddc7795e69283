// A session as a JavaScript object. Its hot calls take no arguments and return nothing: what they need lies
// in memory shared with TypeScript, so a call costs a few nanoseconds.
#include <node_api.h>

#include "addon.h"
#include "crc.h"
#include "replay.h"
#include "session.h"

namespace fusee {
namespace {

template <void (Session::*method)()>
napi_value hotCall(napi_env env, napi_callback_info info) {
  void* session;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &session);
  (static_cast<Session*>(session)->*method)();
  return nullptr;
}

// The function shares ownership of the session, so it may be called for as long as it exists.
template <void (Session::*method)()>
Napi::Value hotFunction(Napi::Env env, const char* name, const std::shared_ptr<Session>& session) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, hotCall<method>, session.get(), &function);
  auto* keep = new std::shared_ptr<Session>(session);
  napi_add_finalizer(
      env, function, keep,
      [](napi_env, void* kept, void*) { delete static_cast<std::shared_ptr<Session>*>(kept); }, nullptr,
      nullptr);
  return {env, function};
}

class ClientSession : public Napi::ObjectWrap<ClientSession> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "ClientSession",
                       {InstanceMethod<&ClientSession::replayCall>("replay"),
                        InstanceMethod<&ClientSession::reattachCall>("reattach"),
                        InstanceMethod<&ClientSession::closeCall>("close")});
  }

  explicit ClientSession(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ClientSession>(info) {
    const Napi::Env env = info.Env();
    const auto given = info[0].As<Napi::Object>();
    SessionOptions options;
    const auto names = given.Get("regions").As<Napi::Array>();
    for (uint32_t i = 0; i < names.Length(); i++) {
      options.regions.push_back(names.Get(i).As<Napi::String>().Utf8Value());
    }
    options.localBytes = numberAt(given, "localBytes");
    options.queueCapacity = static_cast<uint32_t>(numberAt(given, "queueCapacity"));
    options.rttNs = numberAt(given, "rttNs");
    options.rpcTimeoutNs = numberAt(given, "rpcTimeoutNs");
    options.prefault = given.Get("prefault").ToBoolean();
    Failure failure;
    session_ = Session::open(options, failure);
    if (session_ == nullptr) {
      throwFailure(env, failure);
      return;
    }
    hook_.arm(env, this);
    expose(env, info.This().As<Napi::Object>());
  }

  void close() {
    hook_.disarm();
    if (session_ != nullptr) session_->close();
  }

 private:
  void expose(Napi::Env env, Napi::Object self) {
    auto* control = reinterpret_cast<uint8_t*>(session_->control());
    self.Set("local", viewOf(env, session_, session_->local(), session_->localBytes()));
    self.Set("control", viewOf(env, session_, control, session_->controlBytes()));
    self.Set("doorbell", hotFunction<&Session::doorbell>(env, "doorbell", session_));
    self.Set("stampNow", hotFunction<&Session::stampNow>(env, "stampNow", session_));
    self.Set("checksum", hotFunction<&Session::checksum>(env, "checksum", session_));
    Napi::Array memoryBytes = Napi::Array::New(env);
    for (uint32_t i = 0; i < session_->regions().size(); i++) {
      memoryBytes.Set(i, Napi::Number::New(env, static_cast<double>(session_->regions()[i]->memoryBytes())));
    }
    self.Set("memoryBytes", memoryBytes);
  }

  // replay(images, offsets, doorbellEnds, passes): nanoseconds.
  Napi::Value replayCall(const Napi::CallbackInfo& info) {
    auto images = info[0].As<Napi::Uint32Array>();
    const auto offsets = info[1].As<Napi::Uint32Array>();
    const auto ends = info[2].As<Napi::Uint32Array>();
    const Recording recording{reinterpret_cast<uint8_t*>(images.Data()),
                              images.ByteLength(),
                              offsets.Data(),
                              static_cast<uint32_t>(offsets.ElementLength()),
                              ends.Data(),
                              static_cast<uint32_t>(ends.ElementLength())};
    Failure failure;
    const double ns = replay(*session_, recording, info[3].As<Napi::Number>().Uint32Value(), failure);
    if (ns < 0) throwFailure(info.Env(), failure);
    return Napi::Number::New(info.Env(), ns);
  }

  // reattach(mn, name): bytes of that region's memory.
  Napi::Value reattachCall(const Napi::CallbackInfo& info) {
    const uint32_t mn = info[0].As<Napi::Number>().Uint32Value();
    Failure failure;
    if (!session_->reattach(mn, info[1].As<Napi::String>().Utf8Value(), failure)) {
      throwFailure(info.Env(), failure);
      return info.Env().Undefined();
    }
    return Napi::Number::New(info.Env(), static_cast<double>(session_->regions()[mn]->memoryBytes()));
  }

  void closeCall(const Napi::CallbackInfo&) { close(); }

  std::shared_ptr<Session> session_;
  CleanupHook<ClientSession> hook_;
};

// crc32c(bytes, seed, isPortable): for tests, and for memory that is not registered.
Napi::Value crc32cCall(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const uint32_t seed = info[1].As<Napi::Number>().Uint32Value();
  const auto function = info[2].ToBoolean() ? crc32cPortable : crc32c;
  return Napi::Number::New(info.Env(), function(bytes.Data(), bytes.ByteLength(), seed));
}

}  // namespace

void exportSession(Napi::Env env, Napi::Object exports) {
  exports.Set("ClientSession", ClientSession::define(env));
  exports.Set("crc32c", Napi::Function::New(env, crc32cCall));
}

}  // namespace fusee
