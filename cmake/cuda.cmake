# CUDA kernels, where nvcc is found. Defines TFJS_FTP_HAVE_CUDA and, with it, the library tfjs_ftp_cuda.
#   TFJS_FTP_CUDA        AUTO (the default): with CUDA if there is an nvcc; ON: an error if there is none; OFF
#   TFJS_FTP_CUDA_ARCHS  architectures as CMAKE_CUDA_ARCHITECTURES has them, e.g. "90" for a quick build;
#                        AUTO or empty: all that the toolkit can do from 6.0 on, and PTX for what comes later
# Both may be set as environment variables of these names for builds that npm drives.
set(tfjs_ftp_cuda_default AUTO)
if(DEFINED ENV{TFJS_FTP_CUDA})
  set(tfjs_ftp_cuda_default "$ENV{TFJS_FTP_CUDA}")
endif()
set(TFJS_FTP_CUDA "${tfjs_ftp_cuda_default}" CACHE STRING "CUDA kernels: AUTO, ON or OFF")
set_property(CACHE TFJS_FTP_CUDA PROPERTY STRINGS AUTO ON OFF)
set(TFJS_FTP_CUDA_ARCHS "$ENV{TFJS_FTP_CUDA_ARCHS}"
  CACHE STRING "CUDA architectures; empty: by toolkit version")
option(TFJS_FTP_CUDA_LINEINFO "Source lines in the kernels, for profilers" OFF)

if(NOT TFJS_FTP_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "TFJS_FTP_CUDA must be AUTO, ON or OFF, got '${TFJS_FTP_CUDA}'")
endif()

set(TFJS_FTP_HAVE_CUDA OFF)
if(NOT TFJS_FTP_CUDA STREQUAL "OFF")
  # nvcc is often installed but not on the PATH.
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    find_program(TFJS_FTP_NVCC nvcc
      HINTS ENV CUDA_HOME ENV CUDA_PATH /usr/local/cuda PATH_SUFFIXES bin)
    if(TFJS_FTP_NVCC)
      set(CMAKE_CUDA_COMPILER ${TFJS_FTP_NVCC})
    endif()
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(TFJS_FTP_HAVE_CUDA ON)
  elseif(TFJS_FTP_CUDA STREQUAL "ON")
    message(FATAL_ERROR "TFJS_FTP_CUDA is ON, but no CUDA compiler was found: put nvcc on the PATH or set CUDA_HOME")
  else()
    message(STATUS "tfjs-ftp: no nvcc found, building without CUDA kernels")
  endif()
endif()
if(NOT TFJS_FTP_HAVE_CUDA)
  return()
endif()

enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
# Options, architectures and the oldest toolkit: one file for this build and the other (gyp's).
set(tfjs_ftp_nvcc_file ${CMAKE_CURRENT_SOURCE_DIR}/native/kernels/cuda/nvcc.txt)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${tfjs_ftp_nvcc_file})
file(STRINGS ${tfjs_ftp_nvcc_file} nvcc_lines REGEX "^(oldest|option|archs) ")
set(TFJS_FTP_CUDA_OPTIONS)
set(archs ${TFJS_FTP_CUDA_ARCHS})
if(archs STREQUAL "AUTO")
  set(archs)
endif()
foreach(line IN LISTS nvcc_lines)
  string(REPLACE " " ";" words "${line}")
  list(POP_FRONT words kind)
  if(kind STREQUAL "option")
    list(APPEND TFJS_FTP_CUDA_OPTIONS ${words})
    continue()
  endif()
  list(POP_FRONT words version)
  if(kind STREQUAL "oldest" AND CMAKE_CUDA_COMPILER_VERSION VERSION_LESS version)
    message(FATAL_ERROR "CUDA ${CMAKE_CUDA_COMPILER_VERSION} is too old: tfjs-ftp takes ${version} or newer "
      "(or -DTFJS_FTP_CUDA=OFF)")
  elseif(kind STREQUAL "archs" AND NOT archs AND CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL version)
    set(archs ${words})
  endif()
endforeach()
message(STATUS "tfjs-ftp: CUDA ${CMAKE_CUDA_COMPILER_VERSION}, architectures ${archs}")

# What the C++ compiler compiles, for a GPU and for its double in the tests (cuda_double.cmake) alike.
set(TFJS_FTP_CUDA_HOST_SOURCES
  native/kernels/cuda/cuda_device.cc
  native/kernels/cuda/device_memory.cc
  native/kernels/cuda/gather_table.cc
  native/kernels/cuda/launch_step.cc
  native/kernels/cuda/pinned_ring.cc
  native/kernels/cuda/run_gather.cc
  native/kernels/cuda/run_step.cc
  native/kernels/cuda/work_table.cc)
add_library(tfjs_ftp_cuda STATIC
  ${TFJS_FTP_CUDA_HOST_SOURCES}
  native/kernels/cuda/fused_kernel.cu
  native/kernels/cuda/gather_kernels.cu
  native/kernels/cuda/step_kernels.cu)
set_target_properties(tfjs_ftp_cuda PROPERTIES
  CUDA_ARCHITECTURES "${archs}"
  CUDA_STANDARD 17
  CUDA_STANDARD_REQUIRED ON
  CUDA_VISIBILITY_PRESET hidden)
if(TFJS_FTP_CUDA_LINEINFO)
  list(APPEND TFJS_FTP_CUDA_OPTIONS -lineinfo)
endif()
# Registers, spills and stack frames of every kernel go to the build's output; `npm run check:ptxas` reads it.
option(TFJS_FTP_PTXAS_REPORT "Print what ptxas says of every kernel" OFF)
if(TFJS_FTP_PTXAS_REPORT)
  list(APPEND TFJS_FTP_CUDA_OPTIONS -Xptxas=-v)
endif()
target_compile_options(tfjs_ftp_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:${TFJS_FTP_CUDA_OPTIONS}>)
target_link_libraries(tfjs_ftp_cuda PUBLIC CUDA::cudart_static PRIVATE tfjs_ftp_flags)
target_compile_definitions(tfjs_ftp_cuda PUBLIC TFJS_FTP_HAVE_CUDA)
