// The addon's exports, and the layout that it shares with TypeScript.
#include "addon.h"

#include "region.h"
#include "verbs.h"

namespace fusee {
namespace {

constexpr uint32_t wordOf(size_t byteOffset) { return static_cast<uint32_t>(byteOffset / 4); }

Napi::Object descriptorFields(Napi::Env env) {
  Napi::Object field = Napi::Object::New(env);
  const auto set = [&](const char* name, uint32_t word) { field.Set(name, Napi::Number::New(env, word)); };
  set("OPCODE", wordOf(offsetof(Descriptor, opcode)));
  set("MN", wordOf(offsetof(Descriptor, mn)));
  set("REMOTE", wordOf(offsetof(Descriptor, remote)));
  set("LOCAL", wordOf(offsetof(Descriptor, local)));
  set("LENGTH", wordOf(offsetof(Descriptor, length)));
  set("EXPECT_LO", wordOf(offsetof(Descriptor, expect)));
  set("EXPECT_HI", wordOf(offsetof(Descriptor, expect)) + 1);
  set("SWAP_LO", wordOf(offsetof(Descriptor, swap)));
  set("SWAP_HI", wordOf(offsetof(Descriptor, swap)) + 1);
  set("FOUND_LO", wordOf(offsetof(Descriptor, found)));
  set("FOUND_HI", wordOf(offsetof(Descriptor, found)) + 1);
  set("STATUS", wordOf(offsetof(Descriptor, status)));
  return field;
}

Napi::Object headerFields(Napi::Env env) {
  Napi::Object header = Napi::Object::New(env);
  const auto set = [&](const char* name, uint32_t word) { header.Set(name, Napi::Number::New(env, word)); };
  set("COUNT", wordOf(offsetof(BatchHeader, count)));
  set("POSTED_NS", wordOf(offsetof(BatchHeader, postedNs)));
  set("COMPLETED_NS", wordOf(offsetof(BatchHeader, completedNs)));
  set("REMAINING", wordOf(offsetof(BatchHeader, remaining)));
  set("ID", wordOf(offsetof(BatchHeader, id)));
  return header;
}

Napi::Object initAddon(Napi::Env env, Napi::Object exports) {
  Napi::Object layout = Napi::Object::New(env);
  layout.Set("field", descriptorFields(env));
  layout.Set("header", headerFields(env));
  layout.Set("descriptorBytes", Napi::Number::New(env, sizeof(Descriptor)));
  layout.Set("rpcBytes", Napi::Number::New(env, kRpcBytes));
  layout.Set("rpcGroupSlots", Napi::Number::New(env, kRpcGroupSlots));
  layout.Set("regionHeaderBytes", Napi::Number::New(env, static_cast<double>(kHeaderBytes)));
  layout.Set("fabricVersion", Napi::Number::New(env, kFabricVersion));
  exports.Set("layout", layout);
  exportNode(env, exports);
  exportSession(env, exports);
  exportProcess(env, exports);
  exportTcp(env, exports);
  return exports;
}

NODE_API_MODULE(fusee, initAddon)

}  // namespace
}  // namespace fusee
