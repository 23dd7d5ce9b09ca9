#!/bin/sh
# `registry-migration run` between two registries, under everything that ends or disturbs it, from a seed that is printed.
# What was sent, and how often, is counted in the journals of local registries; those that users push to are real ones.
#
# usage: tests/copying.sh kills [--only N] [--seed N]      a run is killed at each of 20 moments, which a request names,
#                                                          some with their PostgreSQL; the next one goes on
#        tests/copying.sh giant [--bytes N] [--seed N]     a layer of 10 GB, copied by five processes; nothing is stored
#        tests/copying.sh chaos [--repositories N] [--kills N] [--seed N]
#                                                          1000 repositories, while runs are killed, answers lost,
#                                                          requests refused and connections cut
#        tests/copying.sh pushes [--new N] [--moved N] [--deleted N] [--seed N]
#                                                          users push, move and delete tags meanwhile by skopeo: Debian's
#                                                          docker-registry to another, and to distribution 3 if Go is there
# Each is done to distribution 2 and to distribution 3; --to names one of them.
set -eu

cd "$(dirname -- "$0")/.."
setup_programs=skopeo=skopeo
. tests/setup.sh
if [ "${1-}" = pushes ]; then
    tests/registry/unpack.sh
    tests/registry/distribution-3.sh >/dev/null || [ $? = 3 ]
fi
echo "Building" >&2
cargo build --locked --quiet --workspace --bins --target-dir target
FUNCTIONS_DIR=$PWD/target/debug
export FUNCTIONS_DIR
exec target/debug/copying "$@"
