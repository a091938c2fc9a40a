#!/bin/sh
# Puts the pinned Kafka jars into .cache/jars: for tools/codegen and tests/wire.
# Does nothing when they are there. Needs Maven and, the first time, the network.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
jars="$root/.cache/jars"
stamp="$jars/.$(cksum < "$root/tools/codegen/pom.xml" | cut -d' ' -f1)"
[ -e "$stamp" ] && exit 0
mkdir -p "$root/.cache"
exec 9> "$root/.cache/jars.lock"
flock 9
[ -e "$stamp" ] && exit 0
rm -rf "$jars"
mvn --batch-mode --quiet --file "$root/tools/codegen/pom.xml" \
    dependency:copy-dependencies -DoutputDirectory="$jars"
touch "$stamp"
