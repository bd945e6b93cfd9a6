// From failures to JavaScript exceptions.
#ifndef TFJS_FTP_ADDON_ERRORS_H_
#define TFJS_FTP_ADDON_ERRORS_H_

#include <napi.h>

#include <string>

#include "../kernels/step.h"

namespace tfjs_ftp {

// Throws a TypeError that names the argument. Callers return right after.
Napi::Value Reject(Napi::Env env, const std::string& message);

// Throws an Error with a `code` of src/errors.ts. Callers return right after.
void ThrowCoded(Napi::Env env, const char* code, const std::string& message);

// Throws what a step's status says, with `index` of the variable; nothing for kOk.
void ThrowStatus(Napi::Env env, const StepResult& result);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_ADDON_ERRORS_H_
