#!/bin/sh
# The operators' page in a real browser (Debian's Chromium, headless), against a stack of its own that migrates: what an
# operator reads and does there, what is asked of the driver meanwhile, its size, its speed, and its accessibility.
#
# usage: tests/browser.sh [--repositories N] [--screenshots]
#   N: so many repositories are migrated (300); 2000 take some minutes more
#   --screenshots  writes the pictures that functions/README.md shows
# Installs Chromium by apt-get, and Playwright and axe-core into target/tools. Fails where it cannot. BIN names another
# folder with the programs than target/debug. Pictures of what failed are in target/browser.
set -eu

cd "$(dirname -- "$0")/.."
setup_programs="chromium=chromium psql=postgresql-client"
. tests/setup.sh

playwright_version=1.65.2
axe_version=0.1.8
browser_venv=$PWD/target/tools/browser
"$browser_venv/bin/python" -c "
from importlib.metadata import version
assert (version('playwright'), version('axe-playwright-python')) == ('$playwright_version', '$axe_version')" 2>/dev/null || {
    echo "Installing Playwright $playwright_version and axe-core into target/tools" >&2
    rm -rf "$browser_venv"
    python3 -m venv "$browser_venv" >&2
    "$browser_venv/bin/pip" install --quiet --disable-pip-version-check \
        "playwright==$playwright_version" "axe-playwright-python==$axe_version" >&2
}

if [ -z "${BIN:-}" ]; then
    echo "Building (a minute or two the first time)" >&2
    cargo build --locked --quiet --workspace --bins --target-dir target
    BIN=$PWD/target/debug
fi
export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost PYTHONDONTWRITEBYTECODE=1
exec "$browser_venv/bin/python" tests/browser/browse.py --bin "$BIN" "$@"
