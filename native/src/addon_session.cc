// A session over shared memory as a JavaScript object, and checksums.
#include "addon_session.h"

#include "crc.h"
#include "replay.h"
#include "session.h"

namespace fusee {
namespace {

class ClientSession : public Napi::ObjectWrap<ClientSession> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "ClientSession",
                       {InstanceMethod<&ClientSession::replayCall>("replay"),
                        InstanceMethod<&ClientSession::meetsNic>("meetsNic"),
                        InstanceMethod<&ClientSession::reattachCall>("reattach"),
                        InstanceMethod<&ClientSession::fenceCall>("fence"),
                        InstanceMethod<&ClientSession::touchAhead>("touchAhead"),
                        InstanceMethod<&ClientSession::endedProcesses>("endedProcesses"),
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
    exposeSession(env, info.This().As<Napi::Object>(), session_);
  }

  void close() {
    hook_.disarm();
    if (session_ != nullptr) session_->close();
  }

 private:
  Napi::Value meetsNic(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), session_->meetsNic());
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
    return Napi::Number::New(info.Env(), static_cast<double>(session_->memoryBytes()[mn]));
  }

  // fence(mn): verbs to that node FAIL from now on, everybody's.
  void fenceCall(const Napi::CallbackInfo& info) {
    session_->fence(info[0].As<Napi::Number>().Uint32Value());
  }

  // touchAhead(): all memory is looked at ahead of use.
  void touchAhead(const Napi::CallbackInfo& info) {
    Failure failure;
    if (!session_->touchAhead(failure)) throwFailure(info.Env(), failure);
  }

  // endedProcesses(): an array of processes.
  Napi::Value endedProcesses(const Napi::CallbackInfo& info) {
    const std::vector<ProcessToken> ended = session_->endedProcesses();
    Napi::Array processes = Napi::Array::New(info.Env(), ended.size());
    for (uint32_t i = 0; i < ended.size(); i++) processes.Set(i, toObject(info.Env(), ended[i]));
    return processes;
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
