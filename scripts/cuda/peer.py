"""One measurement of the official StyleGAN2 in PyTorch on a GPU, with its compiled plugins: times as JSON.

    python peer.py --official DIR --resolution 256 [--batch 1] [--numbers f16|tf32|f32] [--device cuda]

f16, the official default: f16 in the four highest resolutions with its clamp of 256, TF32 in the other convolutions. tf32: no
f16, TF32 in all. f32: neither. Forward: under inference_mode. Step: forward, sum of squares, gradient to w+ and the noise
maps, weights frozen. Every call is waited for. `--device cpu` is for trying this script out: single precision, no plugins.
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


def calls(run, wait, seconds, least, warm):
    """Milliseconds of single calls, each waited for: the median."""
    for _ in range(warm):
        run()
    wait()
    times, end = [], time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        wait()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--official", required=True)
    a.add_argument("--resolution", type=int, required=True)
    a.add_argument("--batch", type=int, default=1)
    a.add_argument("--numbers", choices=["f16", "tf32", "f32"], default="f16")
    a.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    a = a.parse_args()
    sys.path.insert(0, a.official)
    gpu = a.device == "cuda"
    if gpu:
        if not torch.cuda.is_available():
            raise SystemExit("PyTorch finds no GPU here; --device cpu tries this script out")
        plugins()
    elif a.numbers != "f32":
        raise SystemExit("on the CPU there is --numbers f32 alone")
    from training.networks import SynthesisNetwork
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = a.numbers != "f32"
    torch.backends.cuda.matmul.allow_tf32 = False
    base = 16384 if a.resolution <= 256 else 32768
    g = SynthesisNetwork(w_dim=W_DIM, img_resolution=a.resolution, img_channels=3, channel_base=base, channel_max=512,
                         num_fp16_res=4 if a.numbers == "f16" else 0, conv_clamp=256)
    g = g.to(a.device).eval().requires_grad_(False)
    ws = torch.randn(a.batch, g.num_ws, W_DIM, device=a.device)
    wait = torch.cuda.synchronize if gpu else lambda: None
    pace = (SECONDS, LEAST, WARM) if gpu else (0.0, 2, 1)

    def forward():
        with torch.inference_mode():
            g(ws, noise_mode="const")

    result = dict(device=a.device, numbers=a.numbers, forward_ms=calls(forward, wait, *pace))
    # As the official projector searches them.
    searched = [b for name, b in g.named_buffers() if "noise_const" in name]
    ws = ws.clone().requires_grad_(True)
    for noise in searched:
        noise.requires_grad_(True)
    step = lambda: torch.autograd.grad(g(ws, noise_mode="const").square().sum(), [ws, *searched])
    result["step_ms"] = calls(step, wait, *pace)
    if gpu:
        result["peak_mb"] = torch.cuda.max_memory_allocated() / 2**20
    print(json.dumps(result))


if __name__ == "__main__":
    main()
