# The native tests, which need no Node: `ctest` runs them. The target host_tests builds those that need no GPU. What
# needs one has the label gpu and ends with code 77 where there is none; what needs CUDA's headers and is built without
# them is there by name, disabled.
enable_testing()
add_custom_target(host_tests)

# An executable and the test of the same name, from SOURCES, linked with LIBRARIES too. GPU: it runs on a GPU.
function(tfjs_ftp_test name)
  cmake_parse_arguments(test "GPU" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${test_SOURCES})
  target_link_libraries(${name} PRIVATE tfjs_ftp_flags tfjs_ftp_kernels ${test_LIBRARIES})
  add_test(NAME ${name} COMMAND ${name})
  if(test_GPU)
    target_link_libraries(${name} PRIVATE tfjs_ftp_cuda)
    set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
    set_tests_properties(${name} PROPERTIES LABELS gpu SKIP_RETURN_CODE 77)
  else()
    add_dependencies(host_tests ${name})
  endif()
endfunction()

# The same test twice: NAME on a GPU, NAME_double on the double of one, so that it has run before it sees a GPU.
function(tfjs_ftp_gpu_test name)
  tfjs_ftp_test(${name} GPU ${ARGN})
  tfjs_ftp_test(${name}_double ${ARGN})
  tfjs_ftp_link_cuda_double(${name}_double)
endfunction()

tfjs_ftp_test(kernel_test SOURCES native/test/kernel_test.cc native/test/oracle.cc)
if(NOT UNIX)
  return()
endif()
tfjs_ftp_test(cpu_quota_test SOURCES native/test/cpu_quota_test.cc)

tfjs_ftp_test(work_table_test
  SOURCES native/test/work_table_test.cc native/test/oracle.cc native/kernels/cuda/work_table.cc)
# The interpreter of PTX that the double runs kernels with, on snippets of its own.
tfjs_ftp_test(ptx_test SOURCES native/test/ptx/ptx_test.cc LIBRARIES tfjs_ftp_ptx)

# The ops under a double of TensorFlow's C API, a library that is looked up as TensorFlow is.
add_library(tf_double SHARED EXCLUDE_FROM_ALL native/test/tf_double.cc)
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
  foreach(name cuda_double_test cuda_schedule_test cuda_test_double device_step_test_double gpu_op_test_double
      gpu_order_test_double)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES DISABLED ON)
  endforeach()
  return()
endif()

tfjs_ftp_test(op_test SOURCES native/test/op_test.cc native/op/stream_order.cc ${op_test_sources})
tfjs_ftp_use_tf_double(op_test)
tfjs_ftp_link_cuda_double(op_test)

# The double's own rules.
tfjs_ftp_test(cuda_double_test SOURCES native/test/cuda_double/cuda_double_test.cc)
tfjs_ftp_link_cuda_double(cuda_double_test)

tfjs_ftp_gpu_test(cuda_test SOURCES native/test/cuda_test.cc native/test/oracle.cc)
set_tests_properties(cuda_test_double PROPERTIES ENVIRONMENT TFJS_FTP_TEST_QUICK=1)
# How many blocks run at a time is asked for once in a process, so these are several.
add_executable(cuda_schedule_test native/test/cuda_schedule_test.cc native/test/oracle.cc)
target_link_libraries(cuda_schedule_test PRIVATE tfjs_ftp_flags tfjs_ftp_kernels)
tfjs_ftp_link_cuda_double(cuda_schedule_test)
add_dependencies(host_tests cuda_schedule_test)
foreach(argument oracle 1 2 7 13)
  add_test(NAME cuda_schedule_test_${argument} COMMAND cuda_schedule_test ${argument})
endforeach()
tfjs_ftp_gpu_test(device_step_test SOURCES native/test/device_step_test.cc)

# The ops on device memory. op/stream_order.cc gets another name for its way in, so that the tests can take the order
# away.
add_library(stream_order_renamed OBJECT EXCLUDE_FROM_ALL native/op/stream_order.cc)
target_link_libraries(stream_order_renamed PRIVATE tfjs_ftp_flags)
target_include_directories(stream_order_renamed SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
target_compile_definitions(stream_order_renamed PRIVATE
  OrderWithTensorFlow=ProductionOrderWithTensorFlow)
foreach(name gpu_op_test gpu_order_test)
  tfjs_ftp_gpu_test(${name}
    SOURCES native/test/${name}.cc native/test/gpu_op_harness.cc ${op_test_sources}
      $<TARGET_OBJECTS:stream_order_renamed>)
  tfjs_ftp_use_tf_double(${name})
  tfjs_ftp_use_tf_double(${name}_double)
endforeach()
add_test(NAME gpu_order_test_double_without_context_events
  COMMAND gpu_order_test_double --no-context-events)
