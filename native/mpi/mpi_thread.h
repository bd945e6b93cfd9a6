// The one thread that calls MPI: work is done in the order in which it was posted.
#ifndef TFJS_FTP_MPI_MPI_THREAD_H_
#define TFJS_FTP_MPI_MPI_THREAD_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tfjs_ftp {

// One piece of work, and what came of it: read `error` and `numbers` once it is done.
struct MpiTask {
  // Throws std::exception for a failure.
  std::function<std::vector<double>()> work;
  // Called on MPI's thread once it is done; null where nobody is to be told.
  std::function<void()> tell;
  bool done = false;
  std::string error;
  std::vector<double> numbers;
};

class MpiThread {
 public:
  MpiThread() = default;
  ~MpiThread();
  MpiThread(const MpiThread&) = delete;
  MpiThread& operator=(const MpiThread&) = delete;

  // Starts the thread where it is not running.
  void Post(std::shared_ptr<MpiTask> task);
  // False if it took longer than that.
  bool Wait(const MpiTask& task, double seconds);
  // Calls `tell` when the task is done. False if it is already; `tell` is not called then.
  bool Tell(MpiTask* task, std::function<void()> tell);
  // Whether there is work that is not done.
  bool IsBusy();

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<MpiTask>> tasks_;
  bool working_ = false;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_MPI_MPI_THREAD_H_
