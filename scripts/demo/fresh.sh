#!/usr/bin/env bash
# The README's two commands as a stranger runs them: a fresh clone of the last commit in an empty folder, an empty home,
# none of this shell's variables, nothing built before. Says how long each took and what the first one left behind.
#
#   scripts/demo/fresh.sh [FOLDER]        FOLDER is made, and kept for looking at; a temporary one by default
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=${1:-$(mktemp -d)}
mkdir -p "$folder/home"
folder=$(cd "$folder" && pwd)
if [ -n "$(ls -A "$folder/home")" ] || [ -e "$folder/gannet" ]; then
    echo "fresh: $folder is not empty" >&2
    exit 2
fi

git clone --quiet --no-local "$repository" "$folder/gannet"
echo "fresh: commit $(git -C "$folder/gannet" rev-parse --short HEAD), $(rustc --version), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg)"

# Crates come through cargo as it is set up here: its configuration is the machine's, its cache starts empty.
cargo_home=$folder/home/.cargo
mkdir -p "$cargo_home"
for config in "${CARGO_HOME:-$HOME/.cargo}"/config "${CARGO_HOME:-$HOME/.cargo}"/config.toml; do
    [ ! -f "$config" ] || cp "$config" "$cargo_home/"
done
clean() {
    env -i PATH="$PATH" HOME="$folder/home" CARGO_HOME="$cargo_home" RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}" \
        TERM="${TERM:-dumb}" LANG=C.UTF-8 bash -c "cd '$folder/gannet' && $1"
}

run() {
    local start=$SECONDS code=0
    echo "fresh: \$ $1"
    clean "$1" || code=$?
    echo "fresh: exit $code after $((SECONDS - start)) s"
    return "$code"
}

status=0
run 'cargo run --release -- run scripts/first.gnt' || status=1
echo 'fresh: new files:'
git -C "$folder/gannet" status --short --untracked-files=all | sed 's/^/    /'
run 'cargo test' || status=1
echo "fresh: $folder, $(du -sh "$folder" | cut -f1)"
exit "$status"
