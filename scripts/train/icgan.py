"""An invertible conditional GAN: the classes, the codes of the data, the networks and their files.

After Perarnau et al., "Invertible Conditional GANs for image editing" (2016). A class says what a
user changes: sex, glasses, a smile. The code z holds the other draws of a picture, so z is
independent of the class.

The generator is the embedded one with its class at the input. The code of that one has a coordinate
for every draw (codes.py): those of the class are fixed numbers for each class, those that no draw
has are 0, and z is what is left. Only the first layer of the mapping differs, and there is an
embedding of the class, in the stylegan2-ada-pytorch format of conditional generators.

Letters in shapes: N batch, D dimensions of z, C classes, R side of a picture.
"""

import hashlib
import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import ndtri
from torch import nn

from attributes import load_tensors
from codes import HAIR_SLOTS, Codes
from editing import load_generator as load_base
from networks import ACT_GAIN, EPS

CLASSES = ("woman", "man")
CLASSES = tuple(a + b + c for a in CLASSES for b in ("", ", glasses") for c in ("", ", smile"))
BITS = {"male": 4, "glasses": 2, "smiling": 1}  # class = the sum of what holds
SMILE = 0.3  # a picture whose smile is stronger counts as smiling, 0 to 1
SMILE_FROM = 0.45 + 0.55 * SMILE  # the same in the draw of codes.py
SIDE = 64  # of the pictures that the encoders read
HELD_FROM = 19_000  # pictures from this row on are never trained on
# The draws that the class says, each with its share of [0, 1] for both: no, yes. The middle of the
# interval that stands for it; a smile is one of 0.65.
CLASSED = {"male": (0.25, 0.75), "glasses": (0.35, 0.9), "smile": (0.225, 0.8075)}
LEAK = 0.2

STRIDES = (2, 2, 1, 2, 1, 1)  # of both encoders
WIDTHS_Z = (32, 64, 96, 160, 160, 192)
WIDTHS_Y = (24, 48, 48, 80, 80, 96)
GRID = 4


class ClassCodes(Codes):
    """The class of every picture, and codes z for pictures by their place in the table."""

    def __init__(self, path):
        super().__init__(path, dim=1 << 10)
        column = self.names.index
        low = self.intervals[..., 0]
        truth = {
            "male": low[:, column("male")] >= 0.5,
            "glasses": self.intervals[:, column("glasses"), 1] >= 1,
            "smiling": low[:, column("smile")] > SMILE_FROM,
        }
        self.classes = sum(bit * truth[name] for name, bit in BITS.items()).astype(np.int64)
        kept = [i for i, name in enumerate(self.names) if name not in CLASSED]
        # Coordinates of the base's code: those of z in their order, and those of the class.
        self.of_z = kept + list(range(len(self.names), len(self.names) + HAIR_SLOTS))
        self.of_class = [column(name) for name in CLASSED]
        self.intervals, self.signs = self.intervals[:, kept], self.signs[kept]
        self.names = [self.names[i] for i in kept]
        self.dim = self.known = len(self.names) + HAIR_SLOTS


def one_hot(classes):
    """Classes [N] -> [N, C]."""
    return F.one_hot(classes, len(CLASSES)).float()


def with_bit(classes, name, on):
    """The classes with one attribute set or cleared."""
    return classes | BITS[name] if on else classes & ~BITS[name]


def class_numbers():
    """What the class says of the coordinates of `CLASSED`: [C, 3]."""
    rows = [
        [ndtri(CLASSED[draw][bool(c & bit)]) for draw, bit in zip(CLASSED, BITS.values())]
        for c in range(len(CLASSES))
    ]
    return torch.tensor(rows, dtype=torch.float32)


def overlay(base_path, codes):
    """The tensors in which the conditional generator differs from the base, and its `config`."""
    tensors, manifest = load_tensors(base_path)
    config, first = manifest["config"], tensors["mapping.fc0.weight"]
    w_dim, z_dim = first.shape
    n_in = codes.dim + w_dim
    # A layer divides its weights by the root of its inputs.
    first = first * math.sqrt(n_in / z_dim)
    weight = torch.zeros(w_dim, n_in)
    weight[:, : codes.dim] = first[:, codes.of_z]
    # The embedding of a class is a unit at its place, which is normalised to sqrt(w_dim).
    of_class = class_numbers() @ first[:, codes.of_class].T / math.sqrt(w_dim)
    weight[:, codes.dim : codes.dim + len(CLASSES)] = of_class.T
    embed = torch.zeros(w_dim, len(CLASSES))
    embed[: len(CLASSES)] = 8 * torch.eye(len(CLASSES))
    found = {
        "mapping.fc0.weight": weight,
        "mapping.embed.weight": embed,
        "mapping.embed.bias": torch.zeros(w_dim),
    }
    return found, config | {"name": "icgan", "z_dim": codes.dim, "c_dim": len(CLASSES)}


