# Build for `npm install` without a prebuild, and for prebuildify. Flags and sources as in
# CMakeLists.txt, which is the developer's build; a test compares the lists of sources. CUDA kernels are
# part of it where nvcc is found, under Linux; TFJS_FTP_CUDA and TFJS_FTP_CUDA_ARCHS as in cmake/cuda.cmake.
{
  'variables': {
    'conditions': [
      ['target_arch=="x64" and OS!="win"', {'x86%': 1}, {'x86%': 0}],
      ['target_arch=="arm64" and OS!="win"', {'arm64%': 1}, {'arm64%': 0}],
    ],
    'cuda%': '<!(node scripts/install/gyp_cuda.mjs have <(target_arch))',
    'prebuild%': '<!(node -p "process.env.TFJS_FTP_PREBUILD === \'1\' ? 1 : 0")',
    'version%': '<!(node -p "require(\'./package.json\').version")',
  },
  'target_defaults': {
    'cflags_cc': ['-std=c++17', '-O3', '-Wall', '-Wextra', '-ffp-contract=off', '-fno-math-errno',
                  '-fvisibility=hidden'],
    'cflags_cc!': ['-std=gnu++14', '-std=gnu++17', '-std=gnu++20', '-fno-exceptions', '-fno-rtti'],
    'cflags!': ['-fno-exceptions'],
    'configurations': {'Release': {'defines': ['NDEBUG']}},
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
      'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
      'GCC_OPTIMIZATION_LEVEL': '3',
      'MACOSX_DEPLOYMENT_TARGET': '11.0',
      'OTHER_CPLUSPLUSFLAGS': ['-ffp-contract=off', '-fno-math-errno', '-fvisibility=hidden'],
    },
    'msvs_settings': {
      'VCCLCompilerTool': {'ExceptionHandling': 1, 'FloatingPointModel': 0,
                           'AdditionalOptions': ['/std:c++17']},
    },
  },
  'targets': [
    {
      'target_name': 'passes_generic',
      'type': 'static_library',
      'sources': ['native/kernels/cpu/passes.cc', 'native/kernels/cpu/passes_bfloat16.cc'],
      'conditions': [
        ['x86==1', {
          'defines': ['FTP_PASSES=PassesSse2', 'FTP_SIMD_NAME=sse2'],
        }, {
          'conditions': [
            ['arm64==1', {
              'defines': ['FTP_PASSES=PassesNeon', 'FTP_SIMD_NAME=neon'],
            }, {
              'defines': ['FTP_PASSES=PassesScalar', 'FTP_SIMD_NAME=scalar'],
            }],
          ],
        }],
      ],
    },
    {
      'target_name': 'tfjs_ftp',
      'sources': [
        'native/addon/addon.cc',
        'native/addon/build_info.cc',
        'native/addon/errors.cc',
        'native/addon/pin_library.cc',
        'native/addon/state.cc',
        'native/addon/step.cc',
        'native/addon/step_arguments.cc',
        'native/addon/tensorflow.cc',
        'native/addon/mpi.cc',
        'native/mpi/exchange.cc',
        'native/mpi/mpi_library.cc',
        'native/mpi/mpi_shim.cc',
        'native/mpi/mpi_thread.cc',
        'native/kernels/cpu/cpu_quota.cc',
        'native/kernels/cpu/dispatch.cc',
        'native/kernels/cpu/gather.cc',
        'native/kernels/cpu/step.cc',
        'native/kernels/cpu/thread_pool.cc',
        'native/op/ftp_ops.cc',
        'native/op/op_context.cc',
        'native/op/output_pool.cc',
        'native/op/state_inputs.cc',
        'native/op/state_ops_cpu.cc',
        'native/op/step_inputs.cc',
        'native/op/gather_op_cpu.cc',
        'native/op/step_op_cpu.cc',
        'native/op/tf_api.cc',
      ],
      'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
      'defines': ['NAPI_VERSION=8', 'NAPI_CPP_EXCEPTIONS', 'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS', 'TFJS_FTP_VERSION="<(version)"'],
      'dependencies': ['passes_generic'],
      'conditions': [
        ['x86==1', {
          'defines': ['FTP_X86'],
          'dependencies': ['passes_avx2', 'passes_avx512'],
        }],
        ['arm64==1', {'defines': ['FTP_ARM64']}],
        ['OS=="linux"', {
          'libraries': ['-ldl', '-lpthread'],
          'ldflags': ['-Wl,--version-script=<(module_root_dir)/native/addon/exports.map'],
        }],
        # libstdc++ and libgcc inside: a prebuild asks of a system for its glibc alone. Not where a user builds: many
        # distributions have no libstdc++.a without being asked.
        ['OS=="linux" and prebuild==1', {
          'ldflags': ['-static-libstdc++', '-static-libgcc', '-Wl,--gc-sections'],
        }],
        ['cuda==1', {
          'defines': ['TFJS_FTP_HAVE_CUDA'],
          'dependencies': ['ftp_cuda'],
          'sources': [
            'native/addon/device_buffer.cc',
            'native/addon/device_step.cc',
            'native/op/gather_op_gpu.cc',
            'native/op/state_ops_gpu.cc',
            'native/op/step_op_gpu.cc',
            'native/op/stream_order.cc',
          ],
          'include_dirs': ['<!@(node scripts/install/gyp_cuda.mjs include)'],
          'library_dirs': ['<!@(node scripts/install/gyp_cuda.mjs library)'],
          # The runtime goes into the addon; the driver is found at run time.
          'libraries': ['-lcudart_static', '-lrt', '-ldl', '-lpthread'],
        }],
      ],
    },
  ],
  'conditions': [
    ['cuda==1', {
      'targets': [
        {
          'target_name': 'ftp_cuda',
          'type': 'static_library',
          'sources': [
            'native/kernels/cuda/cuda_device.cc',
            'native/kernels/cuda/device_memory.cc',
            'native/kernels/cuda/fused_kernel.cu',
            'native/kernels/cuda/gather_kernels.cu',
            'native/kernels/cuda/gather_table.cc',
            'native/kernels/cuda/launch_step.cc',
            'native/kernels/cuda/pinned_ring.cc',
            'native/kernels/cuda/run_gather.cc',
            'native/kernels/cuda/run_step.cc',
            'native/kernels/cuda/step_kernels.cu',
            'native/kernels/cuda/work_table.cc',
          ],
          'defines': ['TFJS_FTP_HAVE_CUDA'],
          'include_dirs': ['<!@(node scripts/install/gyp_cuda.mjs include)'],
          'rules': [{
            'rule_name': 'nvcc',
            'extension': 'cu',
            'inputs': ['native/kernels/cuda/nvcc.txt'],
            'outputs': ['<(INTERMEDIATE_DIR)/<(RULE_INPUT_ROOT).o'],
            'action': ['node', 'scripts/install/gyp_cuda.mjs', 'compile', '<(RULE_INPUT_PATH)', '<@(_outputs)'],
            'message': 'Compiling <(RULE_INPUT_PATH) with nvcc',
            'process_outputs_as_sources': 1,
          }],
        },
      ],
    }],
    ['x86==1', {
      'targets': [
        {
          'target_name': 'passes_avx2',
          'type': 'static_library',
          'sources': ['native/kernels/cpu/passes.cc', 'native/kernels/cpu/passes_bfloat16.cc'],
          'defines': ['FTP_PASSES=PassesAvx2', 'FTP_SIMD_NAME=avx2'],
          'cflags_cc': ['-mavx2'],
          'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['-mavx2']},
        },
        {
          'target_name': 'passes_avx512',
          'type': 'static_library',
          'sources': [
            'native/kernels/cpu/passes.cc',
            'native/kernels/cpu/passes_bfloat16.cc',
            'native/kernels/cpu/passes_bfloat16_instruction.cc',
          ],
          'defines': ['FTP_PASSES=PassesAvx512', 'FTP_SIMD_NAME=avx512'],
          'cflags_cc': ['-mavx512f', '-mavx512dq', '-mprefer-vector-width=512'],
          'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['-mavx512f', '-mavx512dq']},
        },
      ],
    }],
  ],
}
