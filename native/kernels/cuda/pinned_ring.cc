#include "pinned_ring.h"

#include <cuda_runtime_api.h>

namespace tfjs_ftp {

struct PinnedRing::Slot {
  int device = 0;
  void* memory = nullptr;
  int64_t bytes = 0;
  cudaEvent_t event = nullptr;
  bool taken = false;
  bool pending = false;  // the event was recorded and has not been seen to have passed
};

namespace {
// Slots grow to these sizes, so that a model whose list of variables changes a little keeps its
// slots.
constexpr int64_t kGranularity = 64 * 1024;
}  // namespace

PinnedRing::PinnedRing() = default;

// At the end of the process the driver may be gone already; it frees what is left.
PinnedRing::~PinnedRing() = default;

PinnedRing& PinnedRing::Get() {
  static PinnedRing* const ring = new PinnedRing();
  return *ring;
}

PinnedRing::Slot* PinnedRing::Acquire(int64_t bytes, int* error) {
  int device = 0;
  *error = cudaGetDevice(&device);
  if (*error != cudaSuccess) return nullptr;
  std::lock_guard<std::mutex> lock(mutex_);
  Slot* free_slot = nullptr;
  for (const std::unique_ptr<Slot>& slot : slots_) {
    if (slot->taken || slot->device != device) continue;
    if (slot->pending) {
      const cudaError_t state = cudaEventQuery(slot->event);
      if (state == cudaErrorNotReady) {
        (void)cudaGetLastError();
        continue;
      }
      if (state != cudaSuccess) {
        *error = state;
        return nullptr;
      }
      slot->pending = false;
    }
    free_slot = slot.get();
    if (slot->bytes >= bytes) break;
  }
  if (free_slot == nullptr) {
    std::unique_ptr<Slot> slot(new Slot());
    slot->device = device;
    *error = cudaEventCreateWithFlags(&slot->event, cudaEventDisableTiming);
    if (*error != cudaSuccess) return nullptr;
    free_slot = slot.get();
    slots_.push_back(std::move(slot));
  }
  if (free_slot->bytes < bytes) {
    if (free_slot->memory != nullptr) cudaFreeHost(free_slot->memory);
    free_slot->memory = nullptr;
    free_slot->bytes = 0;
    const int64_t size = (bytes + kGranularity - 1) / kGranularity * kGranularity;
    *error = cudaHostAlloc(&free_slot->memory, static_cast<size_t>(size), cudaHostAllocDefault);
    if (*error != cudaSuccess) return nullptr;
    free_slot->bytes = size;
  }
  free_slot->taken = true;
  return free_slot;
}

void* PinnedRing::Memory(Slot* slot) { return slot->memory; }

int PinnedRing::Release(Slot* slot, void* stream) {
  const cudaError_t error = cudaEventRecord(slot->event, static_cast<cudaStream_t>(stream));
  // A slot whose event could not be recorded stays taken: its copy may be under way still.
  if (error != cudaSuccess) return error;
  std::lock_guard<std::mutex> lock(mutex_);
  slot->pending = true;
  slot->taken = false;
  return cudaSuccess;
}

}  // namespace tfjs_ftp
