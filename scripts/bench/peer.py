"""One measurement of the official StyleGAN2 in PyTorch on the CPU, in a process of its own: times and peak memory as JSON.

    python peer.py --official DIR --resolution 64 --threads 2 [--batch 1] [--unfused] [--kind forward|step]

`compare.py` starts it. Forward: under inference_mode. Step: forward, sum of squares, gradient to w+ and the noise maps; the
weights are frozen.
"""
import argparse
import json

import torch

import common


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--official", required=True)
    a.add_argument("--resolution", type=int, required=True)
    a.add_argument("--threads", type=int, required=True)
    a.add_argument("--batch", type=int, default=1)
    a.add_argument("--kind", choices=["forward", "step"], default="step")
    a.add_argument("--unfused", action="store_true", help="modulation beside the convolution, not in its weight")
    a.add_argument("--short", action="store_true", help="few calls: to choose between variants")
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    torch.set_num_interop_threads(1)
    torch.manual_seed(0)

    networks = common.official(a.official)
    r = a.resolution
    g = networks.SynthesisNetwork(w_dim=common.W_DIM, img_resolution=r, img_channels=3, **common.widths(r))
    common.freeze(g)
    ws = torch.randn(a.batch, g.num_ws, common.W_DIM)
    options = dict(noise_mode="const", fused_modconv=not a.unfused)

    def forward():
        with torch.inference_mode():
            g(ws, **options)

    if a.kind == "step":
        ws.requires_grad_(True)
        searched = [ws, *common.free_noise(g)]

    def step():
        torch.autograd.grad(g(ws, **options).square().sum(), searched)

    # As in gannet: the peak counts from the loaded weights on, and what is resident then is part of it.
    common.forget_peak()
    pace = dict(least=2, seconds=0.3, most=10.0) if a.short else {}
    times = common.calls(forward if a.kind == "forward" else step, **pace)
    print(json.dumps(dict(ms=common.median(times), calls=len(times), peak_mb=common.peak_mb())))


if __name__ == "__main__":
    main()
