#!/usr/bin/env bash
# Builds a stand-in for the Lambda Python 3.13 base image: build_lambda_base_image.sh PREFIX_OF_CPYTHON_3_13
# Needs root, Debian's debootstrap and a running Docker engine. The prefix must be relocatable (pyenv's is).
set -euo pipefail
prefix=${1:?prefix of a CPython 3.13 installation}
command -v debootstrap >/dev/null || { echo "install debootstrap first (apt-get install debootstrap)" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
debootstrap --variant=minbase --include=ca-certificates,libssl3,libffi8,libsqlite3-0,zlib1g,libbz2-1.0,liblzma5,libreadline8 \
  bookworm "$root" >"$work/log" 2>&1 || { tail "$work/log" >&2; exit 1; }
mkdir -p "$root/var/lang" "$root/var/task" "$root/var/runtime" "$root/opt"
cp -a "$prefix/." "$root/var/lang/"
rm -rf "$root/var/lang/lib/python3.13/test"
"$prefix/bin/python3.13" -m pip install -qq --root-user-action=ignore awslambdaric boto3 --target "$root/var/runtime"
cat >"$root/lambda-entrypoint.sh" <<'S'
#!/bin/sh
if [ -z "$AWS_LAMBDA_RUNTIME_API" ]; then exec /usr/local/bin/aws-lambda-rie /var/runtime/bootstrap "$@"; fi
exec /var/runtime/bootstrap "$@"
S
cat >"$root/var/runtime/bootstrap" <<'S'
#!/bin/sh
cd /var/task
export LD_LIBRARY_PATH=/var/lang/lib:/opt/lib PYTHONPATH=/var/task:/opt/python:/var/runtime
exec /var/lang/bin/python3.13 -m awslambdaric "${_HANDLER:-$1}"
S
chmod +x "$root/lambda-entrypoint.sh" "$root/var/runtime/bootstrap"
image=public.ecr.aws/lambda/python
tar -C "$root" -c . | docker import -c 'ENTRYPOINT ["/lambda-entrypoint.sh"]' -c 'WORKDIR /var/task' \
  -c 'ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime' - "$image:3.13-x86_64" >/dev/null
docker tag "$image:3.13-x86_64" "$image:3.13"
echo "built $image:3.13-x86_64"
