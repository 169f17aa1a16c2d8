"""The generator: an ordinary StyleGAN2.

Parameter names, shapes and arithmetic of `Generator` are those of the stylegan2-ada-pytorch
checkpoint format with the `skip` architecture, so `state_dict()` minus nothing loads there once
the constant `resample_filter` buffers are added. Formulas: Karras et al., "Analyzing and
Improving the Image Quality of StyleGAN" (2020), section 2 and appendix B.

Letters in shapes: N batch, O and I channels out and in, k kernel, H W pixels, D latent, L layers.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

LEAK = 0.2
ACT_GAIN = math.sqrt(2)
EPS = 1e-8


class FullyConnected(nn.Module):
    """Linear layer with equalised learning rate: weights are stored divided by `lr_mul`."""

    def __init__(self, n_in, n_out, bias=0.0, lr_mul=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in) / lr_mul)  # [OI]
        self.bias = nn.Parameter(torch.full((n_out,), float(bias)))  # [O]
        self.weight_gain = lr_mul / math.sqrt(n_in)
        self.bias_gain = lr_mul

    def forward(self, x):  # [NI] -> [NO]
        return F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)


def activate(x, scale, noise, bias):
    """Demodulate, add noise and bias, leaky ReLU. One function so that it can be compiled."""
    return F.leaky_relu(x * scale + noise + bias, LEAK) * ACT_GAIN


def fir_kernel(channels, dtype, device):
    """The low-pass filter [1, 3, 3, 1] in two dimensions with gain 4, one a channel: [C1kk]."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], device=device) / 4
    return torch.outer(taps, taps).to(dtype).expand(channels, 1, 4, 4).contiguous()


def upsample(img):
    """Twice the size by zero insertion and the filter: [NCHW] -> [NC(2H)(2W)]."""
    kernel = fir_kernel(img.shape[1], img.dtype, img.device)
    return F.conv_transpose2d(img, kernel, stride=2, padding=1, groups=img.shape[1])


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, activation; `up` doubles the size."""

    def __init__(self, n_in, n_out, w_dim, resolution, up=False):
        super().__init__()
        self.affine = FullyConnected(w_dim, n_in, bias=1.0)
        self.weight = nn.Parameter(torch.randn(n_out, n_in, 3, 3))  # [OIkk]
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.resolution, self.up = resolution, up

    def forward(self, x, w, noise="random"):  # [NIHW], [ND] -> [NOHW]
        dtype = x.dtype
        styles = self.affine(w)  # [NI]
        # The kernel's own scale cancels in the demodulation; this one keeps bf16 sums small.
        weight = self.weight / math.sqrt(self.weight[0].numel())
        demod = torch.rsqrt(styles.square() @ weight.square().sum((2, 3)).t() + EPS)  # [NO]
        x = x * styles[:, :, None, None].to(dtype)
        kernel = weight.to(dtype)
        if self.up:
            kernel = kernel.transpose(0, 1).contiguous(memory_format=torch.channels_last)
            x = F.conv_transpose2d(x, kernel, stride=2)
            x = F.conv2d(x, fir_kernel(x.shape[1], dtype, x.device), padding=1, groups=x.shape[1])
        else:
            x = F.conv2d(x, kernel.contiguous(memory_format=torch.channels_last), padding=1)
        bias = self.bias[:, None, None].to(dtype)
        return activate(x, demod[:, :, None, None].to(dtype), self._noise(x, noise), bias)

    def _noise(self, x, mode):
        if mode == "none":
            return torch.zeros(1, 1, 1, 1, dtype=x.dtype, device=x.device)
        if mode == "const":
            return (self.noise_const * self.noise_strength).to(x.dtype)[None, None]
        noise = torch.randn(x.shape[0], 1, *x.shape[2:], device=x.device)
        return (noise * self.noise_strength).to(x.dtype)


class ToRgb(nn.Module):
    """Modulated 1x1 convolution to the picture's channels, without demodulation."""

    def __init__(self, n_in, n_out, w_dim):
        super().__init__()
        self.affine = FullyConnected(w_dim, n_in, bias=1.0)
        self.weight = nn.Parameter(torch.randn(n_out, n_in, 1, 1))  # [OI11]
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.weight_gain = 1 / math.sqrt(n_in)

    def forward(self, x, w):  # [NIHW], [ND] -> [NOHW] in f32
        styles = self.affine(w) * self.weight_gain
        y = F.conv2d(x * styles[:, :, None, None].to(x.dtype), self.weight.to(x.dtype))
        return y.float() + self.bias[:, None, None]


