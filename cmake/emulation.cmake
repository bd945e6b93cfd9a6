# CUDA kernels on the host, for tests: their bodies alone (tfjs_ftp_emulation), and with nvcc's headers a double of
# all that a GPU would be needed for (tfjs_ftp_cuda_double), to be linked in the place of tfjs_ftp_cuda.
if(NOT UNIX)
  return()
endif()

add_library(tfjs_ftp_emulation STATIC EXCLUDE_FROM_ALL
  native/test/emulate.cc
  native/test/simt_host.cc)
target_compile_options(tfjs_ftp_emulation PRIVATE -Wno-unknown-pragmas)
target_link_libraries(tfjs_ftp_emulation PRIVATE tfjs_ftp_flags)

if(NOT TFJS_FTP_HAVE_CUDA)
  return()
endif()

add_library(tfjs_ftp_cuda_double STATIC EXCLUDE_FROM_ALL
  ${TFJS_FTP_CUDA_HOST_SOURCES}
  native/test/cuda_double/device.cc
  native/test/cuda_double/launchers_on_host.cc
  native/test/cuda_double/memory.cc
  native/test/cuda_double/queues.cc
  native/test/cuda_double/runtime_device.cc
  native/test/cuda_double/runtime_memory.cc
  native/test/cuda_double/runtime_streams.cc)
target_include_directories(tfjs_ftp_cuda_double SYSTEM PUBLIC ${CUDAToolkit_INCLUDE_DIRS})
target_compile_definitions(tfjs_ftp_cuda_double PUBLIC TFJS_FTP_HAVE_CUDA)
target_link_libraries(tfjs_ftp_cuda_double PUBLIC tfjs_ftp_emulation PRIVATE tfjs_ftp_flags)

# Its driver, libcuda.so.1, in a folder where nothing finds it that is not given its path.
add_library(tfjs_ftp_cuda_double_driver SHARED EXCLUDE_FROM_ALL native/test/cuda_double/driver.cc)
set_target_properties(tfjs_ftp_cuda_double_driver PROPERTIES
  OUTPUT_NAME cuda SOVERSION 1
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/cuda_double)
target_link_libraries(tfjs_ftp_cuda_double_driver PRIVATE tfjs_ftp_flags)

# A test that runs on the double: exports what the driver calls, and knows where the driver is.
function(tfjs_ftp_link_cuda_double target)
  target_link_libraries(${target} PRIVATE tfjs_ftp_cuda_double ${CMAKE_DL_LIBS})
  set_target_properties(${target} PROPERTIES ENABLE_EXPORTS ON)
  add_dependencies(${target} tfjs_ftp_cuda_double_driver)
  target_compile_definitions(${target} PRIVATE
    TFJS_FTP_CUDA_DOUBLE TFJS_FTP_DOUBLE_DRIVER="$<TARGET_FILE:tfjs_ftp_cuda_double_driver>")
endfunction()
