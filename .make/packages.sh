#!/bin/sh
# Build what is installed elsewhere into dist/ (`make packages`): the wheels of cardd, of its client and of the simulators.
set -eu
cd "$(dirname "$0")/.."

rm -rf dist
mkdir dist
dist=$PWD/dist

for project in . docs/sdk/python drivers/cardd_simulators; do
    wheel=$(cd "$project" && "$OLDPWD/.venv/bin/python" -c \
        'import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))' "$dist")
    echo "dist/$wheel"
done
