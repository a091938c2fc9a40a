#!/bin/bash
# What the tests with real clients need besides Debian and Python packages: Kafka's jars and our
# Java agent, Kafka Connect, the Node agent's packages, our Go agents, an environment of stream
# libraries. Into .cache/clients and tests/clients/node/node_modules; a part whose sources have not
# changed is left as it is.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cache="$root/.cache/clients"
clients="$root/tests/clients"
mkdir -p "$cache"

# changed NAME FILE...: whether FILEs differ from those of the last done_with NAME.
changed() {
  local name=$1; shift
  sum=$(cat "$@" | cksum | cut -d' ' -f1)
  [ ! -e "$cache/$name.$sum" ]
}
done_with() { rm -f "$cache/$1".*; touch "$cache/$1.$sum"; }

# jars_of POM NAME: the jars that POM asks for, in $cache/NAME.
jars_of() {
  changed "$2" "$1" || return 0
  rm -rf "${cache:?}/$2"
  mvn --batch-mode --quiet --file "$1" \
      dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$cache/$2"
  done_with "$2"
}

jars_of "$clients/java/pom.xml" jars
jars_of "$clients/connect/pom.xml" connect

mapfile -t sources < <(find "$clients/java/src" -name '*.java' | sort)
if changed classes "$clients/java/pom.xml" "$clients/java/src/log4j2.properties" "${sources[@]}"; then
  rm -rf "$cache/classes"
  javac -Xlint:all,-processing,-classfile --release 17 -cp "$cache/jars/*" -d "$cache/classes" "${sources[@]}"
  cp "$clients/java/src/log4j2.properties" "$cache/classes/"
  done_with classes
fi

if changed node "$clients/node/package-lock.json"; then
  npm ci --prefix "$clients/node" --no-audit --no-fund --silent
  done_with node
fi

if changed streams "$clients/programs/requirements.txt"; then
  rm -rf "$cache/streams"
  python3 -m venv "$cache/streams"
  "$cache/streams/bin/pip" --disable-pip-version-check -q install -r "$clients/programs/requirements.txt"
  done_with streams
fi

mapfile -t sources < <(find "$clients/go" -name '*.go' | sort)
if changed go "$clients/go/go.mod" "$clients/go/go.sum" "${sources[@]}"; then
  (cd "$clients/go" && go build -o "$cache/franz-agent" ./franz && go build -o "$cache/sarama-agent" ./sarama)
  done_with go
fi
