// The shared memory of a block, and who has touched each word of it since the last barrier: two
// threads that meet at a word without a barrier between them are a race, whatever order they happen
// to run in here.
#ifndef TFJS_FTP_TEST_PTX_SHARED_MEMORY_H_
#define TFJS_FTP_TEST_PTX_SHARED_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace tfjs_ftp {
namespace ptx {

class SharedMemory {
 public:
  explicit SharedMemory(size_t bytes) : bytes_(bytes), words_((bytes + 3) / 4) {}

  // For a new block: nothing is written.
  void Start() {
    std::memset(bytes_.data(), 0xff, bytes_.size());
    words_.assign(words_.size(), Word());
    era_ = 1;
  }
  // All threads have met at a barrier.
  void PassBarrier() { ++era_; }

  size_t size() const { return bytes_.size(); }
  unsigned char* at(uint64_t offset) { return bytes_.data() + offset; }

  // Notes an access of `thread`; null, or what is wrong with it. Several threads
  // that read the same words may be noted as one with the number kSeveral.
  static constexpr int32_t kSeveral = -1;
  const char* Read(uint64_t offset, int bytes, int32_t thread) {
    for (uint64_t i = offset / 4; i <= (offset + static_cast<uint64_t>(bytes) - 1) / 4; ++i) {
      Word& word = words_[i];
      if (word.written == era_ && word.writer != thread) {
        return "reads what another thread has written without a barrier between the two";
      }
      word.reader = word.read == era_ && word.reader != thread ? kSeveral : thread;
      word.read = era_;
    }
    return nullptr;
  }
  // `defined`: whether what is written has a value; see Defined.
  const char* Write(uint64_t offset, int bytes, int32_t thread, bool defined) {
    for (uint64_t i = offset / 4; i <= (offset + static_cast<uint64_t>(bytes) - 1) / 4; ++i) {
      Word& word = words_[i];
      if (word.written == era_ && word.writer != thread) {
        return "writes what another thread has written without a barrier between the two";
      }
      if (word.read == era_ && word.reader != thread) {
        return "writes what another thread has read without a barrier between the two";
      }
      word.defined = defined || (bytes < 4 && word.defined);
      word.writer = thread;
      word.written = era_;
    }
    return nullptr;
  }
  // Whether something that has a value has been written to all of these words.
  bool Defined(uint64_t offset, int bytes) const {
    bool defined = true;
    for (uint64_t i = offset / 4; i <= (offset + static_cast<uint64_t>(bytes) - 1) / 4; ++i) {
      defined = defined && words_[i].defined;
    }
    return defined;
  }

 private:
  struct Word {
    uint32_t written = 0;  // era of the last write; 0: never
    uint32_t read = 0;
    int32_t writer = 0;
    int32_t reader = 0;
    bool defined = false;
  };
  std::vector<unsigned char> bytes_;
  std::vector<Word> words_;
  uint32_t era_ = 1;  // counts barriers
};

}  // namespace ptx
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_PTX_SHARED_MEMORY_H_
