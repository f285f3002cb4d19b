#!/bin/sh
# Writes the pinned and hashed requirement files again (`make pins`).
#
# Each holds for every supported Python and platform (--universal) and names no
# index, so that it works with any mirror. `UPGRADE=--upgrade` takes new versions;
# without it only what setup.cfg or a .in file changed moves.
set -eu
cd "$(dirname "$0")/.."
UV=${UV:-.tools/bin/uv}

compile() {
    out=$1
    shift
    "$UV" pip compile --quiet --universal --generate-hashes --python-version 3.11 \
        --no-emit-index-url --no-emit-find-links --no-annotate \
        --custom-compile-command "make pins" ${UPGRADE:-} \
        --output-file "requirements/$out.txt" "$@"
}

compile tools requirements/tools.in
compile lint requirements/lint.in
compile web requirements/web.in
compile build requirements/build.in
# What `make run` installs: the product, the demo's compose binary, and the means
# to build wheel and web UI.
compile run setup.cfg requirements/build-run.in requirements/web.in \
    --extra server --extra postgres --extra demo
compile test setup.cfg requirements/build-run.in \
    --extra server --extra postgres --extra demo --extra test
compile types setup.cfg requirements/types.in \
    --extra server --extra postgres --extra test
# The lowest versions that setup.cfg allows.
compile lowest setup.cfg requirements/build-run.in \
    --extra server --extra postgres --extra demo --extra test --resolution lowest-direct
