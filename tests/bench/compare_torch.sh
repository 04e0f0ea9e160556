#!/usr/bin/env bash
# Training steps against PyTorch, in turn on the same machine; from the repository's root, Debian 12 as root or sudo.
#   bash tests/bench/compare_torch.sh [ROUNDS]
# Prints `ratio MODEL THREADS x.xx`: our median over all rounds divided by PyTorch's best of all its runs. One thread is
# judged by CPU time, two by the wall clock. PyTorch is at its best settings: channels_last, the OpenMP build of
# OpenBLAS (the default one fights PyTorch's own threads), as many BLAS threads as it has itself.
set -euo pipefail
cd "$(dirname "$0")/../.."
. experiments/setup.sh

rounds=${1:-7}
# shellcheck disable=SC2086  # the lists are words
install_packages $build_packages $bench_packages $peer_packages
build bench >&2
# OpenBLAS falls back to SSE3 on processors newer than itself; a third of the ViT's speed.
if grep -qw avx512f /proc/cpuinfo; then
  export OPENBLAS_CORETYPE=SkylakeX
elif grep -qw avx2 /proc/cpuinfo; then
  export OPENBLAS_CORETYPE=Haswell
fi
results=$(mktemp)
trap 'rm -f "$results"' EXIT
for round in $(seq "$rounds"); do
  say "round $round of $rounds, load $(cut -d ' ' -f 1 /proc/loadavg)"
  for threads in 1 2; do
    build/release/tests/bench/trainer_bench --models resnet8,ds_cnn,vit --threads "$threads" --repeats 3 |
      tee -a /dev/stderr | sed -n 's/^train /ours /p' >>"$results"
    OMP_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=$threads /usr/bin/python3 tests/bench/torch_training.py "$threads" 3 \
      resnet8 ds_cnn vit | tee -a /dev/stderr | sed 's/^train /torch /' >>"$results"
  done
done
# Lines: WHO MODEL threads N samples_per_second MEDIAN best BEST ...
sort -k1,1 -k2,2 -k4,4n -k6,6n "$results" | awk '
  { key = $2 " " $4 }
  $1 == "ours" { ours[key, ++count[key]] = $6 }
  $1 == "torch" && $8 > best[key] { best[key] = $8 }
  END {
    for (key in count) {
      middle = ours[key, int((count[key] + 1) / 2)]
      printf "ratio %s %.2f (ours %d, PyTorch %d samples/s)\n", key, middle / best[key], middle, best[key]
    }
  }' | sort
