#!/usr/bin/env bash
# Runs `sam local invoke` on every function with each of its events, in containers, against the running local cloud.
# Needs Docker. Where the Lambda base image can't be pulled, it is built from Debian and this machine's Python.
set -euo pipefail
cd "$(dirname "$0")/.."
image=public.ecr.aws/lambda/python:3.13-x86_64
if ! docker info >/dev/null 2>&1; then
  echo "make sam-local needs a running Docker engine (Debian: apt-get install docker.io; dockerd --storage-driver=vfs &)." >&2
  exit 2
fi
if ! docker image inspect "$image" >/dev/null 2>&1 && ! docker pull "$image" >/dev/null 2>&1; then
  echo "the base image can't be pulled; building a stand-in (some minutes, once)"
  local/build_lambda_base_image.sh "$(.venv/bin/python -c 'import sys; print(sys.base_prefix)')"
fi
.venv/bin/python -m local.cloud up >/dev/null 2>&1 || true # it may be running already
variables=.local/sam-local-env.json
.venv/bin/python - "$variables" <<'PY'
import json, sys
from local.cloud import CREDENTIALS, default_cloud
stack = default_cloud().stack()
names = {f"PAYONCE_{name[:-9].upper()}_TABLE": value for name, value in stack.outputs.items() if name.endswith("TableName")}
client = stack.client("lambda")
function = next(f for f in client.list_functions()["Functions"] if "CreatePayment" in f["FunctionName"])
variables = {**function["Environment"]["Variables"], **names, **CREDENTIALS, "AWS_ENDPOINT_URL": stack.endpoint_url}
json.dump({"Parameters": variables}, open(sys.argv[1], "w"))
PY
export PATH="$PWD/.venv-cloud/bin:$PATH" SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-central-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
sam build --build-dir .local/build --cached --cache-dir .local/cache >/dev/null 2>&1
failed=0
for event in events/*/*.json; do
  folder=$(basename "$(dirname "$event")")
  logical=$(.venv/bin/python -c "print(''.join(part.capitalize() for part in '$folder'.split('_')) + 'Function')")
  if out=$(sam local invoke "$logical" --template .local/build/template.yaml --event "$event" --env-vars "$variables" \
    --skip-pull-image --docker-network host --container-host-interface 127.0.0.1 2>.local/sam-local.log); then
    status=$(printf '%s' "$out" | grep -o '"statusCode": *[0-9]*' || printf 'answered')
    echo "ok     $logical $(basename "$event" .json): $status"
  else
    echo "FAILED $logical $(basename "$event" .json)"; tail -n 5 .local/sam-local.log; failed=1
  fi
done
exit $failed
