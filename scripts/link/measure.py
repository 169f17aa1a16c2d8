"""gannet over a slow SSH line: prompt, echo, previews, backlog, and lines that are cut.

    python measure.py --gannet BINARY [--line 60:10] [--line 200:1] [--cuts 50] [--json]

Starts its own sshd on 127.0.0.1 with keys of its own in a temporary folder, and reaches it through the line of shape.py:
round trip in milliseconds, rate in Mbit/s. The terminal on this side is `pyte`, 100 × 30 cells. Needs the packages
`pyte`, and sshd and ssh of OpenSSH. `--model` measures the sliders without a line, with half blocks or, with
`--graphics kitty`, with the pictures of a terminal that answers as kitty does.
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
import tempfile
import termios
import threading
import time

import pyte
import shape

ROWS, COLUMNS = 30, 100
PROMPT = r"\[(\d+)\] *$"
STEPS = 60
# Requests that pyte does not know and would print: kitty graphics, mode requests, sizes of cells.
UNKNOWN = re.compile(rb"\x1b_.*?\x1b\\|\x1bP.*?\x1b\\|\x1b\[\?\d+\$p|\x1b\[[<>=?][\d;]*[uqm]|\x1b\]\d+;.*?(?:\x07|\x1b\\)", re.S)
# What kitty answers, with cells of 8 × 16 pixels.
ANSWERS = {b"\x1b[16t": b"\x1b[6;16;8t", b"\x1b[14t": f"\x1b[4;{ROWS * 16};{COLUMNS * 8}t".encode(),
           b"\x1b[>q": b"\x1bP>|kitty(0.40.1)\x1b\\", b"\x1b[?2026$p": b"\x1b[?2026;2$y",
           b"\x1bP$qm\x1b\\": b"\x1bP1$r48:2:1:2:3m\x1b\\", b"\x1b[?u": b"\x1b[?0u", b"\x1b[c": b"\x1b[?62;c",
           b"\x1b[5n": b"\x1b[0n"}
ASKED = re.compile(b"|".join(map(re.escape, ANSWERS)) + rb"|\x1b_G(?P<keys>[^;\x1b]*);?(?P<data>[^\x1b]*)\x1b\\")
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
    """A command on a pseudo-terminal. With `kitty` it answers as kitty does and takes its pictures."""

    def __init__(self, arguments, kitty=False):
        self.kitty, self.stored, self.open, self.shown, self.shown_at = kitty, {}, None, None, 0.0
        self.screen = pyte.Screen(COLUMNS, ROWS)
        # Its own takes one argument; what a line that is cut leaves over may have more.
        attributes = self.screen.report_device_attributes
        self.screen.report_device_attributes = lambda *all, **named: len(all) > 1 or attributes(*all, **named)
        self.stream = pyte.ByteStream(self.screen)
        self.screen.write_process_input = lambda text: self.send(text.encode())
        self.changed = threading.Condition()
        self.asked, self.ended, self.bytes, self.rest = [], None, 0, b""
        self.fd, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.begun = time.monotonic()
        environment = {**os.environ, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(arguments, stdin=slave, stdout=slave, stderr=slave, env=environment,
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
        if self.kitty:
            data = ASKED.sub(self._answer, data)
        data = UNKNOWN.sub(b"", data)
        if cut := PARTIAL.search(data):
            data, self.rest = data[:cut.start()], data[cut.start():]
        self.stream.feed(data)

    def _answer(self, asked):
        """Answers a request, or takes a part of a picture; nothing of either is left on the screen."""
        if asked["keys"] is None:
            self.send(ANSWERS[asked[0]])
            return b""
        keys = dict(pair.split("=", 1) for pair in asked["keys"].decode().split(",") if "=" in pair)
        action, number = keys.get("a"), keys.get("i")
        if action == "q":
            self.send(f"\x1b_Gi={number};OK\x1b\\".encode())
        elif action in ("t", "T") or (action is None and self.open):
            begun = self.open[1] if self.open else b""
            self.open = (self.open[0] if self.open else number, begun + asked["data"])
            if keys.get("m") != "1":
                self.stored[self.open[0]], self.open = hash(self.open[1]), None
        elif action == "p" and self.stored.get(number) != self.shown:
            self.shown, self.shown_at = self.stored.get(number), time.monotonic()
        return b""

    def send(self, keys):
        try:
            os.write(self.fd, keys)
        except OSError:
            pass  # the line is cut

    def text(self):
        """The screen, without blanks at the ends of lines and empty lines at its end."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def wait(self, text, seconds=60):
        """The seconds until the screen shows it; fails when it does not come."""
        begun, end = time.monotonic(), time.monotonic() + seconds
        with self.changed:
            while not (re.search(text, self.text()) if isinstance(text, str) else text(self)):
                if self.ended or time.monotonic() > end:
                    raise SystemExit(f"{text!r} did not come:\n{self.text()}")
                self.changed.wait(max(0.0, min(1.0, end - time.monotonic())))
        return time.monotonic() - begun

    def enter(self, line):
        """Types a line at the prompt and waits for the next prompt."""
        self.wait(PROMPT)
        number = int(re.findall(PROMPT, self.text())[-1])
        self.send(line.encode() + b"\r")
        self.wait(rf"\[{number + 1}\] *$")

    def stop(self):
        self.process.send_signal(signal.SIGHUP)
        self.process.wait()
        os.close(self.fd)


