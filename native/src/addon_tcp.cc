// Sessions and fences over TCP as JavaScript objects.
#include <memory>

#include "addon.h"
#include "addon_session.h"
#include "clock.h"
#include "tcp_session.h"

namespace fusee {
namespace {

ClientKey keyFrom(const Napi::Value& value) {
  bool isLossless = false;
  return value.As<Napi::BigInt>().Uint64Value(&isLossless);
}

std::vector<uint8_t> bytesOf(const Napi::Value& value) {
  const auto bytes = value.As<Napi::Uint8Array>();
  return {bytes.Data(), bytes.Data() + bytes.ByteLength()};
}

std::vector<std::string> stringsOf(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < array.Length(); i++)
    strings.push_back(array.Get(i).As<Napi::String>().Utf8Value());
  return strings;
}

TcpSessionOptions optionsFrom(const Napi::Object& given) {
  TcpSessionOptions options;
  options.addresses = stringsOf(given.Get("addresses"));
  options.identity = {bytesOf(given.Get("secret")), keyFrom(given.Get("key"))};
  options.localBytes = numberAt(given, "localBytes");
  options.queueCapacity = static_cast<uint32_t>(numberAt(given, "queueCapacity"));
  options.rttNs = numberAt(given, "rttNs");
  options.rpcTimeoutNs = numberAt(given, "rpcTimeoutNs");
  options.connectTimeoutNs = numberAt(given, "connectTimeoutNs");
  options.silenceNs = numberAt(given, "silenceNs");
  return options;
}

using Opened = std::shared_ptr<TcpSession>;

// new TcpClientSession(options) connects at once and blocks meanwhile; of what openTcpSession() has given it
// takes over what is connected already.
class TcpClientSession : public Napi::ObjectWrap<TcpClientSession> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "TcpClientSession", {InstanceMethod<&TcpClientSession::reattachCall>("reattach"),
                        InstanceMethod<&TcpClientSession::cutCall>("cut"),
                        InstanceMethod<&TcpClientSession::closeCall>("close")});
  }

  explicit TcpClientSession(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TcpClientSession>(info) {
    Failure failure;
    if (info[0].IsExternal()) session_ = *info[0].As<Napi::External<Opened>>().Data();
    else session_ = TcpSession::open(optionsFrom(info[0].As<Napi::Object>()), failure);
    if (session_ == nullptr) {
      throwFailure(info.Env(), failure);
      return;
    }
    hook_.arm(info.Env(), this);
    auto self = info.This().As<Napi::Object>();
    exposeSession(info.Env(), self, session_);
    const std::vector<uint64_t> nodes = session_->nodes();
    Napi::Array identities = Napi::Array::New(info.Env());
    for (uint32_t i = 0; i < nodes.size(); i++) identities.Set(i, Napi::BigInt::New(info.Env(), nodes[i]));
    self.Set("nodes", identities);
  }

  void close() {
    hook_.disarm();
    if (session_ != nullptr) session_->close();
  }

 private:
  // reattach(mn, address, timeoutNs): { memoryBytes, node }.
  Napi::Value reattachCall(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const uint32_t mn = info[0].As<Napi::Number>().Uint32Value();
    const auto timeoutNs = static_cast<uint64_t>(info[2].As<Napi::Number>().DoubleValue());
    Failure failure;
    if (!session_->reattach(mn, info[1].As<Napi::String>().Utf8Value(), nowNs() + timeoutNs, failure)) {
      throwFailure(env, failure);
      return env.Undefined();
    }
    Napi::Object found = Napi::Object::New(env);
    found.Set("memoryBytes", Napi::Number::New(env, static_cast<double>(session_->memoryBytes()[mn])));
    found.Set("node", Napi::BigInt::New(env, session_->nodes()[mn]));
    return found;
  }

  // cut(mn)
  void cutCall(const Napi::CallbackInfo& info) { session_->cut(info[0].As<Napi::Number>().Uint32Value()); }

  void closeCall(const Napi::CallbackInfo&) { close(); }

  Opened session_;
  CleanupHook<TcpClientSession> hook_;
};

// Work off the event loop that ends well or with a failure.
class Blocking : public Napi::AsyncWorker {
 public:
  Blocking(Napi::Env env, const char* name)
      : Napi::AsyncWorker(env, name), deferred_(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  virtual Napi::Value result() { return Env().Undefined(); }
  void OnOK() override {
    if (isDone_) deferred_.Resolve(result());
    else deferred_.Reject(toError(Env(), failure_).Value());
  }
  Failure failure_;
  bool isDone_ = false;

 private:
  Napi::Promise::Deferred deferred_;
};

class Opening : public Blocking {
 public:
  Opening(Napi::Env env, TcpSessionOptions options)
      : Blocking(env, "fusee-connect"), options_(std::move(options)) {}

 protected:
  void Execute() override {
    session_ = TcpSession::open(std::move(options_), failure_);
    isDone_ = session_ != nullptr;
  }
  Napi::Value result() override {
    return Napi::External<Opened>::New(Env(), new Opened(session_), [](Napi::Env, Opened* o) { delete o; });
  }

 private:
  TcpSessionOptions options_;
  Opened session_;
};

class Fencing : public Blocking {
 public:
  Fencing(Napi::Env env, std::vector<std::string> addresses, TcpIdentity identity, ClientKey key,
          uint64_t deadlineNs)
      : Blocking(env, "fusee-fence"),
        addresses_(std::move(addresses)),
        identity_(std::move(identity)),
        key_(key),
        deadlineNs_(deadlineNs) {}

 protected:
  void Execute() override { isDone_ = fenceOverTcp(addresses_, identity_, key_, deadlineNs_, failure_); }

 private:
  std::vector<std::string> addresses_;
  TcpIdentity identity_;
  ClientKey key_;
  uint64_t deadlineNs_;
};

Napi::Value openTcpSession(const Napi::CallbackInfo& info) {
  auto* opening = new Opening(info.Env(), optionsFrom(info[0].As<Napi::Object>()));
  const Napi::Promise promise = opening->promise();
  opening->Queue();
  return promise;
}

// fenceTcpClient({ addresses, secret, key, fenced, deadlineNs })
Napi::Value fenceTcpClient(const Napi::CallbackInfo& info) {
  const auto given = info[0].As<Napi::Object>();
  auto* fencing = new Fencing(info.Env(), stringsOf(given.Get("addresses")),
                              {bytesOf(given.Get("secret")), keyFrom(given.Get("key"))},
                              keyFrom(given.Get("fenced")), nowNs() + numberAt(given, "deadlineNs"));
  const Napi::Promise promise = fencing->promise();
  fencing->Queue();
  return promise;
}

}  // namespace

void exportTcp(Napi::Env env, Napi::Object exports) {
  exports.Set("TcpClientSession", TcpClientSession::define(env));
  exports.Set("openTcpSession", Napi::Function::New(env, openTcpSession));
  exports.Set("fenceTcpClient", Napi::Function::New(env, fenceTcpClient));
}

}  // namespace fusee
