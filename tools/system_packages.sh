#!/bin/bash
# The Debian packages that pylog is built with. Installs what is missing where it may (as root),
# else prints the one line to run and stops.
#   system_packages.sh          to build and run
#   system_packages.sh --test   and to run every test
set -eu
packages=(build-essential cmake pkg-config libzstd-dev liblz4-dev libsnappy-dev zlib1g-dev)
if [ "${1:-}" = --test ]; then
  packages+=(clang libclang-rt-14-dev kcat zstd lz4 openjdk-17-jdk-headless maven)
fi
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
    missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
install="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" != 0 ]; then
  echo "pylog needs Debian packages that are not installed. Run:  sudo $install" >&2
  exit 1
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
$install -qq >/dev/null
