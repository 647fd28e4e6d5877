# Sourced by scenarios/run and tests/run: installs what is missing (Debian and Ubuntu), then builds.
# shellcheck shell=bash

blindsum_packages=(
  g++ cmake ninja-build python3 python3-yaml
  libntl-dev libgmp-dev libzmq3-dev cppzmq-dev libmsgpack-cxx-dev libspdlog-dev libsodium-dev
  libeigen3-dev libyaml-cpp-dev libcli11-dev nlohmann-json3-dev zlib1g-dev libxxhash-dev doctest-dev libbenchmark-dev
  libcurl4-openssl-dev node-d3-axis node-d3-scale node-d3-selection node-d3-shape
)

blindsum_install() {
  local package missing=() as_root=()
  for package in "${blindsum_packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null; then
    echo "blindsum: these packages are missing, and there is no apt-get to install them: ${missing[*]}" >&2
    return 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
      echo "blindsum: run as root, or install sudo, or install these packages: ${missing[*]}" >&2
      return 1
    }
    as_root=(sudo)
  fi
  echo "blindsum: installing ${missing[*]}" >&2
  "${as_root[@]}" apt-get update -qq >&2 &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      "${missing[@]}" >/dev/null
}

# blindsum_build PRESET [TARGET …]
blindsum_build() {
  local preset=$1
  shift
  cmake --preset "$preset" >/dev/null || cmake --preset "$preset"
  cmake --build --preset "$preset" --target "${@:-all}" >&2
}
