"""Residuals of small random feature-residual networks.

    python residual.py --out tests/reference/residual

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
from residual import Branch

# name: side, (channels, stride) of the way down, channels of the way up with the map beside each, of the result
CASES = {
    "one_up": (16, ((4, 2), (5, 1), (6, 2)), ((5, 1),), 3),
    "two_up": (32, ((4, 2), (6, 2), (5, 1), (7, 2)), ((6, 2), (5, 0)), 4),
}
LEAK = 0.2


def weights(r, down, up, channels):
    """All tensors of a network, f64, rounded to f16 as files hold them."""
    shapes, n = {}, 6
    for i, (out, _) in enumerate(down):
        shapes |= {f"conv{i}.weight": (out, n, 3, 3), f"conv{i}.bias": (out,)}
        n = out
    for i, (out, beside) in enumerate(up):
        shapes |= {f"up{i}.weight": (out, n + down[beside][0], 3, 3), f"up{i}.bias": (out,)}
        n = out
    shapes |= {"out.weight": (channels, n, 3, 3), "out.bias": (channels,)}
    draw = {k: r.standard_normal(s) / np.sqrt(np.prod(s[1:]) or 1) for k, s in shapes.items()}
    return {k: torch.from_numpy(np.asarray(v)).half().double() for k, v in draw.items()}


def residual(t, down, up, x, y):
    """What is added to the map."""
    m, maps = torch.cat([x.clamp(-1, 1), y.clamp(-1, 1)], 1), []
    for i, (_, stride) in enumerate(down):
        m = F.conv2d(m, t[f"conv{i}.weight"], t[f"conv{i}.bias"], stride, padding=1)
        m = torch.where(m > 0, m, LEAK * m)
        maps.append(m)
    for i, (_, beside) in enumerate(up):
        m = m.repeat_interleave(2, 2).repeat_interleave(2, 3)
        m = F.conv2d(torch.cat([m, maps[beside]], 1), t[f"up{i}.weight"], t[f"up{i}.bias"], padding=1)
        m = torch.where(m > 0, m, LEAK * m)
    return F.conv2d(m, t["out.weight"], t["out.bias"], padding=1)


def trained_side(t, down, up, channels, x, y):
    """The same by the training scripts' network, in f32."""
    net = Branch([n for n, _ in down], [n for n, _ in up], channels, [s for _, s in down])
    net.load_state_dict({k: v.float() for k, v in t.items()} | {"spread": torch.ones(channels)})
    with torch.no_grad():
        return net(x.float(), y.float())


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--out", required=True)
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    for name, (side, down, up, channels) in CASES.items():
        r = rng("residual " + name)
        t = weights(r, down, up, channels)
        # Rounded to f32 before use; some values lie outside [-1, 1].
        x, y = (torch.from_numpy(0.7 * r.standard_normal((2, 3, side, side))).float().double() for _ in range(2))
        found = residual(t, down, up, x, y)
        apart = (trained_side(t, down, up, channels, x, y) - found).abs().max().item()
        assert apart < 1e-5, (name, apart)
        config = dict(input_resolution=side, strides=[s for _, s in down], leaky=LEAK, layer=2, side=found.shape[2],
                      generator_sha256="")
        tensors = {k: v.half() for k, v in t.items()}
        tensors |= {"ref.x": x.float(), "ref.y": y.float(), "ref.residual": found.float()}
        write_any(os.path.join(a.out, name + ".safetensors"), tensors, {"gannet": dict(format=1, family="residual", config=config)})
        print(f"{name}: the network of the training scripts is at most {apart:.1e} off")


if __name__ == "__main__":
    main()
