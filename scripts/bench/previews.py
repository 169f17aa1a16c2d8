"""What watching an inversion costs it: the same steps with a live view on a terminal and without, in turns.

    python previews.py --gannet BINARY [--threads 2] [--steps 300] [--rounds 8] [--json]
"""
import argparse
import fcntl
import json
import os
import pty
import statistics
import struct
import subprocess
import termios
import time

import common

SIZE = (40, 120)  # rows, columns
MARKS = [b"inversion begins", b"inversion ends"]


def program(a):
    """An inversion between two marks, after a short one that warms everything up."""
    marks = [f'print("{m.decode()}")' for m in MARKS]
    invert = f"invert(x, method: {a.method}, steps: {{}})"
    return "; ".join([f"x = render(sample(seed: {a.seed}))", f"w = {invert.format(3)}", marks[0],
                      f"r = {invert.format(a.steps)}", marks[1]])


def drawing(pid):
    """Seconds of a core that the first thread of a process took: the one that draws."""
    with open(f"/proc/{pid}/task/{pid}/schedstat") as f:
        return int(f.read().split()[0]) / 1e9


def run(a, watched):
    """One process on a terminal of its own, which takes every byte at once."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
    command = [a.gannet, "eval", program(a), "--model", a.model, "--threads", str(a.threads)]
    env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    env.pop("NO_COLOR", None)
    child = subprocess.Popen(command + ([] if watched else ["--quiet"]), env=env, start_new_session=True,
                             stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    written, tail, at = 0, b"", []
    try:
        while chunk := os.read(master, 1 << 16):
            written, tail = written + len(chunk), tail[-100:] + chunk
            if len(at) < 2 and MARKS[len(at)] + b"\r\n" in tail:
                at.append((time.perf_counter(), drawing(child.pid), written, time.process_time()))
    except OSError:
        pass  # how a terminal ends whose last process went
    os.close(master)
    if child.wait() != 0 or len(at) != 2:
        raise SystemExit(f"gannet ended with {child.returncode}: {tail.decode(errors='replace')}")
    seconds, drew, written, took = (after - before for before, after in zip(*at))
    return {"watched": watched, "seconds": seconds, "drawing": drew if watched else 0.0, "bytes": written,
            "terminal": took}


def measure(a):
    """Pairs of runs, every second one the other way round."""
    pairs = []
    for k in range(a.rounds):
        both = {watched: run(a, watched) for watched in ([False, True] if k % 2 == 0 else [True, False])}
        pairs.append((both[False], both[True]))
        common.say(f"round {k + 1}: {both[False]['seconds']:.3f} s unwatched, {both[True]['seconds']:.3f} s watched")
    return pairs


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--gannet", required=True, help="a release build")
    a.add_argument("--model", default="faces")
    a.add_argument("--method", default="hybrid")
    a.add_argument("--steps", type=int, default=300)
    a.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    a.add_argument("--rounds", type=int, default=8)
    a.add_argument("--seed", type=int, default=3)
    a.add_argument("--json", action="store_true", help="every run, and the summary")
    a = a.parse_args()
    pairs = measure(a)
    off, on = ([p[i]["seconds"] for p in pairs] for i in (0, 1))
    summary = {
        "unwatched_ms": statistics.median(off) / a.steps * 1e3, "watched_ms": statistics.median(on) / a.steps * 1e3,
        "ratio": statistics.median(on) / statistics.median(off),
        "ratio_of_pairs": statistics.median(y / x for x, y in zip(off, on)),
        "drawing": statistics.median(p[1]["drawing"] / p[1]["seconds"] for p in pairs),
        "terminal": statistics.median(p[1]["terminal"] / p[1]["seconds"] for p in pairs),
        "kb_a_second": statistics.median(p[1]["bytes"] / p[1]["seconds"] for p in pairs) / 1e3,
    }
    if a.json:
        print(json.dumps({"runs": [r for p in pairs for r in p], **summary}))
        return
    print(f"a step of {a.method}: {summary['unwatched_ms']:.2f} ms unwatched, {summary['watched_ms']:.2f} ms watched; "
          f"ratio of medians {summary['ratio']:.3f}, median of the pairs' ratios {summary['ratio_of_pairs']:.3f}")
    print(f"of one core the view takes {summary['drawing']:.2%}, this terminal {summary['terminal']:.2%} "
          f"for {summary['kb_a_second']:.0f} kB/s")


if __name__ == "__main__":
    main()
