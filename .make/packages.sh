#!/bin/sh
# Build what is installed elsewhere (`make packages`).
#
#   packages.sh [DIST [KIND...]]   into DIST (dist/), of these kinds, else all that can be built here:
#
#   wheels       cardd, its client, the simulators
#   typescript   docs/sdk/typescript as npm packs it, with cardd.js; its types are made of the description of the API
#   web          cardd.js for pages, as npm packs it
#   csharp       docs/sdk/csharp as sources with their types, made of the same description, in DIST/csharp
set -eu
cd "$(dirname "$0")/.."
mkdir -p "${1:-dist}"
dist=$(cd "${1:-dist}" && pwd)
[ $# = 0 ] || shift
root=$PWD
python=${BUILDER:-$root/.venv/bin/python}
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
    cp cardd/web/cardd.js cardd/web/cardd.d.ts "$stage/typescript/src"
    ln -s "$modules" "$stage/typescript/node_modules"
    (
        cd "$stage/typescript"
        "$python" "$root/.make/openapi.py" > openapi.json
        node_modules/.bin/openapi-typescript openapi.json --output src/api.ts >/dev/null
        node_modules/.bin/tsc -p tsconfig.page.json
        node_modules/.bin/tsc
        cp src/cardd.js src/cardd.d.ts dist
        npm pack --silent --ignore-scripts --pack-destination "$dist"
    )
}

web() {
    command -v npm >/dev/null || { echo "No npm here: the module for pages is left out." >&2; return; }
    mkdir "$stage/web"
    cp LICENSE cardd/web/package.json cardd/web/cardd.js cardd/web/cardd.d.ts "$stage/web"
    (cd "$stage/web" && npm pack --silent --pack-destination "$dist")
}

csharp() {
    mkdir -p "$dist/csharp"
    cp LICENSE docs/sdk/csharp/README.md docs/sdk/csharp/*.csproj docs/sdk/csharp/*.cs "$dist/csharp"
    "$python" .make/csharp.py > "$dist/csharp/Api.cs"
    echo "csharp/"
}

for kind in "${@:-wheels typescript web csharp}"; do
    for one in $kind; do "$one"; done
done
