#!/bin/sh
# The operators' page in a real browser (Chromium, headless), against a stack of its own that migrates: what an operator
# reads and does there, what is asked of the driver meanwhile, its size, its speed, and its accessibility.
#
# usage: tests/browser.sh [--repositories N] [--screenshots]
#   N: so many repositories are migrated (300); 2000 take some minutes more
#   --screenshots  writes the pictures that functions/README.md shows
# Chromium is the one on PATH, or Debian's, installed by apt-get. Elsewhere, as on Ubuntu, whose package is a snap and starts
# in no container, it is the build for serverless platforms that npm has, put into target/tools with the libraries it needs;
# CHROMIUM=npm chooses that one anywhere. Playwright and axe-core come into target/tools too. Fails where it cannot install
# them. BIN names another folder with the programs than target/debug. Pictures of what failed are in target/browser.
set -eu

cd "$(dirname -- "$0")/.."
chromium=${CHROMIUM:-$(command -v chromium || true)}
case $chromium in
/snap/*) chromium= ;;
esac
if [ -z "$chromium" ]; then
    # shellcheck disable=SC1091 # the machine's
    if [ "$(. /etc/os-release && echo "$ID")" = debian ]; then chromium=chromium; else chromium=npm; fi
fi
setup_programs="psql=postgresql-client"
case $chromium in
npm) setup_programs="$setup_programs npm=npm" ;;
chromium) setup_programs="$setup_programs chromium=chromium" ;;
esac
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

if [ "$chromium" = npm ]; then
    chromium_version=153.0.0
    chromium_folder=$PWD/target/tools/chromium-$chromium_version
    chromium=$chromium_folder/start
    if [ ! -x "$chromium" ]; then
        echo "Installing @sparticuz/chromium $chromium_version into target/tools" >&2
        rm -rf "$chromium_folder"
        mkdir -p "$chromium_folder"
        (cd "$chromium_folder" && npm pack --silent "@sparticuz/chromium@$chromium_version" >/dev/null && tar -xzf ./*.tgz && rm ./*.tgz)
        # Its parts are compressed by brotli, which Playwright's own node reads.
        for part in chromium al2023.tar fonts.tar swiftshader.tar; do
            "$browser_venv"/lib/python*/site-packages/playwright/driver/node -e '
                const { readFileSync, writeFileSync } = require("fs");
                const [from, to] = process.argv.slice(1);
                writeFileSync(to, require("zlib").brotliDecompressSync(readFileSync(from)), { mode: 0o755 });
            ' "$chromium_folder/package/bin/$part.br" "$chromium_folder/$part"
            case $part in
            *.tar) tar -xf "$chromium_folder/$part" -C "$chromium_folder" && rm "$chromium_folder/$part" ;;
            esac
        done
        rm -rf "$chromium_folder/package"
        # Its own names folders of Lambda: without a font every text is of no size.
        printf '<fontconfig><dir>%s/fonts</dir><cachedir>%s/cache</cachedir></fontconfig>\n' \
            "$chromium_folder" "$chromium_folder" >"$chromium_folder/fonts.conf"
        cat >"$chromium.new" <<END
#!/bin/sh
LD_LIBRARY_PATH='$chromium_folder/lib' FONTCONFIG_PATH='$chromium_folder' exec '$chromium_folder/chromium' "\$@"
END
        chmod +x "$chromium.new"
        mv "$chromium.new" "$chromium"
    fi
fi
"$chromium" --version >/dev/null 2>&1 || setup_fail "Chromium does not start: $chromium"

if [ -z "${BIN:-}" ]; then
    echo "Building (a minute or two the first time)" >&2
    cargo build --locked --quiet --workspace --bins --target-dir target
    BIN=$PWD/target/debug
fi
export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost PYTHONDONTWRITEBYTECODE=1
exec "$browser_venv/bin/python" tests/browser/browse.py --bin "$BIN" --chromium "$(command -v "$chromium")" "$@"
