"""A notebook of 200 cells and 100 pictures: the time until it is on the screen, frames a second while it scrolls, memory.

    python notebook.py --gannet BINARY [--gannet OTHER] [--protocol sixel|kitty|iterm|blocks] [--rounds 5] [--json]

Several binaries take turns, each in a process of its own. The terminal is a pseudo-terminal of 120 × 40 cells of 10 × 20
pixels that takes every byte at once. A frame is counted from the key to the end of its synchronised update.
"""
import argparse
import fcntl
import json
import os
import pty
import re
import select
import statistics
import struct
import subprocess
import tempfile
import termios
import time

ROWS, COLUMNS, CELL = 40, 120, (10, 20)
END = b"\x1b[?2026l"
PICTURE = {"sixel": b"\x1bP", "kitty": b"\x1b_G", "iterm": b"\x1b]1337", "blocks": b"\x1b[38;2;"}
# What is pressed, and how often: the wheel, a page, the wheel back up, a page back up.
WALKS = [("wheel down", b"\x1b[<65;9;9M", 150), ("page down", b"\x1b[6~", 60), ("wheel up", b"\x1b[<64;9;9M", 150),
         ("page up", b"\x1b[5~", 60)]


def notebook(folder, cells):
    """A file of so many cells, every second one with a picture, run once so that its outputs lie beside it."""
    text = "".join(f"#%% cell {k}\n" + (f"show sample(seed: {k}, psi: 0.7)\n" if k % 2 else f"n{k} = {k} + 1\nprint(n{k})\n")
                   for k in range(cells))
    path = os.path.join(folder, "many.gnt")
    with open(path, "w") as f:
        f.write(text)
    return path


class Terminal:
    """A command on a pseudo-terminal that answers as a terminal of this protocol does."""

    def __init__(self, command, protocol, folder):
        self.fd, slave = pty.openpty()
        size = struct.pack("HHHH", ROWS, COLUMNS, COLUMNS * CELL[0], ROWS * CELL[1])
        fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
        env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "GANNET_STATE": os.path.join(folder, "state")}
        for name in ("NO_COLOR", "TMUX", "TERM_PROGRAM"):
            env.pop(name, None)
        self.answers = [(rb"\x1b\[c", b"\x1b[?62;4;22c" if protocol == "sixel" else b"\x1b[?62;22c"),
                        (rb"\x1b\[16t", b"\x1b[6;%d;%dt" % (CELL[1], CELL[0])), (rb"\x1b\[6n", b"\x1b[1;1R"),
                        (rb"\x1b\[5n", b"\x1b[0n"), (rb"\x1b\[\?2026\$p", b"\x1b[?2026;2$y")]
        self.begun, self.bytes, self.frames, self.tail, self.picture = time.perf_counter(), 0, 0, b"", None
        self.mark, self.rest = PICTURE[protocol], b""
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True)
        os.close(slave)

    def read(self, wait):
        """Takes what comes within so many seconds; returns whether something came."""
        if not select.select([self.fd], [], [], wait)[0]:
            return False
        try:
            data = os.read(self.fd, 1 << 20)
        except OSError:
            raise SystemExit(f"gannet ended: {self.tail.decode(errors='replace')}")
        self.bytes += len(data)
        seen = self.rest + data
        for asks, answer in self.answers:
            for _ in re.finditer(asks, data):
                os.write(self.fd, answer)
        self.frames += seen.count(END)
        if self.frames and self.picture is None and self.mark in seen:
            self.picture = time.perf_counter() - self.begun
        # The beginning of a mark may be at the end of what was read.
        self.rest = seen[-(len(END) - 1):] if not seen.endswith(END) else b""
        self.tail = (self.tail + data)[-400:]
        return True

    def frame(self, seconds=20.0):
        """The seconds until the next frame is whole; `None` when none comes."""
        begun, before = time.perf_counter(), self.frames
        while self.frames == before:
            if time.perf_counter() - begun > seconds:
                return None
            self.read(0.5)
        return time.perf_counter() - begun

    def quiet(self):
        """Waits until nothing has come for a while."""
        while self.read(0.3):
            pass

    def peak(self):
        """Most memory so far, in MB."""
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read())[1]) / 1000

    def stop(self):
        self.process.terminate()
        try:
            while self.process.poll() is None:
                self.read(0.2)
        except SystemExit:
            pass  # its end is what is waited for
        self.process.wait()
        os.close(self.fd)


def once(gannet, a, path, folder):
    """One process: opened, scrolled through, left."""
    t = Terminal([gannet, "--graphics", a.protocol, "--threads", str(a.threads), "--model", a.model, "open", path], a.protocol,
                 folder)
    if t.frame() is None:
        raise SystemExit("no frame came")
    found = {"open_ms": 1e3 * (time.perf_counter() - t.begun)}
    t.quiet()
    for name, keys, times in WALKS:
        before, took = t.bytes, []
        for _ in range(times):
            os.write(t.fd, keys)
            one = t.frame(0.6)
            if one is None:
                break  # the end of the notebook
            took.append(one)
        if len(took) < 5:
            raise SystemExit(f"{name}: {len(took)} frames")
        took.sort()
        found[name] = {"frames_a_second": len(took) / sum(took), "median_ms": 1e3 * statistics.median(took),
                       "p95_ms": 1e3 * took[int(0.95 * (len(took) - 1))], "kB_a_frame": (t.bytes - before) / len(took) / 1e3}
    found["peak_MB"] = t.peak()
    t.stop()
    return found


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--gannet", required=True, action="append", help="a release build; may be repeated")
    a.add_argument("--protocol", default="sixel", choices=sorted(PICTURE))
    a.add_argument("--cells", type=int, default=200)
    a.add_argument("--model", default="faces")
    a.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--json", action="store_true")
    a = a.parse_args()
    runs = {g: [] for g in a.gannet}
    with tempfile.TemporaryDirectory() as folder:
        path = notebook(folder, a.cells)
        env = {**os.environ, "GANNET_STATE": os.path.join(folder, "state")}
        subprocess.run([a.gannet[0], "--model", a.model, "export", path, "--run", "-o", os.path.join(folder, "all.html")], check=True,
                       env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(a.rounds):
            for gannet in a.gannet:
                runs[gannet].append(once(gannet, a, path, folder))
    if a.json:
        print(json.dumps({"load": os.getloadavg(), "runs": runs}))
        return
    print(f"{a.cells} cells, {a.protocol}, {a.rounds} rounds, load {os.getloadavg()[0]:.1f}")
    for gannet, all in runs.items():
        median = lambda of: statistics.median(map(of, all))
        print(f"{gannet}: opens in {median(lambda r: r['open_ms']):.0f} ms (least {min(r['open_ms'] for r in all):.0f}), "
              f"peak {median(lambda r: r['peak_MB']):.0f} MB")
        for name, *_ in WALKS:
            of = lambda key: median(lambda r: r[name][key])
            print(f"  {name:<11}{of('frames_a_second'):6.1f} frames a second, median {of('median_ms'):.1f} ms, "
                  f"95 %: {of('p95_ms'):.1f} ms, {of('kB_a_frame'):.0f} kB a frame")


if __name__ == "__main__":
    main()
