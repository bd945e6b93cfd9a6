// State slabs: where their parts lie, and the memory under them.
#include "../kernels/state.h"

#include "../kernels/cpu/huge_pages.h"
#include "../kernels/plan.h"
#include "errors.h"
#include "exports.h"

namespace tfjs_ftp {

Napi::Value StateLayoutOf(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  constexpr size_t kArguments = 9;
  bool fits = info.Length() >= kArguments;
  for (size_t i = 0; fits && i < kArguments; ++i) {
    fits = i == 5 ? info[i].IsBoolean() : info[i].IsNumber();
  }
  if (!fits) {
    return Reject(
        env,
        "stateLayout takes (base, rule, baseFlags, ruleFlags, stepFlags, excluded, elements, "
        "rows, format)");
  }
  const auto whole = [&](size_t i) { return info[i].As<Napi::Number>().Int32Value(); };
  StepOptions options;
  options.base = static_cast<BaseUpdate>(whole(0));
  options.rule = static_cast<Rule>(whole(1));
  options.base_flags = whole(2);
  options.rule_flags = whole(3);
  options.has_average = (whole(4) & kPlanEma) != 0;
  options.keeps_gradient = (whole(4) & kPlanGradient) != 0;
  const bool excluded = info[5].As<Napi::Boolean>().Value();
  const int64_t elements = info[6].As<Napi::Number>().Int64Value();
  const int64_t rows = info[7].As<Napi::Number>().Int64Value();
  if (elements < 0 || rows < 0) return Reject(env, "stateLayout: sizes must be >= 0");
  const int32_t format = whole(8);
  if (format < 0 || format >= kStateFormats) {
    return Reject(env, "stateLayout: unknown format of the state");
  }
  if (!IsCompiled(options, excluded)) {
    return Reject(env, "stateLayout: this base update and rule are not compiled as a pair");
  }
  const StateLayout layout =
      LayoutState(options, excluded, elements, rows, static_cast<StateFormat>(format));
  Napi::Object sections = Napi::Object::New(env);
  for (int i = 0; i < kSlots; ++i) {
    if (layout.offsets[i] == kNoSection) continue;
    Napi::Object section = Napi::Object::New(env);
    section.Set("offset", Napi::Number::New(env, static_cast<double>(layout.offsets[i])));
    section.Set("length", Napi::Number::New(env, static_cast<double>(layout.lengths[i])));
    const bool formatted = Has(kFormattedSlots, static_cast<Slot>(i));
    section.Set("count", Napi::Number::New(env, static_cast<double>(layout.counts[i])));
    section.Set("format", Napi::Number::New(env, formatted ? format : 0));
    sections.Set(kSlotInfos[i].name, section);
  }
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
