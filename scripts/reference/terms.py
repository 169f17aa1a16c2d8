"""Terms of the loss of an inversion, and what happens to a picture before it is compared.

    python terms.py --out tests/reference/terms

Everything is computed in f64 from inputs that are rounded to f32 first.
"""
import argparse
import io
import os

import numpy as np
import torch
import torch.nn.functional as F

from common import rng, write_tensors

SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW = 11


def single(x):
    """f64 numbers that f32 holds exactly."""
    return torch.as_tensor(np.asarray(x, np.float32).astype(np.float64))


def picture(name, shape):
    """Waves and noise, mostly in [-1, 1]."""
    r = rng(name)
    n, c, h, w = shape
    y, x = np.mgrid[0:h, 0:w]
    out = np.zeros(shape)
    for i in range(n):
        for k in range(c):
            for _ in range(4):
                fy, fx, phase, size = r.uniform(0.02, 0.5, 4) * [1, 1, 12, 0.8]
                out[i, k] += size * np.sin(fy * y + fx * x + phase)
    return single(out + 0.05 * r.randn(*shape))


def structure(a, b, window):
    """The means over each channel of SSIM and of its contrast-structure part, values in [0, 1]."""
    c = a.shape[1]

    def blur(t):
        t = F.conv2d(t, window.view(1, 1, -1, 1).expand(c, 1, -1, 1), groups=c)
        return F.conv2d(t, window.view(1, 1, 1, -1).expand(c, 1, 1, -1), groups=c)
    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma ** 2, blur(b * b) - mb ** 2, blur(a * b) - ma * mb
    cs = (2 * cov + 0.03 ** 2) / (va + vb + 0.03 ** 2)
    whole = cs * (2 * ma * mb + 0.01 ** 2) / (ma ** 2 + mb ** 2 + 0.01 ** 2)
    return whole.flatten(2).mean(2), cs.flatten(2).mean(2)


def msssim(a, b, exponents):
    """MS-SSIM in [0, 1] with these exponents, finest scale first, mean over the channels; means must be positive."""
    x = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    window = torch.exp(-x ** 2 / (2 * 1.5 ** 2))
    window = window / window.sum()
    product = 1
    for k, e in enumerate(exponents):
        whole, cs = structure(a, b, window)
        part = whole if k + 1 == len(exponents) else cs
        assert part.min() > 0.05, part
        product = product * part ** e
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return product.mean(1)


def multiscale(out):
    cases = dict(large=((1, 1, 176, 176), 5), odd=((1, 1, 181, 177), 5), small=((2, 3, 33, 32), 2), least=((1, 3, 11, 14), 1))
    tensors = {}
    for case, (shape, scales) in cases.items():
        target = picture(case, shape)
        moved = single(0.7 * target + 0.3 * picture(case + " other", shape)).requires_grad_()
        exponents = np.array(SCALES[:scales]) / (np.sum(SCALES[:scales]) if scales < 5 else 1)
        value = msssim((moved + 1) / 2, (target + 1) / 2, exponents)
        try:
            from pytorch_msssim import ms_ssim
            if scales == 5:
                theirs = ms_ssim((moved + 1) / 2, (target + 1) / 2, data_range=1, size_average=False, weights=list(SCALES))
                print(case, "differs from pytorch-msssim by", (theirs - value).abs().max().item())
        except ImportError:
            pass
        gradient, = torch.autograd.grad(value.sum(), moved)
        tensors |= {f"{case}.{k}": v for k, v in dict(target=target, picture=moved, value=value, gradient=gradient).items()}
    write_tensors(os.path.join(out, "msssim.safetensors"), tensors, {})


def degradations(out):
    """By scipy and Pillow, from bytes: what they round is rounded here too."""
    from PIL import Image
    from scipy.ndimage import gaussian_filter
    levels = (picture("degradations", (1, 3, 48, 64)).numpy()[0] + 1) * 127.5
    levels = np.clip(np.round(levels), 0, 255).astype(np.uint8)
    unit = lambda t: t.astype(np.float64) / 127.5 - 1
    whole = unit(levels)
    image = Image.fromarray(levels.transpose(1, 2, 0))

    def jpeg(img, quality):
        file = io.BytesIO()
        img.save(file, "jpeg", quality=quality)
        return np.asarray(Image.open(file)).astype(np.float64) / 127.5 - 1
    grey = image.convert("L")
    tensors = dict(picture=whole, grey=unit(np.asarray(grey)), down=unit(np.asarray(image.reduce(4)).transpose(2, 0, 1)),
                   blur=np.stack([gaussian_filter(c, 1.3) for c in whole]),
                   wide=np.stack([gaussian_filter(c, 20) for c in whole]),
                   jpeg30=jpeg(image, 30).transpose(2, 0, 1), jpeg90=jpeg(image, 90).transpose(2, 0, 1),
                   grey_jpeg30=jpeg(grey, 30))
    write_tensors(os.path.join(out, "degrade.safetensors"), tensors, {})