def ssh(server, port, command, master=None):
    """The arguments that run a command over ssh."""
    options = ["-F", "none", "-i", f"{server.folder}/user", "-p", str(port), "-o", "StrictHostKeyChecking=no",
               "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    if master:
        options += ["-o", f"ControlPath={master}", "-o", "ControlMaster=auto"]
    return ["ssh", "-tt", *options, f"{getpass.getuser()}@127.0.0.1", command]


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
    first = Terminal(ssh(server, port, "sleep 1000", master))
    while not os.path.exists(master):
        time.sleep(0.02)
    prompts = []
    for _ in range(5):
        t = Terminal(ssh(server, port, command(a, folder), master))
        t.wait(PROMPT)
        prompts.append(time.monotonic() - t.begun)
        t.stop()
    found["prompt"] = quantiles(prompts)
    # At the prompt, and in the notebook while a cell runs.
    t = Terminal(ssh(server, port, command(a, folder), master))
    t.wait(PROMPT)
    found["echo_at_prompt"] = quantiles(echoes(t, 20))
    t.stop()
    note = f"{folder}/running-{port}.gnt"
    with open(note, "w") as f:
        f.write("#%%\nx = render(sample(seed: 3))\nr = invert(x, steps: 100000)\n\n#%%\n\n")
    t = Terminal(ssh(server, port, command(a, folder, f"open {note}"), master))
    t.wait("invert")
    found.update(running(t, line, a))
    t.stop()
    t = Terminal(ssh(server, port, command(a, folder), master))
    t.wait(PROMPT)
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
    line.down.most, sent = 0, t.bytes
    held, pictures, last = [], 0, None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        held.append(line.down.queued)
        with t.changed:
            shown = preview(t.screen)
        pictures, last = pictures + (shown != last), shown
        time.sleep(0.05)
    half = len(held) // 2
    return {"previews_per_s": round((pictures - 1) / seconds, 2), "bytes_per_s": round((t.bytes - sent) / seconds),
            "held_first_half_bytes": round(statistics.mean(held[:half])),
            "held_second_half_bytes": round(statistics.mean(held[half:])), "held_most_bytes": line.down.most}


def preview(screen, columns=range(3 * COLUMNS // 4, COLUMNS - 4)):
    """The colours of the columns in which the preview of a running inversion is."""
    return hash(tuple((screen.buffer[y][x].fg, screen.buffer[y][x].bg) for y in range(ROWS) for x in columns))


def running(t, line, a):
    """In the notebook: the first cell runs, and keys are typed into the second."""
    t.send(a.run_keys.encode().decode("unicode_escape").encode())
    t.wait(r"/10000\d", 60)
    found = {"in_notebook": watched(t, line, a.seconds)}
    t.send(a.edit_keys.encode().decode("unicode_escape").encode())
    time.sleep(1.5)
    found["echo_while_running"] = quantiles(echoes(t, 30))
    return found


def sliders(a):
    """Without a line: the time from a key in `explore` to another picture. Kitty's picture is there once its last byte
    and its place have come; what a terminal takes to draw either kind is not in it."""
    found, load = [], os.getloadavg()[0]
    kitty = a.graphics == "kitty"
    t = Terminal([a.gannet, "explore", "--threads", str(a.threads), "--model", a.model], kitty)
    t.wait("psi")
    time.sleep(3)
    if kitty and t.shown is None:
        raise SystemExit("no picture came by kitty's protocol")
    shown = (lambda t: t.shown) if kitty else lambda t: preview(t.screen, range(2, COLUMNS // 3))
    for slider in range(a.keys // 10):
        for _ in range(10):  # never back: a picture that was seen is kept
            before, sent = shown(t), time.monotonic()
            t.send(b"\x1b[C")
            waited = t.wait(lambda t: shown(t) != before)
            found.append(t.shown_at - sent if kitty else waited)
            time.sleep(0.5)
        t.send(b"\x1b[B")
        time.sleep(0.5)
    t.stop()
    return {"model": a.model, "graphics": a.graphics, "keys": len(found), "load": round(load, 1),
            "key_to_picture": quantiles(found)}


def cut_lines(a, server, folder, rounds):
    """Lines that are cut at random moments: what was lost of edits and saves, and inversions that differ after it."""
    rng = random.Random(7)
    found = {"rounds": rounds}
    for kind, statement in (("edits", "w = sample(seed: {n}) + 0.1*direction(\"age\")"),
                            ("saves", "save(sample(seed: {n}), \"kept-{n}.safetensors\")")):
        found[kind] = acknowledged(a, server, f"{folder}/{kind}", (rounds, rng), statement)
    found["inversions"] = inversions(a, server, f"{folder}/inversions", rounds, rng)
    return found


def line_to(server):
    port = free_port()
    return shape.Line(port, server.port, 0.03, 1e7), port


def acknowledged(a, server, folder, when, statement):
    """Statements one after the other, each followed by a number on the screen; every number that was seen must be in the
    session afterwards, and every file whole."""
    rounds, rng = when
    os.makedirs(f"{folder}/out")
    n, seen, ran = 0, set(), f"--out {folder}/out"
    for k in range(rounds):
        line, port = line_to(server)
        t = Terminal(ssh(server, port, command(a, folder, ran + (" --resume" if k else ""))))
        t.wait(PROMPT)
        end = time.monotonic() + rng.uniform(0.05, 1.5)
        while time.monotonic() < end:
            n += 1
            t.send(f"{statement.format(n=n)}; print(70000 + {n})\r".encode())
            while time.monotonic() < end and str(70000 + n) not in t.text():
                time.sleep(0.005)
        line.cut()
        t.process.wait()
        seen |= {int(m) - 70000 for m in re.findall(r"(?m)^ *(7\d{4})$", t.text())}
        time.sleep(0.3)
    report = f"{folder}/report.md"
    environment = {**os.environ, "GANNET_STATE": folder}
    subprocess.run([a.gannet, "export", "latest", "-o", report], env=environment, check=True, capture_output=True)
    with open(report) as f:
        kept = {int(m) - 70000 for m in re.findall(r"\b(7\d{4})\b", f.read())}
    files = sorted(os.listdir(f"{folder}/out"))
    broken = [f for f in files if subprocess.run([a.gannet, "info", f"{folder}/out/{f}"], capture_output=True).returncode]
    missing = [k for k in seen if "save" in statement and f"kept-{k}.safetensors" not in files]
    return {"acknowledged": len(seen), "lost": len(seen - kept) + len(missing), "files": len(files),
            "broken_files": len(broken)}


def inversions(a, server, folder, rounds, rng):
    """An inversion that is cut at a random moment and continued, beside one that is not."""
    os.makedirs(f"{folder}/out")
    first = ["x = render(sample(seed: 3))", f"r = invert(x, steps: {STEPS})"]
    line, port = line_to(server)
    t = Terminal(ssh(server, port, command(a, f"{folder}/whole", f"--out {folder}/out")))
    t.wait(PROMPT)
    t.enter(first[0])
    begun = time.monotonic()
    t.enter(first[1])
    lasts = time.monotonic() - begun
    t.enter("save(r, \"whole.safetensors\")")
    t.stop()
    digest = lambda name: hashlib.sha256(open(f"{folder}/out/{name}", "rb").read()).hexdigest()
    different, interrupted = 0, 0
    for k in range(rounds):
        state = f"{folder}/{k}"
        line, port = line_to(server)
        t = Terminal(ssh(server, port, command(a, state, f"--out {folder}/out")))
        t.enter(first[0])
        t.send(first[1].encode() + b"\r")
        time.sleep(rng.uniform(0.1, 1.1 * lasts))
        line.cut()
        t.process.wait()
        time.sleep(0.5)
        line, port = line_to(server)
        t = Terminal(ssh(server, port, command(a, state, f"--out {folder}/out --resume")))
        t.wait(PROMPT)
        shown = t.text()
        interrupted += "from its checkpoint" in shown
        t.enter(first[1])
        t.enter(f"save(r, \"cut-{k}.safetensors\")")
        different += digest(f"cut-{k}.safetensors") != digest("whole.safetensors")
        t.stop()
    return {"seconds_uncut": round(lasts, 2), "cut_in_the_middle": interrupted, "different": different}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--gannet", required=True, help="a release build, by its whole path")
    a.add_argument("--line", action="append", help="round trip in ms : Mbit/s")
    a.add_argument("--model", help="measures the sliders of explore with this generator, without a line")
    a.add_argument("--graphics", choices=["blocks", "kitty"], default="blocks", help="the pictures of --model")
    a.add_argument("--keys", type=int, default=30, help="keys of --model, ten a slider")
    a.add_argument("--cuts", type=int, default=0, help="how often a line is cut in the middle of each kind of work")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--seconds", type=float, default=15, help="how long an inversion is watched")
    a.add_argument("--run-keys", default="\\x12", help=argparse.SUPPRESS)
    a.add_argument("--edit-keys", default="\\x1b[B\\r", help=argparse.SUPPRESS)
    a.add_argument("--json", action="store_true")
    a = a.parse_args()
    if a.model:
        print(json.dumps(sliders(a)), flush=True)
    if a.model and not a.line and not a.cuts:
        return
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            for text in a.line or ([] if a.model or a.cuts else ["60:10", "200:1"]):
                rtt, mbit = map(float, text.split(":"))
                found = speeds(a, server, folder, rtt, mbit)
                print(json.dumps(found, indent=None if a.json else 2), flush=True)
            if a.cuts:
                found = cut_lines(a, server, folder, a.cuts)
                print(json.dumps(found, indent=None if a.json else 2), flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
