# CUDA kernels without a GPU, for tests: an interpreter of PTX (tfjs_ftp_ptx), and with nvcc a double of all that a GPU would
# be needed for (tfjs_ftp_cuda_double), to be linked in the place of tfjs_ftp_cuda.
if(NOT UNIX)
  return()
endif()

add_library(tfjs_ftp_ptx STATIC EXCLUDE_FROM_ALL
  native/test/ptx/forms.cc
  native/test/ptx/machine.cc
  native/test/ptx/parser.cc
  native/test/ptx/warp.cc)
# A register holds floats now and words then.
target_compile_options(tfjs_ftp_ptx PRIVATE -fno-strict-aliasing)
target_link_libraries(tfjs_ftp_ptx PRIVATE tfjs_ftp_flags)

if(NOT TFJS_FTP_HAVE_CUDA)
  return()
endif()

# The production code with its launchers, and a CUDA runtime for it. Of the kernels' object files the host code alone is
# used; their PTX is read by name from files beside them.
set(kernel_sources
  native/kernels/cuda/fused_kernel.cu native/kernels/cuda/gather_kernels.cu native/kernels/cuda/step_kernels.cu)
function(tfjs_ftp_kernels_for_double target)
  set_target_properties(${target} PROPERTIES
    CUDA_ARCHITECTURES ${TFJS_FTP_PTX_ARCH}-virtual
    CUDA_STANDARD 17
    CUDA_STANDARD_REQUIRED ON
    CUDA_VISIBILITY_PRESET hidden)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:${TFJS_FTP_CUDA_OPTIONS}>)
  target_compile_definitions(${target} PRIVATE TFJS_FTP_HAVE_CUDA)
endfunction()
set(TFJS_FTP_PTX_ARCH 90 CACHE STRING "Compute capability of the PTX that the double runs")
add_library(tfjs_ftp_kernels_ptx OBJECT EXCLUDE_FROM_ALL ${kernel_sources})
set_target_properties(tfjs_ftp_kernels_ptx PROPERTIES CUDA_PTX_COMPILATION ON)
tfjs_ftp_kernels_for_double(tfjs_ftp_kernels_ptx)

add_library(tfjs_ftp_cuda_double STATIC EXCLUDE_FROM_ALL
  ${TFJS_FTP_CUDA_HOST_SOURCES}
  ${kernel_sources}
  native/test/cuda_double/device.cc
  native/test/cuda_double/memory.cc
  native/test/cuda_double/queues.cc
  native/test/cuda_double/runtime_device.cc
  native/test/cuda_double/runtime_launch.cc
  native/test/cuda_double/runtime_memory.cc
  native/test/cuda_double/runtime_streams.cc)
tfjs_ftp_kernels_for_double(tfjs_ftp_cuda_double)
set_target_properties(tfjs_ftp_cuda_double PROPERTIES CUDA_RUNTIME_LIBRARY None)
add_dependencies(tfjs_ftp_cuda_double tfjs_ftp_kernels_ptx)
target_include_directories(tfjs_ftp_cuda_double SYSTEM PUBLIC ${CUDAToolkit_INCLUDE_DIRS})
target_compile_definitions(tfjs_ftp_cuda_double PUBLIC TFJS_FTP_HAVE_CUDA)
set_source_files_properties(native/test/cuda_double/runtime_launch.cc PROPERTIES COMPILE_DEFINITIONS
  "TFJS_FTP_PTX_FILES=\"$<JOIN:$<TARGET_OBJECTS:tfjs_ftp_kernels_ptx>,|>\"")
target_link_libraries(tfjs_ftp_cuda_double PUBLIC tfjs_ftp_ptx ${CMAKE_DL_LIBS} PRIVATE tfjs_ftp_flags)

# Its driver, libcuda.so.1, in a folder where nothing finds it that is not given its path.
add_library(tfjs_ftp_cuda_double_driver SHARED EXCLUDE_FROM_ALL native/test/cuda_double/driver.cc)
set_target_properties(tfjs_ftp_cuda_double_driver PROPERTIES
  OUTPUT_NAME cuda SOVERSION 1
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/cuda_double)
target_link_libraries(tfjs_ftp_cuda_double_driver PRIVATE tfjs_ftp_flags)

# A test that runs on the double: exports what the driver calls, and knows where the driver is.
function(tfjs_ftp_link_cuda_double target)
  target_link_libraries(${target} PRIVATE tfjs_ftp_cuda_double ${CMAKE_DL_LIBS})
  # The C++ compiler links, without nvcc's runtime.
  set_target_properties(${target} PROPERTIES
    ENABLE_EXPORTS ON LINKER_LANGUAGE CXX CUDA_RUNTIME_LIBRARY None)
  add_dependencies(${target} tfjs_ftp_cuda_double_driver)
  target_compile_definitions(${target} PRIVATE
    TFJS_FTP_CUDA_DOUBLE TFJS_FTP_DOUBLE_DRIVER="$<TARGET_FILE:tfjs_ftp_cuda_double_driver>")
endfunction()
