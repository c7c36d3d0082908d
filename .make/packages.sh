#!/bin/sh
# Build what is installed elsewhere (`make packages`).
#
#   packages.sh [DIST [KIND...]]   into DIST (dist/), of these kinds, else all that can be built here:
#
#   wheels       cardd, its client, the simulators
#   typescript   docs/sdk/typescript as npm packs it; its types are made of the description of the API
set -eu
cd "$(dirname "$0")/.."
mkdir -p "${1:-dist}"
dist=$(cd "${1:-dist}" && pwd)
[ $# = 0 ] || shift
root=$PWD
python=$root/.venv/bin/python
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

wheels() {
    for project in . docs/sdk/python drivers/cardd_simulators; do
        (cd "$project" && "$python" -c \
            'import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))' "$dist")
    done
}

# the package in a folder of its own, so that nothing generated stands in the repository
typescript() {
    modules=$root/docs/sdk/typescript/node_modules
    [ -d "$modules/typescript" ] || { echo "No npm here: the TypeScript library is left out." >&2; return; }
    mkdir "$stage/typescript"
    cp -R LICENSE docs/sdk/typescript/package.json docs/sdk/typescript/tsconfig*.json docs/sdk/typescript/README.md \
        docs/sdk/typescript/src "$stage/typescript"
    ln -s "$modules" "$stage/typescript/node_modules"
    (
        cd "$stage/typescript"
        "$python" "$root/.make/openapi.py" > openapi.json
        node_modules/.bin/openapi-typescript openapi.json --output src/api.ts >/dev/null
        node_modules/.bin/tsc -p tsconfig.page.json
        node_modules/.bin/tsc
        npm pack --silent --ignore-scripts --pack-destination "$dist"
    )
}

for kind in "${@:-wheels typescript}"; do
    for one in $kind; do "$one"; done
done