class Generator(nn.Module):
    """G: z [N, D] and one-hot classes [N, C] -> pictures [N, 3, R, R], about [-1, 1]."""

    def __init__(self, path, base_path):
        super().__init__()
        own, _ = load_tensors(path)
        base = load_base(base_path, "cpu")
        self.mapping, self.synthesis = base.mapping, base.synthesis
        self.first, self.embed = own["mapping.fc0.weight"], own["mapping.embed.weight"]
        self.z_dim = self.first.shape[1] - self.first.shape[0]
        self.requires_grad_(False).eval()

    def forward(self, z, y, dtype=torch.float32):
        fc0 = self.mapping.fc0
        x = torch.cat([normalised(z), normalised(y @ self.embed.T)], 1)
        gain = fc0.weight_gain * math.sqrt(fc0.weight.shape[1] / x.shape[1])
        x = F.linear(x, self.first * gain, fc0.bias * fc0.bias_gain)
        for i in range(1, self.mapping.layers):
            x = getattr(self.mapping, f"fc{i}")(F.leaky_relu(x, LEAK) * ACT_GAIN)
        w = F.leaky_relu(x, LEAK) * ACT_GAIN
        return self.synthesis(w[:, None].expand(-1, self.synthesis.num_ws, -1), "const", dtype)


def normalised(x):
    """Rows whose numbers have a mean square of 1."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + EPS)


def small(x):
    """Pictures as the encoders read them."""
    return F.avg_pool2d(x, x.shape[2] // SIDE) if x.shape[2] > SIDE else x


class Encoder(nn.Module):
    """A trunk of 3x3 convolutions, the means of a coarse grid, one linear layer.

    While it is trained every convolution is followed by batch normalisation; `tensors` folds that.
    """

    def __init__(self, outputs, widths, normalise=True):
        super().__init__()
        self.normalise, n_in = normalise, 3
        for i, (width, stride) in enumerate(zip(widths, STRIDES)):
            conv = nn.Conv2d(n_in, width, 3, stride, 1, bias=not normalise)
            nn.init.kaiming_normal_(conv.weight, LEAK)
            setattr(self, f"conv{i}", conv)
            if normalise:
                setattr(self, f"norm{i}", nn.BatchNorm2d(width, momentum=0.01))
            n_in = width
        self.out = nn.Linear(n_in * GRID * GRID, outputs)

    def forward(self, x):
        for i in range(len(STRIDES)):
            x = getattr(self, f"conv{i}")(x)
            if self.normalise:
                x = getattr(self, f"norm{i}")(x)
            x = F.leaky_relu(x, LEAK)
        return self.out(F.avg_pool2d(x, x.shape[2] // GRID).flatten(1)).float()

    @torch.no_grad()
    def tensors(self):
        """The same function as convolutions with biases, by name."""
        found = {"out.weight": self.out.weight, "out.bias": self.out.bias}
        for i in range(len(STRIDES)):
            conv, norm = getattr(self, f"conv{i}"), getattr(self, f"norm{i}")
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            found[f"conv{i}.weight"] = conv.weight * gain[:, None, None, None]
            found[f"conv{i}.bias"] = norm.bias - norm.running_mean * gain
        return {name: t.detach().clone() for name, t in found.items()}


class Encoders(nn.Module):
    """E_z and E_y: pictures [N, 3, 64, 64] -> codes [N, D] and logits of the classes [N, C]."""

    def __init__(self, z_dim, normalise=True):
        super().__init__()
        self.z = Encoder(z_dim, WIDTHS_Z, normalise)
        self.y = Encoder(len(CLASSES), WIDTHS_Y, normalise)

    def forward(self, x):
        return self.z(x), self.y(x)

    def tensors(self):
        parts = {"z": self.z.tensors(), "y": self.y.tensors()}
        return {f"{part}.{name}": t for part, all in parts.items() for name, t in all.items()}


def encoder_config(z_dim, generator_path):
    """The `config` of the encoders' file."""
    with open(generator_path, "rb") as f:
        sha256 = hashlib.sha256(f.read()).hexdigest()
    return {
        "kind": "pair",
        "input_resolution": SIDE,
        "strides": list(STRIDES),
        "leaky": LEAK,
        "grid": GRID,
        "z_dim": z_dim,
        "classes": len(CLASSES),
        "generator_sha256": sha256,
    }


def halved(tensors):
    """f16 tensors; stops where a number does not fit."""
    tensors = {name: t.half() for name, t in tensors.items() if "num_batches" not in name}
    for name, t in tensors.items():
        if not t.isfinite().all():
            raise SystemExit(f"{name} does not fit f16")
    return tensors


def load_encoders(path):
    """The encoders of a file, in f32."""
    tensors, manifest = load_tensors(path)
    encoders = Encoders(manifest["config"]["z_dim"], normalise=False)
    encoders.load_state_dict(tensors)
    return encoders.eval().requires_grad_(False)
