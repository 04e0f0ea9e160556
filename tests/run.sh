#!/usr/bin/env bash
# Installs what the tests need, builds, and runs them; from a bare Debian 12, as root or with sudo.
#   bash tests/run.sh           format, build, all tests: what CI runs (two cores: see README for times)
#   bash tests/run.sh --quick   build and the tests that take seconds, for the inner loop
#   bash tests/run.sh --all     also lint, address/undefined-behaviour and thread sanitizers, benchmarks
set -euo pipefail
cd "$(dirname "$0")/.."
. experiments/setup.sh

mode=${1:-}
case "$mode" in
  "" | --quick | --all) ;;
  *)
    echo "tests/run.sh: unknown option \"$mode\"; known: --quick, --all" >&2
    exit 2
    ;;
esac

# shellcheck disable=SC2086  # the lists are words
case "$mode" in
  --all) install_packages $build_packages $test_packages $check_packages $mcu_packages $bench_packages $peer_packages ;;
  --quick) install_packages $build_packages $test_packages $check_packages ;;
  *) install_packages $build_packages $test_packages $check_packages $mcu_packages ;;
esac

jobs=$(nproc)
# Campaigns that are run, killed and resumed, whole data sets, and C projects that are compiled: seconds each.
slow='^(CProject|Emulator|FashionMnist|KilledProgram|Runner|SelfcheckCommand)\.'
# Where our own code shares data between threads.
threaded='^(Evaluator|Runner|StoreTest|Train)\.'
run_tests() { # PRESET [ctest arguments]
  say "tests (preset $1)"
  ctest --preset "$1" -j "$jobs" "${@:2}"
}

build release
if [ "$mode" = --quick ]; then
  run_tests release -E "$slow"
  exit
fi

cmake --build --preset release --target check-format
run_tests release

if [ "$mode" = --all ]; then
  say "long tests: 1,000 inputs of six exported networks"
  COSEARCH_LONG_TESTS=1 ctest --preset release -R '^CProject\.OnTheHost'
  build lint
  build asan
  run_tests asan -E "$slow"
  build tsan
  run_tests tsan -R "$threaded"
  build bench
  for bench in build/release/tests/bench/*_bench; do
    say "benchmark $(basename "$bench")"
    "$bench"
  done
fi
