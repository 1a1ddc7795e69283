// What sessions of all fabrics show to JavaScript. Their hot calls take no arguments and return nothing: what
// they need lies in memory shared with TypeScript, so a call costs a few nanoseconds.
#pragma once
#include <memory>

#include "addon.h"
#include "session_core.h"

namespace fusee {

template <typename S, void (S::*method)()>
napi_value hotCall(napi_env env, napi_callback_info info) {
  void* session;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &session);
  (static_cast<S*>(session)->*method)();
  return nullptr;
}

// The function shares ownership of the session, so it may be called for as long as it exists.
template <typename S, void (S::*method)()>
Napi::Value hotFunction(Napi::Env env, const char* name, const std::shared_ptr<S>& session) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, hotCall<S, method>, session.get(), &function);
  auto* keep = new std::shared_ptr<S>(session);
  napi_add_finalizer(
      env, function, keep, [](napi_env, void* kept, void*) { delete static_cast<std::shared_ptr<S>*>(kept); },
      nullptr, nullptr);
  return {env, function};
}

// Gives the object `local`, `control`, `memoryBytes` and the hot calls. S is the session's own class, so that
// a doorbell is no virtual call.
template <typename S>
void exposeSession(Napi::Env env, Napi::Object self, const std::shared_ptr<S>& session) {
  auto* control = reinterpret_cast<uint8_t*>(session->control());
  self.Set("local", viewOf(env, session, session->local(), session->localBytes()));
  self.Set("control", viewOf(env, session, control, session->controlBytes()));
  self.Set("doorbell", hotFunction<S, &S::doorbell>(env, "doorbell", session));
  const std::shared_ptr<SessionCore> core = session;
  self.Set("stampNow", hotFunction<SessionCore, &SessionCore::stampNow>(env, "stampNow", core));
  self.Set("checksum", hotFunction<SessionCore, &SessionCore::checksum>(env, "checksum", core));
  const std::vector<uint64_t> bytes = session->memoryBytes();
  Napi::Array memoryBytes = Napi::Array::New(env);
  for (uint32_t i = 0; i < bytes.size(); i++)
    memoryBytes.Set(i, Napi::Number::New(env, static_cast<double>(bytes[i])));
  self.Set("memoryBytes", memoryBytes);
}

}  // namespace fusee
