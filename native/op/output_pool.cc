#include "output_pool.h"

#include <new>
#include <utility>

#include "../kernels/cpu/huge_pages.h"

namespace tfjs_ftp {
namespace {

// TensorFlow copies a buffer that is aligned to less than 64 bytes.
constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

std::align_val_t AlignmentOf(size_t bytes) {
  return std::align_val_t{bytes < kHugePage ? kAlignment : kHugePage};
}

void FreeBlock(void* memory, size_t bytes) { operator delete(memory, AlignmentOf(bytes)); }

}  // namespace

OutputPool& OutputPool::Get() {
  static OutputPool* const pool = new OutputPool();
  return *pool;
}

void* OutputPool::Take(size_t bytes) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    keeps_ = true;
    const auto blocks = idle_.find(bytes);
    if (blocks != idle_.end() && !blocks->second.empty()) {
      void* const memory = blocks->second.back();
      blocks->second.pop_back();
      idle_bytes_ -= bytes;
      lent_bytes_ += bytes;
      return memory;
    }
  }
  void* memory = operator new(bytes, AlignmentOf(bytes), std::nothrow);
  if (memory == nullptr) {
    Trim();
    memory = operator new(bytes, AlignmentOf(bytes), std::nothrow);
    if (memory == nullptr) return nullptr;
  }
  AdviseHugePages(memory, bytes);
  const std::lock_guard<std::mutex> lock(mutex_);
  keeps_ = true;
  lent_bytes_ += bytes;
  return memory;
}

void OutputPool::Return(void* memory, size_t bytes) {
  Blocks surplus;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    lent_bytes_ -= bytes;
    if (keeps_ && idle_bytes_ + bytes <= lent_bytes_) {
      idle_[bytes].push_back(memory);
      idle_bytes_ += bytes;
    } else {
      surplus.emplace_back(memory, bytes);
      TakeSurplus(lent_bytes_, &surplus);
    }
  }
  for (const auto& [block, size] : surplus) FreeBlock(block, size);
}

void OutputPool::Trim() {
  Blocks surplus;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    keeps_ = false;
    TakeSurplus(0, &surplus);
  }
  for (const auto& [block, size] : surplus) FreeBlock(block, size);
}

void OutputPool::TakeSurplus(size_t bytes, Blocks* surplus) {
  for (auto blocks = idle_.begin(); blocks != idle_.end() && idle_bytes_ > bytes;) {
    while (!blocks->second.empty() && idle_bytes_ > bytes) {
      surplus->emplace_back(blocks->second.back(), blocks->first);
      blocks->second.pop_back();
      idle_bytes_ -= blocks->first;
    }
    blocks = blocks->second.empty() ? idle_.erase(blocks) : std::next(blocks);
  }
}

size_t OutputPool::lent_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return lent_bytes_;
}

size_t OutputPool::idle_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return idle_bytes_;
}

}  // namespace tfjs_ftp
