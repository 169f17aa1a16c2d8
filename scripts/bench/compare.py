"""gannet beside the official StyleGAN2 in PyTorch on the CPU: same machine, same threads, one run, ratios.

    python compare.py --official DIR --gannet BINARY [--resolution 64,256,1024] [--threads 2] [--rounds 5] [--json]

DIR is a clone of NVlabs/stylegan2-ada-pytorch. See README.md for what is compared.
"""
import argparse
import itertools
import json
import os
import sys

import common

HERE = os.path.dirname(os.path.abspath(__file__))
# One short run tells variants apart no better than this on a shared machine.
CLOSE = 1.15


def name(variant):
    fused, allocator = variant
    return f"{'fused' if fused else 'unfused'} {allocator}"


class Peer:
    """PyTorch's best variant of one kind of work at one resolution. A short run of all leaves those that are about as fast as
    the fastest; these are measured in all rounds, and the one with the least median is the peer."""

    def __init__(self, a, resolution, kind, tried):
        self.a, self.resolution, self.kind = a, resolution, kind
        self.tried = tried
        self.screened, self.measured = {}, {}

    def run(self, fused, allocator, *more):
        command = [sys.executable, os.path.join(HERE, "peer.py"), "--official", self.a.official, "--resolution",
                   str(self.resolution), "--threads", str(self.a.threads), "--batch", str(self.a.batch),
                   "--kind", self.kind, *more]
        if not fused:
            command.append("--unfused")
        threads = {"OMP_NUM_THREADS": str(self.a.threads), "MKL_NUM_THREADS": str(self.a.threads)}
        (found,) = common.child(command, {**os.environ, **threads, **self.tried[allocator]})
        return found

    def choose(self):
        """Every variant once; who is within `CLOSE` of the fastest stays."""
        for variant in itertools.product((True, False), self.tried):
            common.say(f"{self.resolution}: PyTorch {self.kind}, {name(variant)}")
            self.screened[variant] = self.run(*variant, "--short")
        fastest = min(s["ms"] for s in self.screened.values())
        self.measured = {v: [] for v, s in self.screened.items() if s["ms"] <= CLOSE * fastest}

    def round(self):
        for variant, rounds in self.measured.items():
            rounds.append(self.run(*variant))

    def report(self):
        """The best variant's medians. `least_peak_mb` is the least peak of any variant: memory is compared with that."""
        medians = {v: {key: common.median([r[key] for r in rounds]) for key in ("ms", "peak_mb")}
                   for v, rounds in self.measured.items()}
        best = min(medians, key=lambda v: medians[v]["ms"])
        every = [*self.screened.values(), *itertools.chain(*self.measured.values())]
        return dict(medians[best], least_peak_mb=min(e["peak_mb"] for e in every), variant=name(best),
                    screened={name(v): s for v, s in self.screened.items()}, measured={name(v): m for v, m in medians.items()})


def ratio(peer, own):
    return peer / own if peer and own else None


def compare(a, resolution, tried):
    """A row for each of gannet's kernels: rounds in which PyTorch's forward, gannet and PyTorch's step take turns."""
    forward, step = (Peer(a, resolution, kind, tried) for kind in ("forward", "step"))
    forward.choose()
    step.choose()
    own = {kernels: [] for kernels in a.kernels}
    for i in range(a.rounds):
        common.say(f"{resolution}: round {i + 1} of {a.rounds}")
        forward.round()
        for kernels, rows in own.items():
            rows.append(common.gannet_row(a.gannet, resolution, a.threads, a.batch, a.gannet_rounds, kernels=kernels))
        step.round()
    peer = dict(forward=forward.report(), step=step.report())
    return [dict(resolution=resolution, threads=a.threads, batch=a.batch, rounds=a.rounds, **beside(rows, peer))
            for rows in own.values()]


def beside(rows, peer):
    """Medians of gannet's rows, and their ratios to PyTorch's."""
    mine = {key: common.median([row[key] for row in rows])
            for key in ("forward_ms", "step_ms", "peak_mb", "gflop", "ceiling_share")}
    return dict(kernels=rows[0]["kernels"], gannet=mine, pytorch=peer,
                forward_ratio=ratio(peer["forward"]["ms"], mine["forward_ms"]),
                step_ratio=ratio(peer["step"]["ms"], mine["step_ms"]),
                memory_share=ratio(mine["peak_mb"], peer["step"]["least_peak_mb"]))


COLUMNS = ["side", "kernels", "forward ms", "PyTorch", "ratio", "step ms", "PyTorch", "ratio", "peak MiB", "PyTorch", "share"]


def line(r):
    own, peer = r["gannet"], r["pytorch"]
    return [str(r["resolution"]), r["kernels"], own["forward_ms"], peer["forward"]["ms"], r["forward_ratio"], own["step_ms"],
            peer["step"]["ms"], r["step_ratio"], own["peak_mb"], peer["step"]["least_peak_mb"], r["memory_share"]]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--official", required=True, help="a clone of NVlabs/stylegan2-ada-pytorch")
    a.add_argument("--gannet", required=True, help="a release build")
    a.add_argument("--resolution", type=common.numbers, default=[64, 256, 1024])
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--batch", type=int, default=1)
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--allocator", default="all", help="default, glibc-tuned, jemalloc, tcmalloc; all that are here unless given")
    a.add_argument("--kernels", type=lambda text: text.split(","), default=["auto"],
                   help="avx512, avx2, portable: gannet with each, in turns; the fastest here unless given")
    a.add_argument("--gannet-rounds", type=int, help="rounds inside one call of gannet bench; its own number unless given")
    a.add_argument("--json", action="store_true", help="one object a row, with all that was measured")
    a = a.parse_args()
    tried = common.allocators(a.allocator)
    rows = []
    for resolution in a.resolution:
        new = compare(a, resolution, tried)
        rows += new
        for row in new if a.json else []:
            print(json.dumps(row), flush=True)
    if a.json:
        return
    print(common.table(COLUMNS, [line(r) for r in rows]))
    print(f"\n{a.threads} threads, batch {a.batch}; medians of {a.rounds} rounds in turns; ratio: PyTorch's time by gannet's")
    for r in rows[::len(a.kernels)]:
        kinds = (f"{kind} {r['pytorch'][kind]['variant']}" for kind in ("forward", "step"))
        print(f"PyTorch at {r['resolution']}: {', '.join(kinds)} (the fastest of {len(r['pytorch']['step']['screened'])})")
    print("memory: peak of the process from its loaded weights on, gannet's of a row, PyTorch's least of any variant's step")


if __name__ == "__main__":
    main()
