# The native tests, which need no Node: `ctest` runs them. Code 77 says that there is no GPU.
enable_testing()

# An executable and its test. `name` is both; sources and then, behind LIBRARIES, what it links.
function(tfjs_ftp_test name)
  cmake_parse_arguments(test "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${test_SOURCES})
  target_link_libraries(${name} PRIVATE tfjs_ftp_flags tfjs_ftp_kernels ${test_LIBRARIES})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
endfunction()

tfjs_ftp_test(kernel_test SOURCES native/test/kernel_test.cc native/test/oracle.cc)
if(NOT UNIX)
  return()
endif()

# The bodies of the CUDA kernels on the host; needs no CUDA. Its fibers switch with POSIX calls.
tfjs_ftp_test(cuda_host_test
  SOURCES native/test/cuda_host_test.cc native/test/oracle.cc native/kernels/cuda/work_table.cc
  LIBRARIES tfjs_ftp_emulation)
# A sanitizer that watches threads loses its way among stacks that are switched.
if(TFJS_FTP_SANITIZE STREQUAL "thread")
  set_tests_properties(cuda_host_test PROPERTIES DISABLED ON)
endif()

# The ops under a double of TensorFlow's C API, a library that is looked up as TensorFlow is.
add_library(tf_double SHARED native/test/tf_double.cc)
target_link_libraries(tf_double PRIVATE tfjs_ftp_flags)
set(op_test_sources ${TFJS_FTP_OP_SOURCES} ${TFJS_FTP_CPU_OP_SOURCES}
  native/test/op_calls.cc native/test/oracle.cc)
function(tfjs_ftp_use_tf_double target)
  target_link_libraries(${target} PRIVATE tf_double ${CMAKE_DL_LIBS})
  target_compile_definitions(${target} PRIVATE TFJS_FTP_TF_DOUBLE_FILE="$<TARGET_FILE:tf_double>")
endfunction()

if(NOT TFJS_FTP_HAVE_CUDA)
  tfjs_ftp_test(op_test SOURCES native/test/op_test.cc ${op_test_sources})
  tfjs_ftp_use_tf_double(op_test)
  return()
endif()

tfjs_ftp_test(cuda_test
  SOURCES native/test/cuda_test.cc native/test/oracle.cc LIBRARIES tfjs_ftp_emulation tfjs_ftp_cuda)
set_target_properties(cuda_test PROPERTIES LINKER_LANGUAGE CXX)
# On the double of a GPU, so that the test itself has run before it sees one.
tfjs_ftp_test(cuda_test_double SOURCES native/test/cuda_test.cc native/test/oracle.cc)
tfjs_ftp_link_cuda_double(cuda_test_double)
set_tests_properties(cuda_test_double PROPERTIES ENVIRONMENT TFJS_FTP_TEST_QUICK=1)

# The same library with a double in the place of the GPU.
tfjs_ftp_test(cuda_double_test SOURCES native/test/cuda_double/cuda_double_test.cc)
tfjs_ftp_link_cuda_double(cuda_double_test)

# Device memory and its steps, on a GPU and on its double.
tfjs_ftp_test(device_step_test SOURCES native/test/device_step_test.cc LIBRARIES tfjs_ftp_cuda)
set_target_properties(device_step_test PROPERTIES LINKER_LANGUAGE CXX)
tfjs_ftp_test(device_step_test_double SOURCES native/test/device_step_test.cc)
tfjs_ftp_link_cuda_double(device_step_test_double)

tfjs_ftp_test(op_test SOURCES native/test/op_test.cc native/op/stream_order.cc ${op_test_sources})
tfjs_ftp_use_tf_double(op_test)
tfjs_ftp_link_cuda_double(op_test)

# The ops on device memory, on a GPU and on its double. op/stream_order.cc gets another name for its way in, so that the
# tests can take the order away.
add_library(stream_order_renamed OBJECT native/op/stream_order.cc)
target_link_libraries(stream_order_renamed PRIVATE tfjs_ftp_flags)
target_include_directories(stream_order_renamed SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
target_compile_definitions(stream_order_renamed PRIVATE
  OrderWithTensorFlow=ProductionOrderWithTensorFlow)
function(tfjs_ftp_gpu_op_test name)
  tfjs_ftp_test(${name}_double SOURCES ${ARGN})
  tfjs_ftp_link_cuda_double(${name}_double)
  tfjs_ftp_test(${name} SOURCES ${ARGN} LIBRARIES tfjs_ftp_emulation tfjs_ftp_cuda)
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
  foreach(target ${name}_double ${name})
    target_sources(${target} PRIVATE native/test/gpu_op_harness.cc $<TARGET_OBJECTS:stream_order_renamed> ${op_test_sources})
    tfjs_ftp_use_tf_double(${target})
  endforeach()
endfunction()

tfjs_ftp_gpu_op_test(gpu_op_test native/test/gpu_op_test.cc)
tfjs_ftp_gpu_op_test(gpu_order_test native/test/gpu_order_test.cc)
add_test(NAME gpu_order_test_double_without_context_events
  COMMAND gpu_order_test_double --no-context-events)
