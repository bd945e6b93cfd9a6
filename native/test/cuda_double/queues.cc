#include "queues.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace tfjs_ftp {
namespace cuda_double {
namespace {

void Need(Operation* operation, const OperationRef& other) {
  if (other != nullptr && !other->done) operation->needs.push_back(other);
}

// The operations that `target` waits for and that have not run, itself among them.
std::vector<OperationRef> Unfinished(const OperationRef& target) {
  std::vector<OperationRef> found;
  std::unordered_set<const Operation*> seen;
  std::vector<OperationRef> open = {target};
  while (!open.empty()) {
    const OperationRef operation = open.back();
    open.pop_back();
    if (operation->done || !seen.insert(operation.get()).second) continue;
    found.push_back(operation);
    open.insert(open.end(), operation->needs.begin(), operation->needs.end());
  }
  return found;
}

bool Ready(const Operation& operation) {
  return std::all_of(operation.needs.begin(), operation.needs.end(),
                     [](const OperationRef& need) { return need->done; });
}

}  // namespace

Queues::Queues() { AddStream(true); }

Stream* Queues::AddStream(bool blocking) {
  streams_.push_back(std::make_unique<Stream>());
  streams_.back()->blocking = blocking;
  return streams_.back().get();
}

Event* Queues::AddEvent() {
  events_.push_back(std::make_unique<Event>());
  return events_.back().get();
}

bool Queues::Knows(const Stream* stream) const {
  return std::any_of(streams_.begin(), streams_.end(),
                     [&](const auto& one) { return one.get() == stream && !one->destroyed; });
}

bool Queues::Knows(const Event* event) const {
  return std::any_of(events_.begin(), events_.end(),
                     [&](const auto& one) { return one.get() == event && !one->destroyed; });
}

OperationRef Queues::Enqueue(Stream* stream, std::function<void()> run, const OperationRef& also) {
  const OperationRef operation = std::make_shared<Operation>();
  operation->run = std::move(run);
  operation->number = next_number_++;
  Need(operation.get(), gate_);
  Need(operation.get(), stream->tail);
  Need(operation.get(), also);
  if (stream == legacy()) {
    // A destroyed stream has what was enqueued on it still to run.
    for (const auto& other : streams_) {
      if (other->blocking) Need(operation.get(), other->tail);
    }
  } else if (stream->blocking) {
    Need(operation.get(), legacy()->tail);
  }
  stream->tail = operation;
  return operation;
}

OperationRef Queues::Everything() {
  const OperationRef mark = std::make_shared<Operation>();
  mark->number = next_number_++;
  for (const auto& stream : streams_) Need(mark.get(), stream->tail);
  return mark;
}

void Queues::HoldBack(const OperationRef& mark) {
  if (mark == nullptr || mark->done) return;
  const OperationRef gate = std::make_shared<Operation>();
  gate->number = next_number_++;
  Need(gate.get(), gate_);
  Need(gate.get(), mark);
  gate_ = gate;
}

void Queues::Finish(const OperationRef& operation) {
  if (operation == nullptr || operation->done) return;
  if (seed_ == 0) {
    FinishLatestFirst(operation);
  } else {
    FinishShuffled(operation);
  }
}

void Queues::FinishLatestFirst(const OperationRef& target) {
  std::vector<OperationRef> path = {target};
  while (!path.empty()) {
    const OperationRef operation = path.back();
    OperationRef latest;
    for (const OperationRef& need : operation->needs) {
      if (!need->done && (latest == nullptr || need->number > latest->number)) latest = need;
    }
    if (latest != nullptr) {
      path.push_back(latest);
    } else {
      path.pop_back();
      Run(operation.get());
    }
  }
}

void Queues::FinishShuffled(const OperationRef& target) {
  std::vector<OperationRef> waiting = Unfinished(target);
  while (!waiting.empty()) {
    std::shuffle(waiting.begin(), waiting.end(), random_);
    const auto next = std::find_if(waiting.begin(), waiting.end(),
                                   [](const OperationRef& one) { return Ready(*one); });
    const OperationRef operation = *next;
    waiting.erase(next);
    Run(operation.get());
  }
}

void Queues::Run(Operation* operation) {
  operation->done = true;
  operation->needs.clear();
  const std::function<void()> run = std::move(operation->run);
  operation->run = nullptr;
  if (run) run();
  operation->done_at = std::chrono::steady_clock::now();
}

void Queues::SetSchedule(uint64_t seed) {
  seed_ = seed;
  random_.seed(seed);
}

int64_t Queues::Queued() {
  const std::vector<OperationRef> unfinished = Unfinished(Everything());
  return std::count_if(unfinished.begin(), unfinished.end(),
                       [](const OperationRef& one) { return one->run != nullptr; });
}

void Queues::Drop() {
  for (const OperationRef& operation : Unfinished(Everything())) {
    operation->done = true;
    operation->run = nullptr;
    operation->needs.clear();
  }
  gate_ = nullptr;
  for (const auto& stream : streams_) stream->tail = nullptr;
}

}  // namespace cuda_double
}  // namespace tfjs_ftp
