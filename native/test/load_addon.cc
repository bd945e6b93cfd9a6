// Loads a compiled addon as Node would, without a Node: `load_addon FILE`. Its libraries and their
// symbol versions are resolved and its static initialisers run; Node-API's own functions, which
// only Node has, are bound when they are called. Used for addons of another architecture under an
// emulator (scripts/release/prebuild.mjs).
#include <dlfcn.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: load_addon FILE\n");
    return 2;
  }
  void* addon = dlopen(argv[1], RTLD_LAZY | RTLD_LOCAL);
  if (addon == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  using ApiVersion = int (*)();
  const auto version =
      reinterpret_cast<ApiVersion>(dlsym(addon, "node_api_module_get_api_version_v1"));
  if (version == nullptr || dlsym(addon, "napi_register_module_v1") == nullptr) {
    std::fprintf(stderr, "%s exports no Node-API module\n", argv[1]);
    return 1;
  }
  std::printf("Node-API %d\n", version());
  return 0;
}
