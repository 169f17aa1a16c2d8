"""One measurement of the official StyleGAN2 in PyTorch on a GPU, with its compiled plugins: times as JSON.

    python peer.py --official DIR --resolution 256 [--batch 1] [--f32]

The defaults are the official ones: f16 in the four highest resolutions with its clamp of 256, TF32 in the other
convolutions. Forward: under inference_mode. Step: forward, sum of squares, gradient to w+ and the noise maps, weights frozen.
"""
import argparse
import json
import statistics
import sys
import time

import torch

W_DIM = 512
SECONDS, LEAST, WARM = 3.0, 20, 5


def plugins():
    """Refuses to measure the slow paths that the official code falls back to without a word."""
    from torch_utils.ops import bias_act, upfirdn2d
    for op in (bias_act, upfirdn2d):
        if not op._init():
            raise SystemExit(f"{op.__name__}: the plugin does not compile here (nvcc, a C++ compiler and ninja are needed)")


def calls(run):
    """Milliseconds of single calls, each waited for."""
    for _ in range(WARM):
        run()
    torch.cuda.synchronize()
    times, end = [], time.perf_counter() + SECONDS
    while len(times) < LEAST or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--official", required=True)
    a.add_argument("--resolution", type=int, required=True)
    a.add_argument("--batch", type=int, default=1)
    a.add_argument("--f32", action="store_true", help="no f16")
    a = a.parse_args()
    sys.path.insert(0, a.official)
    plugins()
    from training.networks import SynthesisNetwork
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    base = 16384 if a.resolution <= 256 else 32768
    g = SynthesisNetwork(w_dim=W_DIM, img_resolution=a.resolution, img_channels=3, channel_base=base, channel_max=512,
                         num_fp16_res=0 if a.f32 else 4, conv_clamp=256).cuda().eval().requires_grad_(False)
    ws = torch.randn(a.batch, g.num_ws, W_DIM, device="cuda")

    def forward():
        with torch.inference_mode():
            g(ws, noise_mode="const")

    result = dict(forward_ms=calls(forward))
    # As the official projector searches them.
    searched = [b for name, b in g.named_buffers() if "noise_const" in name]
    ws = ws.clone().requires_grad_(True)
    for noise in searched:
        noise.requires_grad_(True)
    result["step_ms"] = calls(lambda: torch.autograd.grad(g(ws, noise_mode="const").square().sum(), [ws, *searched]))
    result["peak_mb"] = torch.cuda.max_memory_allocated() / 2**20
    print(json.dumps(result))


if __name__ == "__main__":
    main()