class SynthesisBlock(nn.Module):
    """One resolution: the constant or an up convolution, a convolution, and toRGB."""

    def __init__(self, n_in, n_out, w_dim, resolution, img_channels):
        super().__init__()
        if n_in == 0:
            self.const = nn.Parameter(torch.randn(n_out, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(n_in, n_out, w_dim, resolution, up=True)
        self.conv1 = SynthesisLayer(n_out, n_out, w_dim, resolution)
        self.torgb = ToRgb(n_out, img_channels, w_dim)
        self.first = n_in == 0
        self.num_convs = 1 if self.first else 2

    def forward(self, x, img, ws, noise):  # ws [N, num_convs + 1, D]
        if self.first:
            x = self.const.to(x.dtype)[None].expand(len(ws), -1, -1, -1)
            x = x.contiguous(memory_format=torch.channels_last)
        else:
            x = self.conv0(x, ws[:, 0], noise)
            img = upsample(img)
        x = self.conv1(x, ws[:, self.num_convs - 1], noise)
        rgb = self.torgb(x, ws[:, self.num_convs])
        return x, rgb if img is None else img + rgb


class Mapping(nn.Module):
    """z [N, Dz] -> w [N, Dw]; keeps the moving average `w_avg` while training."""

    def __init__(self, z_dim, w_dim, layers=4, lr_mul=0.01, w_avg_beta=0.995):
        super().__init__()
        self.layers, self.w_avg_beta = layers, w_avg_beta
        for i in range(layers):
            setattr(
                self, f"fc{i}", FullyConnected(z_dim if i == 0 else w_dim, w_dim, lr_mul=lr_mul)
            )
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z):
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + EPS)
        for i in range(self.layers):
            x = F.leaky_relu(getattr(self, f"fc{i}")(x), LEAK) * ACT_GAIN
        if self.training:
            self.w_avg.lerp_(x.detach().mean(0), 1 - self.w_avg_beta)
        return x


class Synthesis(nn.Module):
    """ws [N, L, D] -> picture [N, C, R, R], about [-1, 1]. L = 2 log2(R) - 2."""

    def __init__(self, w_dim, channels, img_channels=3):
        super().__init__()
        self.resolutions = sorted(channels)
        previous = 0
        for r in self.resolutions:
            block = SynthesisBlock(previous, channels[r], w_dim, r, img_channels)
            setattr(self, f"b{r}", block)
            previous = channels[r]
        self.num_ws = 2 * len(self.resolutions)

    def blocks(self):
        """Each block with the index of its first row of `ws`."""
        start = 0
        for r in self.resolutions:
            block = getattr(self, f"b{r}")
            yield block, start
            start += block.num_convs

    def forward(self, ws, noise="const", dtype=torch.float32, up_to=None):
        """`up_to` stops at that resolution, for the cheap first part of training."""
        x, img = ws.new_zeros((), dtype=dtype), None
        for (block, start), resolution in zip(self.blocks(), self.resolutions):
            if up_to and resolution > up_to:
                break
            x, img = block(x, img, ws[:, start : start + block.num_convs + 1], noise)
        return img


class Generator(nn.Module):
    """`channels` maps each resolution to its feature maps, e.g. `{4: 256, 8: 128}`."""

    def __init__(self, channels, z_dim=256, w_dim=256, mapping_layers=4):
        super().__init__()
        sizes = {"z_dim": z_dim, "w_dim": w_dim, "mapping_layers": mapping_layers}
        self.config = {"channels": channels, **sizes}
        self.mapping = Mapping(z_dim, w_dim, mapping_layers)
        self.synthesis = Synthesis(w_dim, channels)

    def broadcast(self, w):  # [ND] -> [NLD]
        return w[:, None].expand(-1, self.synthesis.num_ws, -1)

    def forward(self, z, psi=1.0, noise="const", dtype=torch.float32):
        w = self.mapping(z)
        if psi != 1:
            w = self.mapping.w_avg.lerp(w, psi)
        return self.synthesis(self.broadcast(w), noise, dtype)
