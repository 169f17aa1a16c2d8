"""Gains of small random hypernetworks.

    python hyper.py --out tests/reference/hyper

The arithmetic is written out here with plain torch functions in f64, apart from the network of the
training scripts, which is then run in f32 on the same weights and must agree.
"""
import argparse
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

from common import rng, write_any

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "train"))
from hyper import Hyper

# name: side, (channels, stride) of the way down, grid, numbers of the code, rank, (O, I) of the weights
CASES = {
    "one": (16, ((4, 2), (5, 1), (6, 2)), 2, 7, 1, ((5, 3),)),
    "two": (32, ((4, 2), (6, 2), (7, 2)), 4, 6, 3, ((4, 8), (9, 4))),
}
LEAK = 0.2


def leaky(x):
    return torch.where(x > 0, x, LEAK * x)


def weights(r, down, grid, code, rank, changed):
    """All tensors of a network, f64, rounded to f16 as files hold them."""
    shapes, n = {}, 6
    for i, (out, _) in enumerate(down):
        shapes[f"conv{i}"] = (out, n, 3, 3)
        n = out
    shapes["code"] = (code, n * grid * grid)
    for i, (rows, columns) in enumerate(changed):
        shapes |= {f"left{i}": (rows * rank, code), f"right{i}": (rank * columns, code)}
    whole = {f"{k}.weight": s for k, s in shapes.items()} | {f"{k}.bias": s[:1] for k, s in shapes.items()}
    draw = {k: r.standard_normal(s) / np.sqrt(np.prod(s[1:]) or 1) for k, s in whole.items()}
    return {k: torch.from_numpy(np.asarray(v)).half().double() for k, v in draw.items()}


def gains(t, down, grid, rank, changed, x, y):
    """What every weight is multiplied by, less 1."""
    m = torch.cat([x.clamp(-1, 1), y.clamp(-1, 1)], 1)
    for i, (_, stride) in enumerate(down):
        m = leaky(F.conv2d(m, t[f"conv{i}.weight"], t[f"conv{i}.bias"], stride, padding=1))
    n, c, side, _ = m.shape
    k = side // grid
    places = m.reshape(n, c, grid, k, grid, k).mean((3, 5)).reshape(n, -1)
    code = leaky(places @ t["code.weight"].T + t["code.bias"])
    found = []
    for i, (rows, columns) in enumerate(changed):
        left = (code @ t[f"left{i}.weight"].T + t[f"left{i}.bias"]).reshape(n, rows, rank)
        right = (code @ t[f"right{i}.weight"].T + t[f"right{i}.bias"]).reshape(n, rank, columns)
        found.append(torch.einsum("nor,nri->noi", left, right))
    return found


def trained_side(t, down, grid, code, rank, changed, x, y):
    """The same by the training scripts' network, in f32."""
    net = Hyper([n for n, _ in down], changed, [s for _, s in down], grid, code, rank)
    net.load_state_dict({k: v.float() for k, v in t.items()} | {"pace": torch.tensor(1.0)})
    with torch.no_grad():
        return [left @ right for left, right in net(x.float(), y.float())]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--out", required=True)
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    for name, (side, down, grid, code, rank, changed) in CASES.items():
        r = rng("hyper " + name)
        t = weights(r, down, grid, code, rank, changed)
        # Rounded to f32 before use; some values lie outside [-1, 1].
        x, y = (torch.from_numpy(0.7 * r.standard_normal((2, 3, side, side))).float().double() for _ in range(2))
        found = gains(t, down, grid, rank, changed, x, y)
        other = trained_side(t, down, grid, code, rank, changed, x, y)
        apart = max((a - b).abs().max().item() for a, b in zip(found, other))
        assert apart < 1e-5, (name, apart)
        config = dict(input_resolution=side, strides=[s for _, s in down], leaky=LEAK, grid=grid, rank=rank,
                      weights=[f"w{i}" for i in range(len(changed))], generator_sha256="")
        tensors = {k: v.half() for k, v in t.items()} | {"ref.x": x.float(), "ref.y": y.float()}
        tensors |= {f"ref.gain{i}": gain.float() for i, gain in enumerate(found)}
        write_any(os.path.join(a.out, name + ".safetensors"), tensors, {"gannet": dict(format=1, family="hyper", config=config)})
        print(f"{name}: the network of the training scripts is at most {apart:.1e} off")


if __name__ == "__main__":
    main()
