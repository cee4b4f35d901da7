#!/bin/sh
# Makes .venv complete: Python 3.11, every package by its hash, a Java 17 where the machine has none, Spark's jars.
# `make setup` runs it; $PYTHON names another interpreter. What the steps print goes to .venv-setup.log.
set -eu
cd "$(dirname "$0")/.."
log=.venv-setup.log

stop() {
    echo "setup: $1" >&2
    exit 1
}

explain() {
    if grep -qiE 'no space left|disk quota exceeded' "$log" || [ "$(df -Pk . | awk 'NR == 2 {print $4}')" -lt 10240 ]; then
        stop "the disk is full: free 5 GB here and under ${HOME:-the home folder} (packages, Spark's jars, caches), then run \`make setup\` again; details in $log."
    elif grep -q 'unresolved dependency: ' "$log"; then
        stop "Spark's jars cannot be fetched from Maven Central: check network and proxy, and spark.jars.packages in conf/base/spark.properties, then run \`make setup\` again; details in $log."
    elif grep -qiE 'name resolution|name or service not known|dns error|unreachable|connection (refused|reset|broken|timed out)|timed out|max retries|proxyerror|error sending request|download failed' "$log"; then
        stop "the package index cannot be reached: check network, proxy and index settings, then run \`make setup\` again, it goes on where it stopped; details in $log."
    elif grep -qi 'ensurepip' "$log"; then
        stop "this Python cannot make environments: install its venv module (Debian: apt install python3-venv), then run \`make setup\` again; details in $log."
    fi
    stop "\"$1\" failed for a reason that the last lines of $log tell; mend it and run \`make setup\` again."
}

step() {
    what=$1
    began=$(date +%s)
    shift
    printf '  %-52s' "$what"
    { printf '\n== %s\n' "$what" >>"$log" && "$@" >>"$log" 2>&1; } 2>/dev/null || { echo && explain "$what"; }
    printf '%4d s\n' $(($(date +%s) - began))
}

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        found=$(version_of "$PYTHON")
        [ "$found" = 3.11 ] || stop "PYTHON=$PYTHON answers ${found:-nothing} where 3.11 is needed: name a Python 3.11, or unset PYTHON to let \`make setup\` look for one."
        python=$PYTHON
        return
    fi
    for python in python3.11 python3 /usr/bin/python3.11 /usr/local/bin/python3.11 /opt/homebrew/bin/python3.11 \
        "${HOME:-}"/.pyenv/versions/3.11*/bin/python "${HOME:-}"/.local/share/uv/python/cpython-3.11*/bin/python3.11; do
        if [ "$(version_of "$python")" = 3.11 ]; then return; fi
    done
    found=$(version_of python3)
    stop "no Python 3.11 here (python3 is ${found:-missing}): install it (Debian 12: apt install python3 python3-venv) or name one by \`make setup PYTHON=/path/to/python3.11\`."
}

has_java() {
    PYTHONPATH=lib .venv/bin/python -S -c 'import sys; from lakeloop.core.java import java_home; sys.exit(java_home() is None)'
}

true 2>/dev/null >"$log" || stop "cannot write here: the folder $PWD must be writable and its disk not full."

if [ "$(version_of .venv/bin/python)" != 3.11 ] || ! .venv/bin/python -m pip --version >>"$log" 2>&1; then
    find_python
    step "environment .venv with Python 3.11" "$python" -m venv --clear .venv
fi
step "uv" .venv/bin/python -m pip install --quiet --retries 2 --timeout 30 --require-hashes -r requirements/uv.lock

set -- requirements/lakeloop.lock requirements/uv.lock
what="packages"
if ! has_java; then
    set -- "$@" requirements/java.lock
    what="packages, Java 17 among them"
fi
step "$what" .venv/bin/uv pip sync --python .venv/bin/python --require-hashes "$@"
step "lakeloop itself" .venv/bin/uv pip install --python .venv/bin/python --no-deps --no-build-isolation --editable .
# A session that starts has resolved its jars; Ivy keeps them, so that later runs need no network.
step "Spark's jars, by a first session" .venv/bin/python -c '
from pathlib import Path
from lakeloop.core.config import Project
from lakeloop.core.session import build_session
from lakeloop.verbs.lakes import session_properties
build_session(session_properties(Project(Path("conf")))).stop()
'
touch .venv/.ready
