"""The feature-residual branch: from a picture, and what its code makes, to the change of one map.

After HFGI (Wang et al. 2022) and StyleFeatureEditor (Bobkov et al. 2024): a code of W+ leaves out
what no code holds. The branch looks at the picture and at the reconstruction, and gives what is to
be added to the map of one convolution of the generator. That stays when the code is edited, so the
branch is trained on edits too: it puts in what survives them, and nothing else.

The way down is the encoder's: it has learnt to compare the two pictures. The way up goes back to
the side of the map, beside the maps of the way down.
"""

import torch
import torch.nn.functional as F
from torch import nn

from networks import upsample

LEAK = 0.2
# Of the way down: 128 -> 64, 32, 32, 16, 16, 8, 8; the first convolutions of the encoder.
STRIDES = (2, 2, 1, 2, 1, 2, 1)
# Channels of the way up, one convolution for every doubling.
UP = {16: (128,), 32: (64, 96)}


class Branch(nn.Module):
    """Pictures x, y [N, 3, R, R] in [-1, 1] -> what is added to a map, [N, C, S, S].

    `widths` are the channels of the way down, one a stride; `up` those of the way up. `spread` [C]
    is the deviation of the map's channels: the last convolution works in it. `stored` folds it in.
    """

    def __init__(self, widths, up, channels, strides=STRIDES):
        super().__init__()
        self.strides, self.up = tuple(strides), tuple(up)
        n_in = 6
        for i, (n_out, stride) in enumerate(zip(widths, strides)):
            setattr(self, f"conv{i}", self.made(n_in, n_out, stride))
            n_in = n_out
        beside = self.beside()
        for i, n_out in enumerate(self.up):
            setattr(self, f"up{i}", self.made(n_in + widths[beside[i]], n_out, 1))
            n_in = n_out
        self.out = nn.Conv2d(n_in, channels, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("spread", torch.ones(channels))

    @staticmethod
    def made(n_in, n_out, stride):
        conv = nn.Conv2d(n_in, n_out, 3, stride, padding=1)
        nn.init.kaiming_normal_(conv.weight, a=LEAK)
        nn.init.zeros_(conv.bias)
        return conv

    def beside(self):
        """The convolution of the way down whose map stands beside each one of the way up: the last
        one before every stride, from the end."""
        before = [i - 1 for i, stride in enumerate(self.strides) if stride > 1 and i > 0]
        return before[::-1][: len(self.up)]

    def forward(self, x, y):
        x, maps = torch.cat([x.clamp(-1, 1), y.clamp(-1, 1)], 1), []
        for i in range(len(self.strides)):
            x = F.leaky_relu(getattr(self, f"conv{i}")(x), LEAK)
            maps.append(x)
        for i, at in enumerate(self.beside()):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = F.leaky_relu(getattr(self, f"up{i}")(torch.cat([x, maps[at]], 1)), LEAK)
        return self.out(x).float() * self.spread[:, None, None]

    @torch.no_grad()
    def grow_from(self, tensors):
        """Take the first convolutions of an encoder."""
        for i in range(len(self.strides)):
            conv = getattr(self, f"conv{i}")
            conv.weight.copy_(tensors[f"conv{i}.weight"])
            conv.bias.copy_(tensors[f"conv{i}.bias"])


def stored(net):
    """The tensors of a model file: `spread` folded into the last convolution, in f16."""
    tensors = {k: t.detach().clone() for k, t in net.state_dict().items() if k != "spread"}
    tensors["out.weight"] *= net.spread[:, None, None, None]
    tensors["out.bias"] *= net.spread
    return {k: t.half() for k, t in tensors.items()}


def settings(net, resolution, side, generator_sha256):
    """The `config` of a model file."""
    return {
        "input_resolution": resolution,
        "strides": list(net.strides),
        "leaky": LEAK,
        "layer": layer_of(side),
        "side": side,
        "generator_sha256": generator_sha256,
    }


def layer_of(side):
    """The index, among the generator's convolutions, of the last one whose map has that side."""
    return 2 * (side.bit_length() - 3)


def reached(synthesis, ws, side, dtype=torch.bfloat16):
    """What the generator has at the last convolution of that side: its map, and the picture that
    the smaller sides have summed up."""
    x, img = ws.new_zeros((), dtype=dtype), None
    for (block, start), resolution in zip(synthesis.blocks(), synthesis.resolutions):
        rows = ws[:, start : start + block.num_convs + 1]
        if resolution < side:
            x, img = block(x, img, rows, "const")
            continue
        x = block.conv0(x, rows[:, 0], "const")
        return block.conv1(x, rows[:, 1], "const"), upsample(img)
    raise ValueError(f"the generator has no map of {side}")


def finished(synthesis, x, img, ws, side):
    """The picture of a map of that side, as `reached` gives it."""
    for (block, start), resolution in zip(synthesis.blocks(), synthesis.resolutions):
        rows = ws[:, start : start + block.num_convs + 1]
        if resolution == side:
            img = img + block.torgb(x, rows[:, 2])
        elif resolution > side:
            x, img = block(x, img, rows, "const")
    return img
