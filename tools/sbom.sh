#!/usr/bin/env bash
# Writes what each layer and each extra is made of, as CycloneDX, to .local/sbom. From the lock files alone, with their
# hashes, so that the same commit gives the same bytes: each is made twice and compared.
set -euo pipefail
cyclonedx=${1:?the cyclonedx-py to run}
folder=.local/sbom
mkdir -p "$folder"
bill() {
  for copy in "$folder/$1.json" "$folder/.again.json"; do
    "$cyclonedx" requirements --output-reproducible --of JSON --sv 1.6 -o "$copy" "$2"
  done
  cmp "$folder/$1.json" "$folder/.again.json"
  rm "$folder/.again.json"
  echo "$folder/$1.json: $(grep -c '"bom-ref"' "$folder/$1.json") components"
}
for layer in dependencies reconciliation; do bill "layer-$layer" "layers/$layer/requirements.txt"; done
for extra in reconcile redis sidecar spark; do bill "extra-$extra" "requirements/$extra.txt"; done
