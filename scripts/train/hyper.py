"""The hypernetwork: from a picture, and what its code makes, to changes of the generator's weights.

After HyperStyle (Alaluf et al. 2022): a convolution's weight W becomes W (1 + gain), with one gain for
every pair of channels. Here a gain is a product of two thin matrices, as in My3DGen (Qi et al. 2023):
the network stays small. What it changes holds for every code of the picture, so edits carry it along.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from networks import activate, fir_kernel, upsample, EPS
from residual import LEAK, STRIDES, Branch

GRID = 4  # the last map is averaged over squares, so many a side
CODE = 128  # numbers that all heads read
RANK = 4
FROM = 16  # side of the first maps whose convolutions change; HyperStyle leaves coarse ones too
PACE = 0.1  # of the left factors: gains are small beside 1


def convolutions(synthesis, start=FROM):
    """Name and layer of every convolution that is changed, in the order of execution."""
    found = []
    for (block, _), side in zip(synthesis.blocks(), synthesis.resolutions):
        for name in ("conv0", "conv1"):
            if side >= start and hasattr(block, name):
                found.append((f"synthesis.b{side}.{name}.weight", getattr(block, name)))
    return found


class Hyper(nn.Module):
    """Pictures x, y [N, 3, R, R] in [-1, 1] -> factors of gains: of every layer left [N, O, rank] and
    right [N, rank, I].

    `widths` are the channels of the way down, one a stride; `shapes` (O, I) of the layers.
    """

    def __init__(self, widths, shapes, strides=STRIDES, grid=GRID, code=CODE, rank=RANK):
        super().__init__()
        self.strides, self.grid, self.rank, self.shapes = tuple(strides), grid, rank, list(shapes)
        n_in = 6
        for i, (n_out, stride) in enumerate(zip(widths, strides)):
            setattr(self, f"conv{i}", Branch.made(n_in, n_out, stride))
            n_in = n_out
        self.code = nn.Linear(n_in * grid * grid, code)
        for i, (n_out, n_in) in enumerate(self.shapes):
            left, right = nn.Linear(code, n_out * rank), nn.Linear(code, rank * n_in)
            nn.init.zeros_(left.weight)
            nn.init.zeros_(left.bias)
            nn.init.normal_(right.weight, std=0.5 / math.sqrt(code))
            nn.init.normal_(right.bias)
            setattr(self, f"left{i}", left)
            setattr(self, f"right{i}", right)
        self.register_buffer("pace", torch.tensor(PACE))

    grow_from = Branch.grow_from

    def forward(self, x, y):
        x = torch.cat([x.clamp(-1, 1), y.clamp(-1, 1)], 1)
        for i in range(len(self.strides)):
            x = F.leaky_relu(getattr(self, f"conv{i}")(x), LEAK)
        code = F.leaky_relu(self.code(F.adaptive_avg_pool2d(x, self.grid).flatten(1)), LEAK).float()
        factors = []
        for i, (n_out, n_in) in enumerate(self.shapes):
            left = getattr(self, f"left{i}")(code).float() * self.pace
            right = getattr(self, f"right{i}")(code).float()
            factors.append((left.unflatten(1, (n_out, -1)), right.unflatten(1, (-1, n_in))))
        return factors


def stored(net):
    """The tensors of a model file: `pace` folded into the left factors, in f16."""
    tensors = {k: t.detach().clone() for k, t in net.state_dict().items() if k != "pace"}
    for name in tensors:
        if name.startswith("left"):
            tensors[name] *= net.pace
    return {k: t.half() for k, t in tensors.items()}


def settings(net, resolution, names, generator_sha256):
    """The `config` of a model file; `names` are the weights that are changed."""
    return {
        "input_resolution": resolution,
        "strides": list(net.strides),
        "leaky": LEAK,
        "grid": net.grid,
        "rank": net.rank,
        "weights": names,
        "generator_sha256": generator_sha256,
    }


def changed(layer, x, w, factors):
    """`SynthesisLayer.forward` with constant noise and a weight of its own for every picture.

    x [NIHW], w [ND], factors [NOr] and [NrI] -> [NOHW].
    """
    dtype, n = x.dtype, len(x)
    left, right = factors
    weight = layer.weight / math.sqrt(layer.weight[0].numel()) * (1 + left @ right)[..., None, None]
    styles = layer.affine(w)  # [NI]
    power = weight.square().sum((3, 4))  # [NOI]
    demod = torch.rsqrt((power @ styles.square()[..., None])[..., 0] + EPS)  # [NO]
    x = (x * styles[:, :, None, None].to(dtype)).reshape(1, -1, *x.shape[2:])
    kernel = weight.to(dtype)  # [NOIkk]
    if layer.up:
        x = F.conv_transpose2d(x, kernel.transpose(1, 2).flatten(0, 1), stride=2, groups=n)
        x = x.unflatten(1, (n, -1))[0]
        x = F.conv2d(x, fir_kernel(x.shape[1], dtype, x.device), padding=1, groups=x.shape[1])
    else:
        x = F.conv2d(x, kernel.flatten(0, 1), padding=1, groups=n).unflatten(1, (n, -1))[0]
    bias = layer.bias[:, None, None].to(dtype)
    return activate(x, demod[:, :, None, None].to(dtype), layer._noise(x, "const"), bias)


def finished(synthesis, ws, factors, start=FROM, dtype=torch.bfloat16):
    """The pictures of codes [N, L, D] with these factors, one pair a changed layer."""
    x, img, left = ws.new_zeros((), dtype=dtype), None, iter(factors)
    for (block, at), side in zip(synthesis.blocks(), synthesis.resolutions):
        rows = ws[:, at : at + block.num_convs + 1]
        if side < start:
            with torch.no_grad():
                x, img = block(x, img, rows, "const")
            continue
        x = changed(block.conv0, x, rows[:, 0], next(left))
        x = changed(block.conv1, x, rows[:, 1], next(left))
        img = upsample(img) + block.torgb(x, rows[:, 2])
    return img
