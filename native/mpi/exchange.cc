#include "exchange.h"

#include <algorithm>
#include <cstring>

namespace tfjs_ftp {
namespace {

// Shorter pieces travel together: a message costs about as much as the copy of so many floats.
constexpr int64_t kShortest = 16384;
// Floats that are summed at a time, so that their float64 sums stay in the first cache.
constexpr int64_t kBlock = 1024;

using Piece = FlatArrays::Piece;

// What goes in one message: a long piece, or neighbouring short ones.
struct Parcel {
  std::vector<Piece> pieces;
  int64_t length = 0;
};

std::vector<Parcel> Pack(const std::vector<Piece>& pieces) {
  std::vector<Parcel> parcels;
  bool open = false;
  for (const Piece& piece : pieces) {
    const bool is_short = piece.length < kShortest;
    if (!is_short || !open) parcels.emplace_back();
    open = is_short;
    parcels.back().pieces.push_back(piece);
    parcels.back().length += piece.length;
  }
  return parcels;
}

void CopyOut(const Parcel& parcel, float* to) {
  for (const Piece& piece : parcel.pieces) {
    std::memcpy(to, piece.data, static_cast<size_t>(piece.length) * sizeof(float));
    to += piece.length;
  }
}

void CopyIn(const float* from, const Parcel& parcel) {
  for (const Piece& piece : parcel.pieces) {
    std::memcpy(piece.data, from, static_cast<size_t>(piece.length) * sizeof(float));
    from += piece.length;
  }
}

bool IsNonFinite(const float* values, int64_t length) {
  uint32_t found = 0;
  for (int64_t i = 0; i < length; ++i) {
    uint32_t bits;
    std::memcpy(&bits, &values[i], sizeof bits);
    found |= static_cast<uint32_t>((bits & 0x7f800000u) == 0x7f800000u);
  }
  return found != 0;
}

// to = scale (parts[0] + parts[1] + ...). `to` may be one of the parts.
bool Sum(const std::vector<const float*>& parts, double scale, int64_t length, float* to) {
  double sums[kBlock];
  bool bad = false;
  for (int64_t at = 0; at < length; at += kBlock) {
    const int64_t count = std::min(kBlock, length - at);
    for (int64_t i = 0; i < count; ++i) sums[i] = parts[0][at + i];
    for (size_t part = 1; part < parts.size(); ++part) {
      const float* const values = parts[part] + at;
      for (int64_t i = 0; i < count; ++i) sums[i] += values[i];
    }
    for (int64_t i = 0; i < count; ++i) to[at + i] = static_cast<float>(sums[i] * scale);
    bad |= IsNonFinite(to + at, count);
  }
  return bad;
}

// A part of what each rank owns: that of rank r in slice `index`.
struct Range {
  int64_t begin;
  int64_t end;
};

Range SliceOf(const std::vector<int64_t>& bounds, int rank, int64_t slice, int64_t index) {
  const size_t r = static_cast<size_t>(rank);
  const int64_t begin = std::min(bounds[r] + index * slice, bounds[r + 1]);
  return {begin, std::min(begin + slice, bounds[r + 1])};
}

int64_t SlicesOf(const std::vector<int64_t>& bounds, int64_t slice) {
  int64_t longest = 0;
  for (size_t r = 0; r + 1 < bounds.size(); ++r) {
    longest = std::max(longest, bounds[r + 1] - bounds[r]);
  }
  return (longest + slice - 1) / slice;
}

std::vector<Parcel> ParcelsOf(const FlatArrays& arrays, const Range& range) {
  return Pack(arrays.PiecesOf(range.begin, range.end));
}

// Floats of the parcels that are copied on the way.
int64_t PackedLength(const std::vector<Parcel>& parcels) {
  int64_t length = 0;
  for (const Parcel& parcel : parcels) {
    if (parcel.pieces.size() > 1) length += parcel.length;
  }
  return length;
}

// Grows, and never shrinks: memory that is touched for the first time is slow.
float* Reserve(std::vector<float>* buffer, int64_t length) {
  if (buffer->size() < static_cast<size_t>(length)) buffer->resize(static_cast<size_t>(length));
  return buffer->data();
}

// The owner's part of the slice, to everybody.
void GatherSlice(MpiCalls* mpi, int comm, const FlatArrays& arrays,
                 const std::vector<int64_t>& bounds, int64_t slice, int64_t index,
                 ExchangeBuffers* buffers) {
  const int ranks = mpi->Size(comm);
  const int rank = mpi->Rank(comm);
  std::vector<std::vector<Parcel>> parcels;
  int64_t received = 0;
  for (int r = 0; r < ranks; ++r) {
    parcels.push_back(ParcelsOf(arrays, SliceOf(bounds, r, slice, index)));
    if (r != rank) received += PackedLength(parcels.back());
  }
  float* out = Reserve(&buffers->sent, PackedLength(parcels[static_cast<size_t>(rank)]));
  float* in = Reserve(&buffers->received, received);
  std::vector<MpiMessage> sends;
  std::vector<MpiMessage> receives;
  struct Arrival {
    const float* from;
    const Parcel* parcel;
  };
  std::vector<Arrival> arrivals;
  for (const Parcel& parcel : parcels[static_cast<size_t>(rank)]) {
    const int count = static_cast<int>(parcel.length);
    float* data = parcel.pieces[0].data;
    if (parcel.pieces.size() > 1) {
      CopyOut(parcel, out);
      data = out;
      out += parcel.length;
    }
    for (int r = 0; r < ranks; ++r) {
      if (r != rank) sends.push_back({r, data, count});
    }
  }
  for (int r = 0; r < ranks; ++r) {
    if (r == rank) continue;
    for (const Parcel& parcel : parcels[static_cast<size_t>(r)]) {
      const bool is_packed = parcel.pieces.size() > 1;
      receives.push_back(
          {r, is_packed ? in : parcel.pieces[0].data, static_cast<int>(parcel.length)});
      if (!is_packed) continue;
      arrivals.push_back({in, &parcel});
      in += parcel.length;
    }
  }
  mpi->Transfer(comm, sends, receives);
  for (const Arrival& arrival : arrivals) CopyIn(arrival.from, *arrival.parcel);
}

}  // namespace

FlatArrays::FlatArrays(std::vector<float*> arrays, const std::vector<int64_t>& lengths)
    : arrays_(std::move(arrays)), starts_{0} {
  for (const int64_t length : lengths) starts_.push_back(starts_.back() + length);
}

std::vector<Piece> FlatArrays::PiecesOf(int64_t begin, int64_t end) const {
  std::vector<Piece> pieces;
  if (begin >= end) return pieces;
  const auto after = std::upper_bound(starts_.begin(), starts_.end(), begin);
  for (size_t i = static_cast<size_t>(after - starts_.begin()) - 1; i < arrays_.size(); ++i) {
    const int64_t from = std::max(begin, starts_[i]);
    const int64_t to = std::min(end, starts_[i + 1]);
    if (from >= end) break;
    if (from < to) pieces.push_back({i, arrays_[i] + (from - starts_[i]), to - from});
  }
  return pieces;
}

std::vector<uint8_t> ReduceFloats(MpiCalls* mpi, int comm, const FlatArrays& from,
                                  const FlatArrays& to, const std::vector<int64_t>& bounds,
                                  const ReduceOptions& options, ExchangeBuffers* buffers) {
  const int ranks = mpi->Size(comm);
  const int rank = mpi->Rank(comm);
  std::vector<uint8_t> non_finite(from.count(), 0);
  const int64_t slices = SlicesOf(bounds, options.slice);
  for (int64_t index = 0; index < slices; ++index) {
    const Range own = SliceOf(bounds, rank, options.slice, index);
    const int64_t own_length = own.end - own.begin;
    // Everybody's share in what this rank owns comes here, and its share in what others own goes
    // there.
    std::vector<std::vector<Parcel>> parcels;
    int64_t packed = 0;
    for (int r = 0; r < ranks; ++r) {
      parcels.push_back(ParcelsOf(from, SliceOf(bounds, r, options.slice, index)));
      if (r != rank) packed += PackedLength(parcels.back());
    }
    float* out = Reserve(&buffers->sent, packed);
    float* const in = Reserve(&buffers->received, own_length * (ranks - 1));
    std::vector<MpiMessage> sends;
    std::vector<MpiMessage> receives;
    std::vector<const float*> shares(static_cast<size_t>(ranks), nullptr);
    int64_t place = 0;
    for (int r = 0; r < ranks; ++r) {
      if (r == rank) continue;
      for (const Parcel& parcel : parcels[static_cast<size_t>(r)]) {
        float* data = parcel.pieces[0].data;
        if (parcel.pieces.size() > 1) {
          CopyOut(parcel, out);
          data = out;
          out += parcel.length;
        }
        sends.push_back({r, data, static_cast<int>(parcel.length)});
      }
      shares[static_cast<size_t>(r)] = in + place;
      for (const Parcel& parcel : parcels[static_cast<size_t>(rank)]) {
        receives.push_back({r, in + place, static_cast<int>(parcel.length)});
        place += parcel.length;
      }
    }
    mpi->Transfer(comm, sends, receives);
    // Rank order, whoever sums.
    const std::vector<Piece> targets = to.PiecesOf(own.begin, own.end);
    size_t target = 0;
    for (const Piece& piece : from.PiecesOf(own.begin, own.end)) {
      shares[static_cast<size_t>(rank)] = piece.data;
      if (Sum(shares, options.scale, piece.length, targets[target++].data)) {
        non_finite[piece.array] = 1;
      }
      for (int r = 0; r < ranks; ++r) {
        if (r != rank) shares[static_cast<size_t>(r)] += piece.length;
      }
    }
    if (options.gather) GatherSlice(mpi, comm, to, bounds, options.slice, index, buffers);
  }
  return non_finite;
}

void GatherFloats(MpiCalls* mpi, int comm, const FlatArrays& arrays,
                  const std::vector<int64_t>& bounds, int64_t slice, ExchangeBuffers* buffers) {
  const int64_t slices = SlicesOf(bounds, slice);
  for (int64_t index = 0; index < slices; ++index) {
    GatherSlice(mpi, comm, arrays, bounds, slice, index, buffers);
  }
}

}  // namespace tfjs_ftp
