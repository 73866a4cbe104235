#!/usr/bin/env bash
# Runs `sam local invoke` on every function with each of its events, in containers, against the running local cloud.
# EVENTS='create_payment/*' runs only those. Needs Docker. Where the Lambda base image can't be pulled, it is built of this machine's files.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=local/sam_local_expected.sh
source local/sam_local_expected.sh
image=public.ecr.aws/lambda/python:3.13-x86_64
if ! docker info >/dev/null 2>&1; then
  echo "make sam-local needs a running Docker engine (Debian: apt-get install docker.io; dockerd &, which needs --storage-driver=vfs only where overlay2 does not work and is then three times slower)." >&2
  exit 2
fi
folder=.local/sam-local
variables=$folder/env.json
mkdir -p "$folder"
if ! .venv/bin/python -m local.sam_local_env "$variables" 127.0.0.1 2>/dev/null; then
  .venv/bin/python -m local up # it is not running yet
fi
if ! docker image inspect "$image" >/dev/null 2>&1 && ! docker pull "$image" >/dev/null 2>&1; then
  echo "the base image can't be pulled; building a stand-in (half a minute, once)"
  local/build_lambda_base_image.sh "$(.venv/bin/python -c 'import sys; print(sys.base_prefix)')"
fi
# The local cloud and the bank listen on loopback only; the containers reach them over Docker's own bridge.
subnet=$(docker network inspect bridge --format '{{(index .IPAM.Config 0).Subnet}}')
bridge=$(.venv/bin/python -c "import ipaddress; print(ipaddress.ip_network('$subnet')[1])") # Docker's own choice for it
.venv/bin/python -m local.sam_local_env "$variables" "$bridge"
.venv/bin/python -m local.relay "$bridge" "${PAYONCE_CLOUD_PORT:-4566}" "${PAYONCE_BANK_PORT:-4700}" &
relay=$!
trap 'kill $relay 2>/dev/null' EXIT
export PATH="$PWD/.venv-cloud/bin:$PATH" SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-central-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
export PAYONCE_ARCHITECTURE=x86_64 # the image's
if ! sam build --build-dir "$folder/build" --cached --cache-dir "$folder/cache" >"$folder/build.log" 2>&1; then
  echo "sam build failed. The end of $folder/build.log:" >&2
  tail -n 20 "$folder/build.log" >&2
  exit 1
fi
failed=0
for event in events/${EVENTS:-*/*}.json; do
  function=$(basename "$(dirname "$event")")
  logical=$(.venv/bin/python -c "print(''.join(part.capitalize() for part in '$function'.split('_')) + 'Function')")
  out=$(sam local invoke "$logical" --template "$folder/build/template.yaml" --event "$event" --env-vars "$variables" \
    --parameter-overrides Architecture=x86_64 --skip-pull-image --container-host-interface 127.0.0.1 2>"$folder/log") || out=""
  if answer=$(printf '%s' "$out" | grep -oE "$(expected "$function/$(basename "$event" .json)")" | head -n 1); then
    echo "ok     $logical $(basename "$event" .json): $answer"
  else
    echo "FAILED $logical $(basename "$event" .json): $out"
    tail -n 5 "$folder/log"
    failed=1
  fi
done
exit $failed
