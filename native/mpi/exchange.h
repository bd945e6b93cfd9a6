// The two exchanges of a data-parallel step, on arrays that are seen as one flat list of floats.
// Every part of the list has one owner: rank r owns [bounds[r], bounds[r + 1]).
//
//   ReduceFloats: each owner gets the sum of its part over all ranks, and, if asked, everybody gets
//   the parts of all. GatherFloats: everybody gets the parts of all.
//
// Sums are taken in the order of the ranks, in float64, and rounded once: the bits depend on the
// number of ranks alone, neither on who owns what nor on the MPI library. A rank sends and receives
// (ranks - 1) / ranks of the list per exchange, as a ring does, in messages straight from and to
// the arrays where a piece is long enough.
#ifndef TFJS_FTP_MPI_EXCHANGE_H_
#define TFJS_FTP_MPI_EXCHANGE_H_

#include <cstdint>
#include <vector>

#include "mpi_calls.h"

namespace tfjs_ftp {

// Arrays, one after the other.
class FlatArrays {
 public:
  // Arrays that are never reached may be null. `lengths` count floats.
  FlatArrays(std::vector<float*> arrays, const std::vector<int64_t>& lengths);

  int64_t size() const { return starts_.back(); }
  size_t count() const { return arrays_.size(); }

  // A piece of the list that lies in one array.
  struct Piece {
    size_t array;
    float* data;
    int64_t length;
  };
  // The pieces of [begin, end).
  std::vector<Piece> PiecesOf(int64_t begin, int64_t end) const;

 private:
  std::vector<float*> arrays_;
  std::vector<int64_t> starts_;
};

// Memory that exchanges use again and again.
struct ExchangeBuffers {
  std::vector<float> sent;
  std::vector<float> received;
};

struct ReduceOptions {
  // Of the sums; 1 / ranks gives means.
  double scale = 1;
  // Whether everybody gets all parts.
  bool gather = true;
  // Floats of each owner that are exchanged at a time.
  int64_t slice = 0;
};

// `to` has the lengths of `from`, and may be the same arrays.
//
// Returns for each array whether the sums of this rank's part hold NaN or an infinity there.
std::vector<uint8_t> ReduceFloats(MpiCalls* mpi, int comm, const FlatArrays& from,
                                  const FlatArrays& to, const std::vector<int64_t>& bounds,
                                  const ReduceOptions& options, ExchangeBuffers* buffers);

void GatherFloats(MpiCalls* mpi, int comm, const FlatArrays& arrays,
                  const std::vector<int64_t>& bounds, int64_t slice, ExchangeBuffers* buffers);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_MPI_EXCHANGE_H_
