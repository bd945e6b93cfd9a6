// C++ objects that JavaScript holds as opaque values and frees with the garbage collector.
#ifndef TFJS_FTP_ADDON_HANDLE_H_
#define TFJS_FTP_ADDON_HANDLE_H_

#include <napi.h>

#include <memory>

namespace tfjs_ftp {

// A handle that owns `object`. The tag tells what kind it is, so that no other value is taken for
// it. `finalize(env, T*)` runs before the object is deleted: when JavaScript has dropped the
// handle, or its environment ends.
template <class T, class Finalize>
Napi::Value NewHandle(Napi::Env env, const napi_type_tag& tag, std::unique_ptr<T> object,
                      Finalize finalize) {
  Napi::External<T> handle =
      Napi::External<T>::New(env, object.get(), [finalize](Napi::BasicEnv at, T* held) {
        const std::unique_ptr<T> owner(held);
        finalize(at, held);
      });
  (void)object.release();
  handle.TypeTag(&tag);
  return handle;
}

// The object behind a handle of this kind; null for any other value.
template <class T>
T* FromHandle(const Napi::Value& value, const napi_type_tag& tag) {
  if (!value.IsExternal()) return nullptr;
  const Napi::External<T> handle = value.As<Napi::External<T>>();
  return handle.CheckTypeTag(&tag) ? handle.Data() : nullptr;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_ADDON_HANDLE_H_
