"""gannet beside the official StyleGAN3 in PyTorch on the CPU: same network, same machine, same threads, one run, ratios.

    python stylegan3.py --official DIR --gannet BINARY [--config t,r] [--resolution 256] [--threads 2] [--rounds 3] [--json]

DIR is a clone of NVlabs/stylegan3. The official code draws a network of the published widths with random weights and writes
it as a pickle into a temporary folder, which gannet opens. Forward: under inference_mode; step: forward, sum of squares,
gradient to w+. On the CPU the official operators are its reference ones, in plain PyTorch. A first pass of every variant
(allocator, memory format) chooses the fastest; PyTorch's step and gannet's row then take turns.
"""
import argparse
import itertools
import json
import os
import pickle
import sys
import tempfile

import common

WIDTHS = {"t": dict(channel_base=32768, channel_max=512, conv_kernel=3),
          "r": dict(channel_base=65536, channel_max=1024, conv_kernel=1, use_radial_filters=True)}
W_DIM = 512


def network(official, config, resolution):
    """The official generator, frozen."""
    import torch
    sys.path.insert(0, os.path.abspath(official))
    from training import networks_stylegan3
    torch.manual_seed(0)
    g = networks_stylegan3.Generator(z_dim=W_DIM, c_dim=0, w_dim=W_DIM, img_resolution=resolution, img_channels=3,
                                     mapping_kwargs={}, **WIDTHS[config])
    return g.eval().requires_grad_(False)


def peer(a):
    """One measurement of PyTorch, in a process of its own."""
    import torch
    torch.set_num_threads(a.threads)
    torch.set_num_interop_threads(1)
    g = network(a.official, a.config[0], a.resolution[0]).synthesis
    if a.peer == "channels-last":
        g = g.to(memory_format=torch.channels_last)
        g.input.register_forward_hook(lambda m, i, o: o.contiguous(memory_format=torch.channels_last))
    ws = torch.randn(1, g.num_ws, W_DIM, requires_grad=True)

    def forward():
        with torch.inference_mode():
            g(ws)

    def step():
        torch.autograd.grad(g(ws).square().sum(), [ws])

    common.forget_peak()
    pace = dict(least=1, seconds=0.1, warm=0 if a.short else 1)
    found = {} if a.short else dict(forward_ms=common.median(common.calls(forward, **pace)))
    print(json.dumps(dict(found, step_ms=common.median(common.calls(step, **pace)), peak_mb=common.peak_mb())))


def run(a, config, resolution, variant, *more):
    layout, allocator = variant
    threads = {"OMP_NUM_THREADS": str(a.threads), "MKL_NUM_THREADS": str(a.threads)}
    command = [sys.executable, "-W", "ignore", __file__, "--official", a.official, "--config", config, "--resolution",
               str(resolution), "--threads", str(a.threads), "--peer", layout, *more]
    (found,) = common.child(command, {**os.environ, **threads, **common.allocators(a.allocator)[allocator]})
    return found


def beside(a, config, resolution, folder):
    variants = list(itertools.product(("contiguous", "channels-last"), common.allocators(a.allocator)))
    screened = {}
    for variant in variants:
        common.say(f"{config} {resolution}: PyTorch {' '.join(variant)}")
        screened[variant] = run(a, config, resolution, variant, "--short")
    best = min(screened, key=lambda v: screened[v]["step_ms"])
    file = os.path.join(folder, f"stylegan3-{config}-{resolution}.pkl")
    with open(file, "wb") as f:
        pickle.dump(dict(G_ema=network(a.official, config, resolution)), f)
    command = [a.gannet, "bench", "--json", "--quiet", "--only", "model", "--model", file, "--threads", str(a.threads),
               "--device", "cpu", "--rounds", "1"]
    own, theirs = [], []
    for i in range(a.rounds):
        common.say(f"{config} {resolution}: round {i + 1} of {a.rounds}")
        theirs.append(run(a, config, resolution, best))
        own += common.child(command)
    keys = ("forward_ms", "step_ms", "peak_mb")
    mine, peers = ({k: common.median([r[k] for r in rows]) for k in keys} for rows in (own, theirs))
    least = min(r["peak_mb"] for r in [*screened.values(), *theirs])
    return dict(config=config, resolution=resolution, threads=a.threads, rounds=a.rounds, variant=" ".join(best), gannet=mine,
                pytorch=dict(peers, least_peak_mb=least), forward_ratio=peers["forward_ms"] / mine["forward_ms"],
                step_ratio=peers["step_ms"] / mine["step_ms"], memory_share=mine["peak_mb"] / least,
                screened={" ".join(v): s for v, s in screened.items()}, rows=dict(gannet=own, pytorch=theirs))


COLUMNS = ["config", "side", "forward ms", "PyTorch", "ratio", "step ms", "PyTorch", "ratio", "peak MiB", "PyTorch", "share"]


def line(r):
    own, theirs = r["gannet"], r["pytorch"]
    return [r["config"], str(r["resolution"]), own["forward_ms"], theirs["forward_ms"], r["forward_ratio"], own["step_ms"],
            theirs["step_ms"], r["step_ratio"], own["peak_mb"], theirs["least_peak_mb"], r["memory_share"]]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--official", required=True, help="a clone of NVlabs/stylegan3")
    a.add_argument("--gannet", help="a release build")
    a.add_argument("--config", type=lambda text: text.split(","), default=["t"])
    a.add_argument("--resolution", type=common.numbers, default=[256])
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--allocator", default="all", help="default, glibc-tuned, jemalloc, tcmalloc; all that are here unless given")
    a.add_argument("--json", action="store_true", help="one object a row, with all that was measured")
    a.add_argument("--peer", help=argparse.SUPPRESS)
    a.add_argument("--short", action="store_true", help=argparse.SUPPRESS)
    a = a.parse_args()
    if a.peer:
        return peer(a)
    if not a.gannet:
        sys.exit("--gannet is missing: a release build")
    with tempfile.TemporaryDirectory() as folder:
        rows = [beside(a, c, r, folder) for c in a.config for r in a.resolution]
    if a.json:
        for row in rows:
            print(json.dumps(row))
        return
    print(common.table(COLUMNS, [line(r) for r in rows]))
    print(f"\n{a.threads} threads, batch 1; medians of {a.rounds} rounds in turns; ratio: PyTorch's time by gannet's")
    print(f"PyTorch: {rows[0]['variant']}, the fastest of {len(rows[0]['screened'])}; memory: its least of any variant")


if __name__ == "__main__":
    main()
