#!/usr/bin/env bash
# A picture of what a command shows in a real terminal, taken without a display: Xvfb, an xterm, `import`.
#
#   scripts/demo/screenshot.sh scripts/demo/screen.png -- target/release/gannet run scripts/first.gnt
#   scripts/demo/screenshot.sh --sixel sixel.png -- target/release/gannet run scripts/first.gnt
#   scripts/demo/screenshot.sh --type '2 + 3' --type ':quit' repl.png -- target/release/gannet
#
# The picture is taken one second after the command has ended, or after --seconds when it is still running then.
# Debian packages: xvfb xterm imagemagick fonts-dejavu-core, and xdotool for --type.
#
# Options, before the file:
#   --sixel            the xterm is a vt340 (sixel graphics); else half blocks in 24-bit colour
#   --seconds N        give up waiting after N seconds and take the picture as it is then (600)
#   --cells WxH        the terminal's size in cells (100x40)
#   --font-size N      in points (10)
#   --delay N          seconds before the first line and between lines that are typed (2)
#   --type LINE        types a line, then Enter; may be repeated
set -euo pipefail

usage() {
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
}

sixel=0 seconds=600 cells=100x40 font_size=10 delay=2 lines=()
while [ $# -gt 0 ]; do
    case $1 in
        --sixel) sixel=1 ;;
        --seconds) seconds=${2:?} && shift ;;
        --cells) cells=${2:?} && shift ;;
        --font-size) font_size=${2:?} && shift ;;
        --delay) delay=${2:?} && shift ;;
        --type) lines+=("${2?}") && shift ;;
        -*) usage ;;
        *) break ;;
    esac
    shift
done
if [ $# -lt 3 ] || [ "$2" != -- ]; then usage; fi
out=$1
shift 2

needed=(Xvfb xterm import)
[ ${#lines[@]} -eq 0 ] || needed+=(xdotool)
for tool in "${needed[@]}"; do
    command -v "$tool" >/dev/null || { echo "screenshot: $tool is missing (packages: see the head of this file)" >&2; exit 1; }
done

work=$(mktemp -d)
server='' terminal=''
# Only what this script started, by process id.
cleanup() {
    [ -z "$terminal" ] || kill "$terminal" 2>/dev/null || true
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

# The server picks a free display itself and says which one.
Xvfb -displayfd 3 -screen 0 1920x1400x24 -nolisten tcp 3>"$work/display" 2>"$work/xvfb.log" &
server=$!
for _ in $(seq 100); do
    [ ! -s "$work/display" ] || break
    sleep 0.1
done
[ -s "$work/display" ] || { cat "$work/xvfb.log" >&2; exit 1; }
DISPLAY=:$(tr -d '\n' <"$work/display")
export DISPLAY

options=(-geometry "$cells+0+0" -fa 'DejaVu Sans Mono' -fs "$font_size" -bg '#101014' -fg '#d8d8d8' +sb -b 6 -u8)
if [ "$sixel" = 1 ]; then
    # 256 colour registers; pictures up to the window's size, moving with the text.
    options+=(-ti vt340 -xrm 'XTerm*numColorRegisters: 256' -xrm 'XTerm*maxGraphicSize: 1900x1300')
fi

# The inner shell says when the command has ended and keeps the window open for the picture.
cat >"$work/inner" <<'EOF'
"$@"
code=$?
printf '\033[?25l'
echo "$code" >"$SCREENSHOT_DONE"
exec sleep 1000
EOF
SCREENSHOT_DONE=$work/done COLORTERM=truecolor xterm "${options[@]}" -e bash "$work/inner" "$@" 2>"$work/xterm.log" &
terminal=$!

# Without a window manager nobody gives the window the keys.
[ ${#lines[@]} -eq 0 ] || { sleep 1 && xdotool search --class xterm windowfocus; }
for line in "${lines[@]+"${lines[@]}"}"; do
    sleep "$delay"
    xdotool type --delay 20 -- "$line"
    xdotool key Return
done
deadline=$((SECONDS + seconds))
while [ ! -s "$work/done" ] && [ $SECONDS -lt $deadline ]; do
    kill -0 "$terminal" 2>/dev/null || { echo 'screenshot: the terminal ended early' >&2; cat "$work/xterm.log" >&2; exit 1; }
    sleep 0.2
done
sleep 1
# The window lies at the top left of an otherwise black screen.
import -window root -trim +repage -depth 8 "$out"
if [ -s "$work/done" ]; then
    echo "screenshot: $out (exit code $(cat "$work/done"))" >&2
else
    echo "screenshot: $out (still running after $seconds s)" >&2
fi
