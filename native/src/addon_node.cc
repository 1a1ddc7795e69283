// The memory node's side as a JavaScript object: its region, and the RPC service that wakes its thread.
#include "addon.h"
#include "region.h"
#include "rpc_server.h"
#include "tcp_server.h"

namespace fusee {
namespace {

// What Node accepts as one external buffer (buffer.constants.MAX_LENGTH of Node 20); beyond, it aborts.
constexpr uint64_t kWindowBytes = uint64_t{1} << 32;
constexpr size_t kLogLinesMax = 256;

class NodeRegion : public Napi::ObjectWrap<NodeRegion> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "NodeRegion",
        {InstanceMethod<&NodeRegion::window>("window"), InstanceAccessor<&NodeRegion::owner>("owner"),
         InstanceMethod<&NodeRegion::ready>("ready"), InstanceMethod<&NodeRegion::serve>("serve"),
         InstanceMethod<&NodeRegion::rename>("rename"), InstanceAccessor<&NodeRegion::isFenced>("isFenced"),
         InstanceMethod<&NodeRegion::take>("take"), InstanceMethod<&NodeRegion::respond>("respond"),
         InstanceMethod<&NodeRegion::listen>("listen"),
         InstanceMethod<&NodeRegion::closeCall>("close")});
  }

  explicit NodeRegion(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NodeRegion>(info) {
    const auto options = info[0].As<Napi::Object>();
    Failure failure;
    region_ = Region::create(options.Get("name").As<Napi::String>().Utf8Value(),
                             numberAt(options, "memoryBytes"), options.Get("prefault").ToBoolean(), failure);
    if (region_ == nullptr) {
      throwFailure(info.Env(), failure);
      return;
    }
    hook_.arm(info.Env(), this);
  }
  ~NodeRegion() override { close(); }

  // Stops the service before the threadsafe function that its thread calls goes away: hooks run in reverse
  // order, so the hook armed after that function was made runs first.
  void close() {
    hook_.disarm();
    serviceHook_.disarm();
    listenHook_.disarm();
    tcp_.reset();
    if (log_) log_.Release();
    log_ = {};
    server_.reset();
    if (wake_) wake_.Release();
    wake_ = {};
    if (region_ != nullptr) region_->retire();
  }

 private:
  // window(offset, bytes): that part of the memory, at most kWindowBytes.
  Napi::Value window(const Napi::CallbackInfo& info) {
    const auto offset = static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value());
    const auto bytes = static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value());
    if (bytes > kWindowBytes || offset > region_->memoryBytes() || bytes > region_->memoryBytes() - offset) {
      Failure failure;
      failure.usage("region " + region_->name() + " has " + std::to_string(region_->memoryBytes()) +
                    " bytes, and a window at most " + std::to_string(kWindowBytes));
      throwFailure(info.Env(), failure);
      return info.Env().Undefined();
    }
    return viewOf(info.Env(), region_, region_->memory() + offset, bytes);
  }
  Napi::Value owner(const Napi::CallbackInfo& info) { return toObject(info.Env(), region_->header()->owner); }
  void ready(const Napi::CallbackInfo&) { region_->setReady(); }
  Napi::Value isFenced(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), region_->isDead());
  }
  void rename(const Napi::CallbackInfo& info) {
    Failure failure;
    if (!region_->rename(info[0].As<Napi::String>().Utf8Value(), failure)) throwFailure(info.Env(), failure);
  }

  // serve(onRequests): calls back on this thread when requests wait; take() them until it gives undefined.
  void serve(const Napi::CallbackInfo& info) {
    wake_ = Napi::ThreadSafeFunction::New(info.Env(), info[0].As<Napi::Function>(), "fusee-rpc", 0, 1);
    serviceHook_.arm(info.Env(), this);
    server_ = std::make_unique<RpcServer>(region_);
    Failure failure;
    if (server_->start([this] { wake_.NonBlockingCall(); }, failure)) return;
    close();
    throwFailure(info.Env(), failure);
  }

  // take(into): copies the next request into the Uint8Array; returns slot * 128 + length, or -1.
  Napi::Value take(const Napi::CallbackInfo& info) {
    auto into = info[0].As<Napi::Uint8Array>();
    uint32_t bytes = 0;
    const bool isServing = server_ != nullptr && into.ByteLength() >= kRpcBytes;
    const int32_t slot = isServing ? server_->take(into.Data(), bytes) : -1;
    return Napi::Number::New(info.Env(), slot < 0 ? -1 : slot * 128 + static_cast<int32_t>(bytes));
  }

  // respond(slot, response | null)
  void respond(const Napi::CallbackInfo& info) {
    if (server_ == nullptr) return;
    const uint32_t slot = info[0].As<Napi::Number>().Uint32Value();
    if (!info[1].IsTypedArray()) {
      server_->respond(slot, nullptr, kRpcRefused);
      if (tcp_ != nullptr) tcp_->answered();
      return;
    }
    const auto response = info[1].As<Napi::Uint8Array>();
    const auto bytes = static_cast<uint32_t>(response.ByteLength());
    server_->respond(slot, response.Data(), bytes <= kRpcBytes ? bytes : kRpcRefused);
    if (tcp_ != nullptr) tcp_->answered();
  }

  // listen({ address, secret, busyPollNs }, log): the port that clients reach this region's memory at.
  Napi::Value listen(const Napi::CallbackInfo& info) {
    const auto options = info[0].As<Napi::Object>();
    const auto secret = options.Get("secret").As<Napi::Uint8Array>();
    log_ = Napi::ThreadSafeFunction::New(info.Env(), info[1].As<Napi::Function>(), "fusee-tcp", kLogLinesMax, 1);
    log_.Unref(info.Env());
    listenHook_.arm(info.Env(), this);
    tcp_ = std::make_unique<TcpServer>(region_);
    // Lines that nobody has had the time to read are dropped: a flood of them must not fill the memory.
    const auto log = [this](std::string line) {
      auto* kept = new std::string(std::move(line));
      const auto call = [](Napi::Env env, Napi::Function function, std::string* text) {
        if (env != nullptr) function.Call({Napi::String::New(env, *text)});
        delete text;
      };
      if (log_.NonBlockingCall(kept, call) != napi_ok) delete kept;
    };
    Failure failure;
    TcpServerOptions given{options.Get("address").As<Napi::String>().Utf8Value(),
                           {secret.Data(), secret.Data() + secret.ByteLength()},
                           numberAt(options, "busyPollNs")};
    if (tcp_->start(std::move(given), log, failure)) return Napi::Number::New(info.Env(), tcp_->port());
    tcp_.reset();
    throwFailure(info.Env(), failure);
    return info.Env().Undefined();
  }

  void closeCall(const Napi::CallbackInfo&) { close(); }

  std::shared_ptr<Region> region_;
  Napi::ThreadSafeFunction wake_;
  std::unique_ptr<RpcServer> server_;
  CleanupHook<NodeRegion> hook_;
  CleanupHook<NodeRegion> serviceHook_;
  std::unique_ptr<TcpServer> tcp_;
  Napi::ThreadSafeFunction log_;
  CleanupHook<NodeRegion> listenHook_;
};

}  // namespace

void exportNode(Napi::Env env, Napi::Object exports) { exports.Set("NodeRegion", NodeRegion::define(env)); }

}  // namespace fusee
