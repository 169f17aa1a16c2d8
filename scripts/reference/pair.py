"""Codes and logits of a small random pair of encoders, and pictures of the conditional generator.

    python pair.py --models models --out tests/reference/pair

The encoders' arithmetic is written out here with plain torch functions in f64. The pictures are
those of the embedded generator in PyTorch, in f32, with its code filled in: the coordinates of the
class are numbers. Nothing of the conditional file is read but which coordinates these are.
"""
import argparse
import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from scipy.special import ndtri

from common import rng, write_any

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "train"))
from networks import ACT_GAIN, Generator

SIDE, GRID, Z_DIM, CLASSES = 16, 2, 5, 3
DOWN = {"z": ((4, 2), (6, 1), (7, 2)), "y": ((3, 2), (5, 1), (4, 2))}
LEAK = 0.2
THIN = 4  # one pixel in so many is kept, in both directions
# What a class says of the coordinates of sex, glasses and smile: the middles of the intervals of [0, 1]
# that stand for no and yes, as normal numbers.
NO, YES = ndtri((0.25, 0.35, 0.225)), ndtri((0.75, 0.9, 0.8075))


def encoders(r):
    """All tensors of a pair, f64, rounded to f16 as files hold them."""
    shapes = {}
    for part, outputs in (("z", Z_DIM), ("y", CLASSES)):
        n = 3
        for i, (out, _) in enumerate(DOWN[part]):
            shapes[f"{part}.conv{i}"] = (out, n, 3, 3)
            n = out
        shapes[f"{part}.out"] = (outputs, n * GRID * GRID)
    whole = {f"{k}.weight": s for k, s in shapes.items()} | {f"{k}.bias": s[:1] for k, s in shapes.items()}
    draw = {k: r.standard_normal(s) / np.sqrt(np.prod(s[1:]) or 1) for k, s in whole.items()}
    return {k: torch.from_numpy(np.asarray(v)).half().double() for k, v in draw.items()}


def says(t, part, x):
    m = x.clamp(-1, 1)
    for i, (_, stride) in enumerate(DOWN[part]):
        m = F.conv2d(m, t[f"{part}.conv{i}.weight"], t[f"{part}.conv{i}.bias"], stride, padding=1)
        m = torch.where(m > 0, m, LEAK * m)
    n, c, side, _ = m.shape
    k = side // GRID
    places = m.reshape(n, c, GRID, k, GRID, k).mean((3, 5)).reshape(n, -1)
    return places @ t[f"{part}.out.weight"].T + t[f"{part}.out.bias"]


def small_pair(out):
    r = rng("pair")
    t = encoders(r)
    x = torch.from_numpy(0.7 * r.standard_normal((3, 3, SIDE, SIDE))).float().double()
    config = dict(kind="pair", input_resolution=SIDE, strides=[s for _, s in DOWN["z"]], leaky=LEAK, grid=GRID,
                  z_dim=Z_DIM, classes=CLASSES, generator_sha256="")
    tensors = {k: v.half() for k, v in t.items()} | {"ref.x": x.float()}
    tensors |= {f"ref.{part}": says(t, part, x).float() for part in DOWN}
    write_any(out, tensors, {"gannet": dict(format=1, family="encoder", config=config)})


def read(path):
    with safe_open(path, "pt") as f:
        return {k: f.get_tensor(k).float() for k in f.keys()}, json.loads(f.metadata()["gannet"])


@torch.no_grad()
def pictures(models, out):
    tensors, manifest = read(os.path.join(models, "faces/generator.safetensors"))
    c = manifest["config"]
    channels = {4 << i: len(tensors[f"synthesis.b{4 << i}.conv1.bias"]) for i in range(c["num_ws"] // 2)}
    base = Generator(channels, c["z_dim"], c["w_dim"], c["mapping_layers"])
    base.load_state_dict(tensors)
    _, manifest = read(os.path.join(models, "icgan/generator.safetensors"))
    places = manifest["provenance"]["coordinates"]
    z = torch.from_numpy(rng("icgan").standard_normal((2, len(places["z"])))).float()
    classes = torch.tensor([6, 1])
    # A class is 4 · man + 2 · glasses + smile.
    bits = np.array([[k >> 2 & 1, k >> 1 & 1, k & 1] for k in classes.tolist()], bool)
    whole = torch.zeros(2, c["z_dim"])
    whole[:, places["z"]] = z / z.square().mean(1, keepdim=True).sqrt()
    whole[:, places["class"]] = torch.from_numpy(np.where(bits, YES, NO)).float()
    # The mapping without the normalisation of its whole input.
    w = whole
    for i in range(base.mapping.layers):
        fc = getattr(base.mapping, f"fc{i}")
        w = F.leaky_relu(F.linear(w, fc.weight * fc.weight_gain, fc.bias * fc.bias_gain), LEAK) * ACT_GAIN
    picture = base.synthesis(base.broadcast(w), "const")[:, :, ::THIN, ::THIN].contiguous()
    tensors = {"z": z, "classes": F.one_hot(classes, 8).float(), "w": w, "picture": picture}
    write_any(out, tensors, {"thin": THIN})


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--models", required=True)
    a.add_argument("--out", required=True)
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    small_pair(os.path.join(a.out, "small.safetensors"))
    pictures(a.models, os.path.join(a.out, "icgan.safetensors"))


if __name__ == "__main__":
    main()
