"""Passes of small random encoders.

    python encoder.py --out tests/reference/encoder

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
from encoder import Encoder

# name: side, (channels, stride) of the convolutions, grid, rows and dimensions of the code
CASES = {
    "grid2": (16, ((6, 2), (8, 1), (7, 2)), 2, 5, 6),
    "grid4": (20, ((5, 1), (6, 2), (9, 3)), 4, 3, 8),
    "odd": (9, ((4, 2), (5, 2)), 1, 4, 5),
}
LEAK = 0.2


def weights(r, plan, grid, rows, dim):
    """All tensors of a network, f64, rounded to f16 as files hold them."""
    shapes, n = {}, 6
    for i, (out, _) in enumerate(plan):
        shapes |= {f"conv{i}.weight": (out, n, 3, 3), f"conv{i}.bias": (out,)}
        n = out
    shapes |= {"base.weight": (dim, n * grid * grid), "base.bias": (dim,)}
    shapes |= {"offsets.weight": (rows * dim, n), "offsets.bias": (rows * dim,)}
    draw = {k: r.standard_normal(s) / np.sqrt(np.prod(s[1:]) or 1) for k, s in shapes.items()}
    return {k: torch.from_numpy(np.asarray(v)).half().double() for k, v in draw.items()}


def one_pass(t, plan, grid, rows, dim, x, y):
    """The correction [N, L, D] of codes that make y, to make x."""
    m = torch.cat([x.clamp(-1, 1), y.clamp(-1, 1)], 1)
    for i, (_, stride) in enumerate(plan):
        m = F.conv2d(m, t[f"conv{i}.weight"], t[f"conv{i}.bias"], stride, padding=1)
        m = torch.where(m > 0, m, LEAK * m)
    n, c, side, _ = m.shape
    k = side // grid
    places = m.reshape(n, c, grid, k, grid, k).mean((3, 5)).reshape(n, -1)
    base = places @ t["base.weight"].T + t["base.bias"]
    offsets = m.mean((2, 3)) @ t["offsets.weight"].T + t["offsets.bias"]
    return base[:, None] + offsets.reshape(n, rows, dim)


def trained_side(t, plan, grid, rows, dim, x, y):
    """The same by the training scripts' network, in f32."""
    net = Encoder(rows, dim, plan, grid)
    net.load_state_dict({k: v.float() for k, v in t.items()} | {"spread": torch.ones(dim)})
    with torch.no_grad():
        return net(x.float(), y.float())


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--out", required=True)
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    for name, (side, plan, grid, rows, dim) in CASES.items():
        r = rng("encoder " + name)
        t = weights(r, plan, grid, rows, dim)
        # Rounded to f32 before use; some values lie outside [-1, 1].
        x, y = (torch.from_numpy(0.7 * r.standard_normal((2, 3, side, side))).float().double() for _ in range(2))
        delta = one_pass(t, plan, grid, rows, dim, x, y)
        apart = (trained_side(t, plan, grid, rows, dim, x, y) - delta).abs().max().item()
        assert apart < 1e-5, (name, apart)
        config = dict(input_resolution=side, strides=[s for _, s in plan], leaky=LEAK, grid=grid, num_ws=rows, w_dim=dim,
                      steps=3)
        tensors = {k: v.half() for k, v in t.items()}
        tensors |= {"ref.x": x.float(), "ref.y": y.float(), "ref.delta": delta.float()}
        write_any(os.path.join(a.out, name + ".safetensors"), tensors, {"gannet": dict(format=1, family="encoder", config=config)})
        print(f"{name}: the network of the training scripts is at most {apart:.1e} off")


if __name__ == "__main__":
    main()
