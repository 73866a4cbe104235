#!/usr/bin/env bash
# Runs `sam local invoke` on every function with each of its events, in containers, against the running local cloud.
# EVENTS='create_payment/*' runs only those. Needs Docker. Where the Lambda base image can't be pulled, it is built from Debian and this machine's Python.
set -euo pipefail
cd "$(dirname "$0")/.."
# What each event must be answered with. What the events name is not in the local cloud, hence the 404s.
expected() {
  case $1 in
    authorize/*) echo '"errorMessage": *"Unauthorized"' ;; # the authorizer refuses by raising exactly this
    recover_payments/* | schedule_deliveries/*) echo '"failed": *0[,}]' ;;
    reconcile/scheduled) echo '"digest": *"' ;;
    correct_break/*) echo '"errorType": *"NotFound"' ;; # the state machine takes it as an error
    # No file of these names is in the local cloud's bucket.
    reconcile/*) echo '"refused": *\[\{' ;;
    audit_idempotency/* | dispatch_deliveries/unknown_delivery | relay_events/a_mark_taken_off) echo '"batchItemFailures": *\[\]' ;;
    observe_claims/*) echo '"state": *\{\}' ;;
    # Off after `make up`, where a run ends at once; on after `make demo`, where it takes its minute.
    predict_routes/*) echo '^\{\}|"decisions": *[0-9]+' ;;
    # Neither the merchant of the inbox's messages nor the events of the stream are in the local cloud: they come again.
    accept_events/* | dispatch_deliveries/* | relay_events/*) echo '"batchItemFailures": *\[\{' ;;
    create_webhook_endpoint/all_events | create_webhook_endpoint/ed25519) echo '"statusCode": *201' ;;
    create_webhook_endpoint/* | */nothing | */too_long | */backwards | get_idempotency_key/bad_operation) echo '"statusCode": *400' ;;
    list_webhook_endpoints/* | list_events/first_page) echo '"statusCode": *200' ;;
    list_webhook_deliveries/*) echo '"statusCode": *404' ;;
    create_payment/captured | create_payment/authorized) echo '"statusCode": *201' ;;
    create_payment/declined) echo '"statusCode": *402' ;;
    # The containers reach the local cloud and the bank, but not the gateway's upstream: certainly nothing is sent.
    idempotency_gateway/upstream_down | idempotency_gateway/no_route) echo '"statusCode": *503' ;;
    idempotency_gateway/no_scope | create_payment/no_scope | get_idempotency_key/no_scope) echo '"statusCode": *403' ;;
    create_payment/* | */no_key | */bad_cursor) echo '"statusCode": *400' ;;
    # create_payment/captured comes before them, and uses their key.
    get_idempotency_key/any_operation | get_idempotency_key/one_operation) echo '"statusCode": *200' ;;
    list_payments/* | get_balances/*) echo '"statusCode": *200' ;;
    *) echo '"statusCode": *404' ;;
  esac
}
image=public.ecr.aws/lambda/python:3.13-x86_64
if ! docker info >/dev/null 2>&1; then
  echo "make sam-local needs a running Docker engine (Debian: apt-get install docker.io; dockerd &, which needs --storage-driver=vfs only where overlay2 does not work and is then three times slower)." >&2
  exit 2
fi
if ! docker image inspect "$image" >/dev/null 2>&1 && ! docker pull "$image" >/dev/null 2>&1; then
  echo "the base image can't be pulled; building a stand-in (some minutes, once)"
  local/build_lambda_base_image.sh "$(.venv/bin/python -c 'import sys; print(sys.base_prefix)')"
fi
if ! .venv/bin/python -m local.sam_local_env .local/sam-local-env.json 127.0.0.1 2>/dev/null; then
  .venv/bin/python -m local.cloud up # it is not running yet
fi
# The local cloud and the bank listen on loopback only; the containers reach them over Docker's own bridge.
subnet=$(docker network inspect bridge --format '{{(index .IPAM.Config 0).Subnet}}')
bridge=$(.venv/bin/python -c "import ipaddress; print(ipaddress.ip_network('$subnet')[1])") # Docker's own choice for it
variables=.local/sam-local-env.json
.venv/bin/python -m local.sam_local_env "$variables" "$bridge"
.venv/bin/python -m local.relay "$bridge" "${PAYONCE_CLOUD_PORT:-4566}" "${PAYONCE_BANK_PORT:-4700}" &
relay=$!
trap 'kill $relay 2>/dev/null' EXIT
export PATH="$PWD/.venv-cloud/bin:$PATH" SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-central-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
sam build --build-dir .local/build --cached --cache-dir .local/cache >/dev/null 2>&1
failed=0
for event in events/${EVENTS:-*/*}.json; do
  folder=$(basename "$(dirname "$event")")
  logical=$(.venv/bin/python -c "print(''.join(part.capitalize() for part in '$folder'.split('_')) + 'Function')")
  out=$(sam local invoke "$logical" --template .local/build/template.yaml --event "$event" --env-vars "$variables" \
    --skip-pull-image --container-host-interface 127.0.0.1 2>.local/sam-local.log) || out=""
  if answer=$(printf '%s' "$out" | grep -oE "$(expected "$folder/$(basename "$event" .json)")" | head -n 1); then
    echo "ok     $logical $(basename "$event" .json): $answer"
  else
    echo "FAILED $logical $(basename "$event" .json): $out"
    tail -n 5 .local/sam-local.log
    failed=1
  fi
done
exit $failed
