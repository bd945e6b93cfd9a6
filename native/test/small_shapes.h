// Small shapes of all kinds: every walk of the CUDA kernels, with ends that do not fill a pack, a
// warp or a chunk.
#ifndef TFJS_FTP_TEST_SMALL_SHAPES_H_
#define TFJS_FTP_TEST_SMALL_SHAPES_H_

#include <vector>

#include "driven.h"

namespace tfjs_ftp {

inline std::vector<Shape> SmallShapes() {
  return {{1, 1, 1},    {1, 1, 3},     {1, 1, 17},   {1, 1, 5000}, {1, 5, 16},  {1, 7, 33},
          {1, 3, 4097}, {1, 300, 7},   {1, 100, 3},  {1, 400, 2},  {1, 130, 9}, {5, 7, 1},
          {9, 16, 1},   {33, 65, 1},   {3, 520, 1},  {2, 260, 4},  {4, 5, 6},   {9, 12, 64},
          {2, 1, 9},    {40, 130, 1},  {300, 70, 1}, {16, 1, 40},  {3, 7, 33},  {2, 3, 2050},
          {70, 260, 1}, {1, 2, 70001}, {64, 10, 1},  {129, 2, 1},  {5, 6, 31},  {1, 129, 4100},
          {3, 300, 5},  {7, 64, 32}};
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_SMALL_SHAPES_H_
