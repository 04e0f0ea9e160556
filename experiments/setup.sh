# Sourced by experiments/quickstart.sh and tests/run.sh: packages and builds, from the repository's root.
# Debian 12 as root or with sudo; does nothing where everything is there already.

build_packages="cmake g++ ninja-build libcli11-dev libdnnl-dev libeigen3-dev libfmt-dev libhwy-dev libpng-dev
  libspdlog-dev libsqlite3-dev libsqlitecpp-dev librandom123-dev libtbb-dev nlohmann-json3-dev zlib1g-dev
  dataset-fashion-mnist"
test_packages="libgtest-dev libgmock-dev"
check_packages="clang-format clang-tidy"
bench_packages="libbenchmark-dev"
# Compilers and emulators of microcontrollers: what exported C projects are built for and run in.
mcu_packages="make gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm gcc-riscv64-unknown-elf
  picolibc-riscv64-unknown-elf qemu-system-misc"
peer_packages="python3-torch libopenblas0-openmp"

say() { printf '\n== %s\n' "$*" >&2; }

install_packages() {
  local missing=()
  local package
  for package in "$@"; do
    dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
  done
  [ "${#missing[@]}" -eq 0 ] && return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
      echo "cosearch: missing packages (${missing[*]}) and neither root nor sudo to install them" >&2
      return 1
    }
    as_root=(sudo)
  fi
  say "installing ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

build() { # PRESET
  say "building (preset $1)"
  cmake --preset "$1" -Wno-dev >/dev/null
  cmake --build --preset "$1"
}
