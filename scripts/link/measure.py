"""gannet over a slow SSH line: prompt, echo, previews, backlog, and lines that are cut.

    python measure.py --gannet BINARY [--line 60:10] [--line 200:1] [--cuts 50] [--json]

Starts its own sshd on 127.0.0.1 with keys of its own in a temporary folder, and reaches it through the line of shape.py:
round trip in milliseconds, rate in Mbit/s. The terminal on this side is `pyte`, 100 × 30 cells. Needs the packages
`pyte`, and sshd and ssh of OpenSSH.
"""
import argparse
import fcntl
import getpass
import hashlib
import json
import os
import pty
import random
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

import pyte
import shape

ROWS, COLUMNS = 30, 100
# Requests that pyte does not know and would print: kitty graphics, mode requests, sizes of cells.
UNKNOWN = re.compile(rb"\x1b_.*?\x1b\\|\x1bP.*?\x1b\\|\x1b\[\?\d+\$p|\x1b\[[<>=?][\d;]*[uqm]|\x1b\]\d+;.*?(?:\x07|\x1b\\)", re.S)
PARTIAL = re.compile(rb"\x1b(?:[_P\]][^\x1b\x07]*\x1b?|\[?[<>=?]?[\d;]*\$?)?$")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """sshd on a port of 127.0.0.1, as this user."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{key}"], check=True)
        with open(f"{folder}/sshd_config", "w") as f:
            f.write(f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\n"
                    f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n")
        os.makedirs("/run/sshd", exist_ok=True)
        self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", f"{folder}/sshd_config"],
                                        stderr=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit("sshd did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Terminal:
    """A command over ssh on a pseudo-terminal of this side."""

    def __init__(self, server, port, command, master=None):
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.screen.write_process_input = lambda text: self.send(text.encode())
        self.changed = threading.Condition()
        self.asked, self.ended, self.bytes, self.rest = [], None, 0, b""
        options = ["-F", "none", "-i", f"{server.folder}/user", "-p", str(port), "-o", "StrictHostKeyChecking=no",
                   "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        if master:
            options += ["-o", f"ControlPath={master}", "-o", "ControlMaster=auto"]
        self.fd, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.begun = time.monotonic()
        environment = {**os.environ, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(["ssh", "-tt", *options, f"{getpass.getuser()}@127.0.0.1", command],
                                        stdin=slave, stdout=slave, stderr=slave, env=environment,
                                        start_new_session=True)
        os.close(slave)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            while data := os.read(self.fd, 1 << 16):
                with self.changed:
                    self._take(data)
                    self.changed.notify_all()
        except OSError:
            pass
        with self.changed:
            self.ended = time.monotonic()
            self.changed.notify_all()

    def _take(self, data):
        self.bytes += len(data)
        data, self.rest = self.rest + data, b""
        # The fence of a preview: answered at once, as terminals do.
        for _ in range(data.count(b"\x1b[5n")):
            self.asked.append(time.monotonic())
        data = UNKNOWN.sub(b"", data)
        if cut := PARTIAL.search(data):
            data, self.rest = data[:cut.start()], data[cut.start():]
        self.stream.feed(data)

    def send(self, keys):
        try:
            os.write(self.fd, keys)
        except OSError:
            pass  # the line is cut

    def text(self):
        return "\n".join(self.screen.display)

    def wait(self, text, seconds=60):
        """The seconds until the screen shows it; fails when it does not come."""
        begun, end = time.monotonic(), time.monotonic() + seconds
        with self.changed:
            while not (re.search(text, self.text()) if isinstance(text, str) else text(self)):
                if self.ended or time.monotonic() > end:
                    raise SystemExit(f"{text!r} did not come:\n{self.text()}")
                self.changed.wait(max(0.0, min(1.0, end - time.monotonic())))
        return time.monotonic() - begun

    def stop(self):
        self.process.send_signal(signal.SIGHUP)
        self.process.wait()
        os.close(self.fd)


def quantiles(seconds):
    ms = sorted(1000 * s for s in seconds)
    return {"median_ms": round(statistics.median(ms), 1), "p95_ms": round(ms[int(0.95 * (len(ms) - 1))], 1),
            "most_ms": round(ms[-1], 1)}


def command(a, folder, rest=""):
    return f"GANNET_STATE={folder} exec {a.gannet} --threads {a.threads} {rest}"


def speeds(a, server, folder, rtt, mbit):
    """The prompt, the echo of keys and the previews of an inversion on one line."""
    port, found = free_port(), {"rtt_ms": rtt, "mbit": mbit}
    line = shape.Line(port, server.port, rtt / 2000, mbit * 1e6)
    master = f"{folder}/mux-{port}"
    first = Terminal(server, port, "sleep 1000", master)
    while not os.path.exists(master):
        time.sleep(0.02)
    prompts = []
    for _ in range(5):
        t = Terminal(server, port, command(a, folder), master)
        t.wait(r"(?m)^\[?1\]? ?[>›❯]|^\[1\]|^1> ")
        prompts.append(time.monotonic() - t.begun)
        t.stop()
    found["prompt"] = quantiles(prompts)
    found["connection_ms"] = None
    # At the prompt, and in the notebook while a cell runs.
    t = Terminal(server, port, command(a, folder), master)
    t.wait(r"\[1\]")
    found["echo_at_prompt"] = quantiles(echoes(t, 20))
    t.stop()
    note = f"{folder}/running.gnt"
    with open(note, "w") as f:
        f.write("#%%\nx = render(sample(seed: 3))\nr = invert(x, steps: 100000)\n\n#%%\n\n")
    t = Terminal(server, port, command(a, folder, f"open {note}"), master)
    t.wait("invert")
    found.update(running(t, line, a))
    t.stop()
    t = Terminal(server, port, command(a, folder), master)
    t.wait(r"\[1\]")
    t.send(b"r = invert(render(sample(seed: 3)), steps: 100000)\r")
    found["at_prompt"] = {**watched(t, line, a.seconds)}
    t.stop()
    first.stop()
    return found


def echoes(t, n, pause=0.3):
    """Seconds from a key to its letter on the screen."""
    found, typed = [], ""
    for k in range(n):
        typed += "qxzvkjw"[k % 7]
        t.send(typed[-1].encode())
        found.append(t.wait(lambda t: typed in t.text()))
        time.sleep(pause)
    return found


def watched(t, line, seconds):
    """Previews a second and what the line holds, while an inversion runs."""
    t.wait(r"/10000\d", 60)
    time.sleep(2)
    line.down.most, before, sent = 0, len(t.asked), t.bytes
    held = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        held.append(line.down.queued)
        time.sleep(0.05)
    half = len(held) // 2
    return {"previews_per_s": round((len(t.asked) - before) / seconds, 2),
            "bytes_per_s": round((t.bytes - sent) / seconds),
            "held_first_half_bytes": round(statistics.mean(held[:half])),
            "held_second_half_bytes": round(statistics.mean(held[half:])), "held_most_bytes": line.down.most}


def running(t, line, a):
    """In the notebook: the first cell runs, and keys are typed into the second."""
    t.send(a.run_keys.encode().decode("unicode_escape").encode())
    t.wait(r"/10000\d", 60)
    found = {"in_notebook": watched(t, line, a.seconds)}
    t.send(a.edit_keys.encode().decode("unicode_escape").encode())
    time.sleep(1.5)
    found["echo_while_running"] = quantiles(echoes(t, 30))
    return found


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--gannet", required=True, help="a release build, by its whole path")
    a.add_argument("--line", action="append", help="round trip in ms : Mbit/s")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--seconds", type=float, default=15, help="how long an inversion is watched")
    a.add_argument("--run-keys", default="\\x12", help=argparse.SUPPRESS)
    a.add_argument("--edit-keys", default="\\x1b[B\\r", help=argparse.SUPPRESS)
    a.add_argument("--json", action="store_true")
    a = a.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            for text in a.line or ["60:10", "200:1"]:
                rtt, mbit = map(float, text.split(":"))
                found = speeds(a, server, folder, rtt, mbit)
                print(json.dumps(found) if a.json else json.dumps(found, indent=2), flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
