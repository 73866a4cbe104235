#!/usr/bin/env bash
# Ends with a hint unless there is a Java that Spark 4 runs on.
set -euo pipefail
if ! command -v java >/dev/null; then
  echo "Spark needs Java 17 or later and there is none on the PATH. On Debian: apt-get install openjdk-17-jre-headless" >&2
  exit 1
fi
version=$(java -version 2>&1 | sed -nE 's/.* version "([0-9]+).*/\1/p' | head -n 1)
if [ "${version:-0}" -lt 17 ]; then
  echo "Spark needs Java 17 or later; this is ${version:-unknown}. On Debian: apt-get install openjdk-17-jre-headless" >&2
  exit 1
fi
