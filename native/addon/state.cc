// State slabs: where their parts lie, and the memory under them.
#include "../kernels/cpu/huge_pages.h"
#include "../kernels/plan.h"
#include "../kernels/state_layout.h"
#include "errors.h"
#include "exports.h"

namespace tfjs_ftp {

Napi::Value StateLayoutOf(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 5 || !info[0].IsNumber() || !info[1].IsNumber() || !info[2].IsBoolean() ||
      !info[3].IsNumber() || !info[4].IsNumber()) {
    return Reject(env, "stateLayout takes (base, flags, excluded, elements, rows)");
  }
  const int32_t base = info[0].As<Napi::Number>().Int32Value();
  const int32_t flags = info[1].As<Napi::Number>().Int32Value();
  const bool excluded = info[2].As<Napi::Boolean>().Value();
  const int64_t elements = info[3].As<Napi::Number>().Int64Value();
  const int64_t rows = info[4].As<Napi::Number>().Int64Value();
  if (base < 0 || base > 2 || elements < 0 || rows < 0) {
    return Reject(env, "stateLayout: base must be 0, 1 or 2, sizes must be >= 0");
  }
  const StateLayout layout = LayoutState(static_cast<BaseUpdate>(base), (flags & kPlanAmsgrad) != 0,
                                         (flags & kPlanMomentum) != 0, excluded, elements, rows);
  Napi::Object sections = Napi::Object::New(env);
  auto add = [&](const char* name, int64_t offset, int64_t length) {
    if (offset == kNoSection) return;
    Napi::Object section = Napi::Object::New(env);
    section.Set("offset", Napi::Number::New(env, static_cast<double>(offset)));
    section.Set("length", Napi::Number::New(env, static_cast<double>(length)));
    sections.Set(name, section);
  };
  add("constraint", layout.constraint, kConstraintLength);
  add("norms", layout.norms, rows);
  add("anchor", layout.anchor, elements);
  add("deviation", layout.deviation, elements);
  add("m", layout.m, elements);
  add("v", layout.v, elements);
  add("vmax", layout.vmax, elements);
  add("momentum", layout.momentum, elements);
  Napi::Object result = Napi::Object::New(env);
  result.Set("length", Napi::Number::New(env, static_cast<double>(layout.length)));
  result.Set("sections", sections);
  return result;
}

Napi::Value AdviseState(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsTypedArray()) {
    return Reject(info.Env(), "adviseState takes (Float32Array)");
  }
  const Napi::TypedArray array = info[0].As<Napi::TypedArray>();
  void* data = nullptr;
  if (napi_get_typedarray_info(info.Env(), array, nullptr, nullptr, &data, nullptr, nullptr) ==
          napi_ok &&
      data != nullptr) {
    AdviseHugePages(data, array.ByteLength());
  }
  return info.Env().Undefined();
}

}  // namespace tfjs_ftp
