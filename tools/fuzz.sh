#!/bin/bash
# Runs every fuzz target of a clang build for some seconds, from the kept corpus, if any.
#   fuzz.sh BUILD_FOLDER SECONDS
set -eu
build=$1 seconds=$2
here=$(cd "$(dirname "$0")/.." && pwd)
shopt -s nullglob
targets=("$build"/fuzz_*)
[ ${#targets[@]} -gt 0 ] || { echo "no fuzz target in $build" >&2; exit 1; }
for target in "${targets[@]}"; do
  [ -x "$target" ] && [ -f "$target" ] || continue
  name=$(basename "$target")
  work=$(mktemp -d)
  corpus=("$here/src/native/test/corpus/$name")
  [ -d "${corpus[0]}" ] || corpus=()
  echo "fuzz: $name for $seconds s"
  "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -verbosity=0 \
    -artifact_prefix="$build/crash-$name-" "$work" "${corpus[@]}"
  rm -rf "$work"
done
