// The verbs addon's exports: devices, a client's session, a memory node's service. An addon of its own, so that
// hosts without rdma-core lack nothing but it.
#include "addon.h"
#include "addon_session.h"
#include "verbs_server.h"
#include "verbs_session.h"

namespace fusee {
namespace {

std::string textAt(const Napi::Object& options, const char* key) {
  const Napi::Value value = options.Get(key);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
}

// A secret comes as bytes, which JavaScript can overwrite, and never as a string.
std::string bytesAt(const Napi::Object& options, const char* key) {
  const auto bytes = options.Get(key).As<Napi::Uint8Array>();
  return {reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength()};
}

DeviceChoice choiceOf(const Napi::Object& options) {
  DeviceChoice choice;
  choice.device = textAt(options, "device");
  const auto numberOr = [&](const char* key) {
    const Napi::Value value = options.Get(key);
    return value.IsNumber() ? value.As<Napi::Number>().Int32Value() : -1;
  };
  choice.port = numberOr("devicePort");
  choice.gidIndex = numberOr("gid");
  return choice;
}

uint64_t keyOf(const Napi::Value& value) {
  bool isLossless;
  return value.As<Napi::BigInt>().Uint64Value(&isLossless);
}

class VerbsClient : public Napi::ObjectWrap<VerbsClient> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "VerbsClient",
                       {InstanceMethod<&VerbsClient::replayCall>("replayBatch"),
                        InstanceMethod<&VerbsClient::fenceCall>("fence"),
                        InstanceMethod<&VerbsClient::fences>("fences"),
                        InstanceMethod<&VerbsClient::reasonOf>("reasonOf"),
                        InstanceMethod<&VerbsClient::closeCall>("close")});
  }

  explicit VerbsClient(const Napi::CallbackInfo& info) : Napi::ObjectWrap<VerbsClient>(info) {
    const Napi::Env env = info.Env();
    const auto given = info[0].As<Napi::Object>();
    VerbsSessionOptions options;
    options.choice = choiceOf(given);
    const std::string secret = bytesAt(given, "secret");
    const uint64_t client = keyOf(given.Get("key"));
    const VerbsMode mode = given.Get("isByCm").ToBoolean() ? kConnectionManager : kExchange;
    const auto hosts = given.Get("hosts").As<Napi::Array>();
    const auto ports = given.Get("ports").As<Napi::Array>();
    for (uint32_t i = 0; i < hosts.Length(); i++) {
      const auto port = static_cast<uint16_t>(ports.Get(i).As<Napi::Number>().Uint32Value());
      options.nodes.push_back({hosts.Get(i).As<Napi::String>().Utf8Value(), port, secret, client, mode});
    }
    options.localBytes = numberAt(given, "localBytes");
    options.queueCapacity = static_cast<uint32_t>(numberAt(given, "queueCapacity"));
    options.rpcTimeoutNs = numberAt(given, "rpcTimeoutNs");
    Failure failure;
    session_ = VerbsSession::open(options, failure);
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
    self.Set("doorbell", hotFunction<VerbsSession, &VerbsSession::doorbell>(env, "doorbell", session_));
    self.Set("stampNow", hotFunction<VerbsSession, &VerbsSession::stampNow>(env, "stampNow", session_));
    self.Set("checksum", hotFunction<VerbsSession, &VerbsSession::checksum>(env, "checksum", session_));
    self.Set("device", Napi::String::New(env, session_->deviceName()));
    Napi::Array memoryBytes = Napi::Array::New(env);
    for (uint32_t i = 0; i < session_->nodeCount(); i++)
      memoryBytes.Set(i, Napi::Number::New(env, static_cast<double>(session_->memoryBytes(i))));
    self.Set("memoryBytes", memoryBytes);
  }

  // replayBatch(offset, times): fills the Float64Array with nanoseconds of native round trips.
  void replayCall(const Napi::CallbackInfo& info) {
    auto times = info[1].As<Napi::Float64Array>();
    session_->replay(info[0].As<Napi::Number>().Uint32Value(), times.Data(),
                     static_cast<uint32_t>(times.ElementLength()));
  }
  // fence(key): asks; fences() tells how many have not answered, -1 when some never will.
  void fenceCall(const Napi::CallbackInfo& info) { session_->fence(keyOf(info[0])); }
  Napi::Value fences(const Napi::CallbackInfo& info) {
    const int pending = static_cast<int>(session_->fencesPending());
    return Napi::Number::New(info.Env(), pending == 0 && session_->fencesLost() > 0 ? -1 : pending);
  }
  Napi::Value reasonOf(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), session_->reasonOf(info[0].As<Napi::Number>().Uint32Value()));
  }
  void closeCall(const Napi::CallbackInfo&) { close(); }

  std::shared_ptr<VerbsSession> session_;
  CleanupHook<VerbsClient> hook_;
};

class VerbsNode : public Napi::ObjectWrap<VerbsNode> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "VerbsNode",
                       {InstanceAccessor<&VerbsNode::port>("port"), InstanceAccessor<&VerbsNode::device>("device"),
                        InstanceAccessor<&VerbsNode::hasCm>("hasConnectionManager"),
                        InstanceMethod<&VerbsNode::takeReasons>("takeReasons"),
                        InstanceMethod<&VerbsNode::closeCall>("close")});
  }

  explicit VerbsNode(const Napi::CallbackInfo& info) : Napi::ObjectWrap<VerbsNode>(info) {
    const auto given = info[0].As<Napi::Object>();
    const VerbsServerOptions options{textAt(given, "region"), textAt(given, "host"),
                                     static_cast<uint16_t>(numberAt(given, "port")), bytesAt(given, "secret"),
                                     choiceOf(given)};
    Failure failure;
    server_ = VerbsServer::start(options, failure);
    if (server_ == nullptr) {
      throwFailure(info.Env(), failure);
      return;
    }
    hook_.arm(info.Env(), this);
  }
  ~VerbsNode() override { close(); }

  void close() {
    hook_.disarm();
    server_.reset();
  }

 private:
  Napi::Value port(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), server_ == nullptr ? 0 : server_->port());
  }
  Napi::Value device(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), server_ == nullptr ? "" : server_->deviceName());
  }
  Napi::Value hasCm(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), server_ != nullptr && server_->hasConnectionManager());
  }
  Napi::Value takeReasons(const Napi::CallbackInfo& info) {
    Napi::Array array = Napi::Array::New(info.Env());
    if (server_ == nullptr) return array;
    uint32_t i = 0;
    for (const std::string& reason : server_->takeReasons())
      array.Set(i++, Napi::String::New(info.Env(), reason));
    return array;
  }
  void closeCall(const Napi::CallbackInfo&) { close(); }

  std::unique_ptr<VerbsServer> server_;
  CleanupHook<VerbsNode> hook_;
};

Napi::Object initAddon(Napi::Env env, Napi::Object exports) {
  exports.Set("VerbsClient", VerbsClient::define(env));
  exports.Set("VerbsNode", VerbsNode::define(env));
  exports.Set("describeDevices", Napi::Function::New(env, [](const Napi::CallbackInfo& info) {
                return Napi::String::New(info.Env(), describeDevices());
              }));
  return exports;
}

NODE_API_MODULE(verbs, initAddon)

}  // namespace
}  // namespace fusee
