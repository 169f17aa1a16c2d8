#!/usr/bin/env bash
# A tour of gannet as an animated GIF, recorded from kitty on a display that no one sees: the prompt, an inversion, a row
# of edits, and explore.
#
#   scripts/demo/tour.sh scripts/demo/tour.gif target/release/gannet
#
# Debian packages: xvfb kitty libgl1-mesa-dri xdotool ffmpeg fonts-dejavu-core.
set -euo pipefail

[ $# -eq 2 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2; }
out=$1 gannet=$(realpath "$2")
for tool in Xvfb kitty xdotool ffmpeg; do
    command -v "$tool" >/dev/null || { echo "tour: $tool is missing (packages: see the head of this file)" >&2; exit 1; }
done

work=$(mktemp -d)
server='' terminal='' camera=''
# Only what this script started, by process id.
cleanup() {
    for id in $camera $terminal $server; do kill "$id" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap cleanup EXIT

Xvfb -displayfd 3 -screen 0 1000x640x24 -nolisten tcp 3>"$work/display" 2>"$work/xvfb.log" &
server=$!
for _ in $(seq 100); do
    [ ! -s "$work/display" ] || break
    sleep 0.1
done
DISPLAY=:$(tr -d '\n' <"$work/display")
export DISPLAY LIBGL_ALWAYS_SOFTWARE=1

cd "$work"
GANNET_STATE=$work/state KITTY_CONFIG_DIRECTORY=$work kitty --override font_family='DejaVu Sans Mono' --override font_size=11 \
    --override remember_window_size=no --override initial_window_width=1000 --override initial_window_height=640 \
    --override background='#101014' --override cursor_blink_interval=0 --override update_check_interval=0 \
    "$gannet" 2>"$work/kitty.log" &
terminal=$!
sleep 3
xdotool search --onlyvisible --class kitty windowfocus

ffmpeg -loglevel error -f x11grab -framerate 8 -video_size 1000x640 -i "$DISPLAY" -c:v ffv1 "$work/tour.mkv" &
camera=$!
# A line as a person types it, Enter, and the time to look at its result.
line() {
    xdotool type --delay 25 -- "$1"
    sleep 0.4
    xdotool key Return
    sleep "$2"
}
keys() {
    for _ in $(seq "$1"); do
        xdotool key "$2"
        sleep 0.2
    done
}
line 'x = image("models/faces/examples/900000.jpg")' 2
line 'r = invert(x, steps: 150)' 12
line 'age = direction("age") | direction("glasses")' 2
line 'strip(r, along: age, n: 5)' 4
line 'explore(r, along: [smile, age, yaw])' 3
keys 6 Right
keys 1 Down
keys 7 Left
keys 1 Down
keys 6 Right
sleep 1
xdotool key Return
sleep 3
kill -INT $camera && wait $camera 2>/dev/null || true
camera=''
ffmpeg -loglevel error -y -i "$work/tour.mkv" -filter_complex \
    'mpdecimate,fps=8,scale=800:-1:flags=lanczos,split[a][b];[a]palettegen=max_colors=128:stats_mode=diff[p];[b][p]paletteuse=dither=bayer:bayer_scale=4:diff_mode=rectangle' \
    "$OLDPWD/$out"
echo "tour: $out" >&2