def hashed(shape, k, scale):
    """Numbers in [-scale, scale) by a formula that the tests have too: no one's weights, and nothing to store."""
    mask = np.uint64(0xFFFFFFFF)
    h = (np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(k * 7654321 & 0xFFFFFFFF)) & mask
    h = h * np.uint64(2654435761) & mask
    h = h ^ h >> np.uint64(16)
    h = h * np.uint64(2246822519) & mask
    h = h ^ h >> np.uint64(13)
    return single(((h >> np.uint64(8)).astype(np.float64) / 2 ** 23 - 1) * scale).reshape(shape)


class Layers:
    """Convolutions with hashed weights, in the order in which they are called."""
    def __init__(self):
        self.count = 0

    def __call__(self, x, outer, size, stride=1, padding=0):
        k, self.count = 2 * self.count, self.count + 1
        inner = x.shape[1]
        weight = hashed((outer, inner, size, size), k, (6 / (inner * size * size)) ** .5)
        return F.relu(F.conv2d(x, weight, hashed((outer,), k + 1, .1), stride, padding))


def vgg(x):
    conv, taps = Layers(), []
    for i, widths in enumerate([(64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3]):
        x = F.max_pool2d(x, 2, 2) if i else x
        for w in widths:
            x = conv(x, w, 3, padding=1)
        taps.append(x)
    return taps


def alex(x):
    conv, taps = Layers(), []
    for outer, size, stride, padding, pool in [(64, 11, 4, 2, 0), (192, 5, 1, 2, 1), (384, 3, 1, 1, 1), (256, 3, 1, 1, 0), (256, 3, 1, 1, 0)]:
        x = F.max_pool2d(x, 3, 2) if pool else x
        x = conv(x, outer, size, stride, padding)
        taps.append(x)
    return taps


def squeeze(x):
    conv = Layers()

    def fire(x, squeezed, each):
        x = conv(x, squeezed, 1)
        return torch.cat([conv(x, each, 1), conv(x, each, 3, padding=1)], 1)
    pool = lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True)
    taps = [conv(x, 64, 3, 2)]
    taps.append(fire(fire(pool(taps[-1]), 16, 64), 16, 64))
    taps.append(fire(fire(pool(taps[-1]), 32, 128), 32, 128))
    taps.append(fire(pool(taps[-1]), 48, 192))
    for squeezed, each in [(48, 192), (64, 256), (64, 256)]:
        taps.append(fire(taps[-1], squeezed, each))
    return taps


def lpips(out):
    """LPIPS as its paper and package define it: standardised pictures, taps of unit length, heads of 1x1."""
    column = lambda *v: torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1)
    shift, scale = column(-.030, -.088, -.188), column(.458, .448, .450)
    tensors = {}
    for net in (vgg, alex, squeeze):
        a, b = hashed((1, 3, 64, 64), 2001, .9).requires_grad_(), hashed((1, 3, 64, 64), 2002, .9)
        value = 0
        for k, (p, q) in enumerate(zip(net((a - shift) / scale), net((b - shift) / scale))):
            unit = lambda t: t / (t.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)
            head = hashed((1, p.shape[1], 1, 1), 1000 + k, 1).abs()
            value = value + F.conv2d((unit(p) - unit(q)) ** 2, head).mean((1, 2, 3))
        gradient, = torch.autograd.grad(value.sum(), a)
        assert torch.isfinite(gradient).all()
        tensors |= {f"{net.__name__}.value": value, f"{net.__name__}.gradient": gradient}
    write_tensors(os.path.join(out, "lpips.safetensors"), tensors, {})


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    multiscale(a.out)
    degradations(a.out)
    lpips(a.out)
