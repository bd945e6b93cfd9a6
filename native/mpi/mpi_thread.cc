#include "mpi_thread.h"

#include <chrono>
#include <exception>
#include <utility>

namespace tfjs_ftp {

MpiThread::~MpiThread() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void MpiThread::Post(std::shared_ptr<MpiTask> task) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push_back(std::move(task));
    if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  }
  changed_.notify_all();
}

bool MpiThread::Wait(const MpiTask& task, double seconds) {
  std::unique_lock<std::mutex> lock(mutex_);
  return changed_.wait_for(lock, std::chrono::duration<double>(seconds),
                           [&task] { return task.done; });
}

bool MpiThread::Tell(MpiTask* task, std::function<void()> tell) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (task->done) return false;
  task->tell = std::move(tell);
  return true;
}

bool MpiThread::IsBusy() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return working_ || !tasks_.empty();
}

void MpiThread::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const std::shared_ptr<MpiTask> task = std::move(tasks_.front());
    tasks_.pop_front();
    working_ = true;
    lock.unlock();
    try {
      task->numbers = task->work();
    } catch (const std::exception& error) {
      task->error = error.what();
    }
    lock.lock();
    working_ = false;
    task->done = true;
    if (task->tell) task->tell();
    changed_.notify_all();
  }
}

}  // namespace tfjs_ftp
