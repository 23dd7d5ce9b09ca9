#!/bin/sh
# What outages cost: a fleet of 300 repositories, with schedules that tick once a minute as deployed, meets a registry that
# is down, answers 502 or with a foreign page, fails every import, is restarted, and is out for an hour; and loses starts,
# promotions and notifications while its reader is out. What was measured is printed beside its goal; it fails where one is
# missed. Takes about half an hour.
#
# usage: tests/outage.sh [--only SCENARIO]... [--repositories N] [--seconds N] [--rounds N]
#   SCENARIO: down, bad-gateway, foreign-page, failing, restart, lost, lost-copying, hour-down, hour-full
set -eu

cd "$(dirname -- "$0")/.."
. tests/setup.sh
echo "Building" >&2
cargo build --locked --quiet --workspace --bins --target-dir target
FUNCTIONS_DIR=$PWD/target/debug
export FUNCTIONS_DIR
exec target/debug/outage "$@"
