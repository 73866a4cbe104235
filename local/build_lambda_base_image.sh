#!/usr/bin/env bash
# Builds a stand-in for the Lambda Python 3.13 base image: build_lambda_base_image.sh PREFIX_OF_CPYTHON_3_13
# Of this machine's Python, shell and libraries, so that it needs a running Docker engine and neither root nor a download
# but pip's. The prefix must be relocatable (pyenv's is).
set -euo pipefail
prefix=${1:?prefix of a CPython 3.13 installation}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{etc,opt,tmp,usr/local/bin,var/lang,var/task,var/runtime}
chmod 1777 "$root/tmp"
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
cp -a "$prefix/." "$root/var/lang/"
rm -rf "$root"/var/lang/lib/python3.13/{test,idlelib,tkinter,lib-dynload/_tkinter*}
# SAM's image adds its emulator and the layers to it with these, and every wheel may need the last ones.
tools=(/bin/{sh,cp,mv,rm,chmod})
common=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p | awk '/lib(c|m|dl|rt|util|pthread|stdc\+\+|gcc_s)\.so\.[0-9]+ .*x86-64/ {print $NF}')
# shellcheck disable=SC2086 # one path a word
needed=$({
  ldd "${tools[@]}" "$prefix/bin/python3.13" "$prefix"/lib/python3.13/lib-dynload/*.so $common | grep -oE '\s/[^ ]+ \('
  echo "$common"
} | tr -d ' (\t' | grep -v "^$prefix/" | sort -u)
# shellcheck disable=SC2086
cp -L --parents "${tools[@]}" $needed "$root"
"$prefix/bin/python3.13" -m pip install -qq --root-user-action=ignore --no-warn-script-location awslambdaric boto3 --target "$root/var/runtime"
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
tar -C "$root" --owner=0 --group=0 -c . | docker import -c 'ENTRYPOINT ["/lambda-entrypoint.sh"]' -c 'WORKDIR /var/task' \
  -c 'ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime' - "$image:3.13-x86_64" >/dev/null
docker tag "$image:3.13-x86_64" "$image:3.13"
echo "built $image:3.13-x86_64"
