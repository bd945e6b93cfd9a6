#!/usr/bin/env bash
# Everything that a GPU is needed for, in one go: builds the native tests and the bench for this machine's GPU, checks
# every kernel, runs the sanitizers of CUDA, measures, and compares with PyTorch where it is installed. Needs nvcc, cmake
# and a GPU; no Node, no network. Results go to $OUT (default bench/results/gpu), short tables come last. On a machine with
# Node, `npm run bench -- show $OUT/{bench-*,torch}.json` has all ratios and targets, `npm run bench -- roofline` draws a file.
#   FTP_AUTHORS=/path/to/FTP.py   also times the authors' own PyTorch optimizer (not part of this repository)
#   FTP_COMMIT=HASH               the commit that is measured, where this folder is no checkout
#   FTP_QUICK=1                   fewer rounds, no compute-sanitizer, no billion, no sweep
# Ends with an error if a check fails; what could still be measured is there all the same.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=${OUT:-bench/results/gpu}
mkdir -p "$out"
build=build-gpu
jobs=$(nproc)
((jobs > 8)) && jobs=8
rounds=11
[[ -n ${FTP_QUICK:-} ]] && rounds=5
failed=()

note() { printf '%s verify_on_gpu: %s\n' "$(date -u +%H:%M:%S)" "$*"; }
# step NAME COMMAND...: runs it, keeps its output, remembers a failure.
step() {
  local name=$1
  shift
  note "$name"
  if ! timeout "${limit:-900}" "$@" >"$out/$name.out" 2>"$out/$name.err"; then
    failed+=("$name")
    note "$name FAILED"
    tail -n 15 "$out/$name.out" "$out/$name.err"
  fi
}
# bench NAME OPTIONS...: a run of cuda_bench; the table goes to $out/bench-NAME.out, the numbers to .json.
bench() {
  local name=$1
  shift
  step "bench-$name" "$build/cuda_bench" "$@" ${FTP_COMMIT:+--commit "$FTP_COMMIT"} --json "$out/bench-$name.json"
}

capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d '. ')
if [[ -z $capability ]]; then
  note "nvidia-smi shows no GPU"
  exit 1
fi
nvidia-smi -q >"$out/nvidia-smi.txt" 2>&1
{
  printf '{"date":"%s","commit":"%s",' "$(date -u +%FT%TZ)" \
    "${FTP_COMMIT:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}"
  printf '"gpu":"%s",' "$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1)"
  printf '"driver":"%s",' "$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -n 1)"
  printf '"toolkit":"%s"}\n' "$(nvcc --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')"
} >"$out/machine.json"
cat "$out/machine.json"

note "building for compute capability $capability"
if ! cmake -S . -B "$build" -DTFJS_FTP_CUDA=ON "-DTFJS_FTP_CUDA_ARCHS=$capability" \
  -DTFJS_FTP_CUDA_LINEINFO=ON -DTFJS_FTP_WERROR=ON >"$out/cmake.out" 2>&1 ||
  ! cmake --build "$build" --parallel "$jobs" --target cuda_test cuda_test_double device_step_test gpu_op_test gpu_order_test cuda_bench >"$out/build.out" 2>&1; then
  note "the build failed"
  tail -n 30 "$out/cmake.out" "$out/build.out"
  exit 1
fi

for test in cuda_test device_step_test gpu_op_test gpu_order_test; do
  step "$test" "$build/$test"
  tail -n 1 "$out/$test.out"
done
# A GPU gives the bits that the interpreted PTX of the same kernels gives.
for test in cuda_test cuda_test_double; do
  step "$test-quick" env TFJS_FTP_TEST_QUICK=1 "$build/$test"
done
if ! diff <(grep '^digest ' "$out/cuda_test-quick.out") <(grep '^digest ' "$out/cuda_test_double-quick.out"); then
  failed+=("cuda_test gives other bits than the interpreted PTX")
fi
bench vit --list vit --rounds "$rounds" --check off,on \
  --optimizer ftp-adamw,ftp-adamw-amsgrad,ftp-adamw-decay,ftp-sgd-momentum,projection,adamw
for list in resnet tiny-10k; do
  bench "$list" --list "$list" --rounds "$rounds" --optimizer ftp-adamw,ftp-sgd-momentum,adamw
done
# Which chunk size: one run with several, to choose the default by.
bench chunks --list vit --rounds 5 --chunk 4096,8192,16384,32768
if [[ -z ${FTP_QUICK:-} ]]; then
  bench billion --list billion --rounds 5
  bench sweep --elements 1048576,16777216,268435456 --rows 64,4096 --variables 1,100,10000 --rounds 5
fi

# PyTorch on the same lists: torch.optim.AdamW(fused=True), and the authors' optimizer where it is given.
if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
  step torch python3 bench/bench_torch.py --list vit,resnet,tiny-10k --rounds "$rounds" \
    ${FTP_AUTHORS:+--authors "$FTP_AUTHORS"} ${FTP_COMMIT:+--commit "$FTP_COMMIT"} --json "$out/torch.json"
else
  note "no PyTorch with CUDA here: no comparison with torch.optim.AdamW"
fi

if [[ -z ${FTP_QUICK:-} ]] && command -v compute-sanitizer >/dev/null; then
  # On few shapes: the tools slow kernels down a hundredfold.
  for tool in memcheck racecheck synccheck; do
    limit=300 step "$tool" env TFJS_FTP_TEST_QUICK=1 compute-sanitizer --tool "$tool" --error-exitcode 9 \
      "$build/cuda_test"
    tail -n 2 "$out/$tool.out"
  done
elif [[ -z ${FTP_QUICK:-} ]]; then
  failed+=("compute-sanitizer is not installed")
fi
if [[ -z ${FTP_QUICK:-} ]]; then
  limit=300 step cuda_test_huge env TFJS_FTP_TEST_HUGE=only "$build/cuda_test"
fi

echo
cat "$out"/bench-*.out "$out"/torch.out 2>/dev/null
if ((${#failed[@]} > 0)); then
  note "FAILED: ${failed[*]}"
  exit 1
fi
note "all passed"
