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


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    multiscale(a.out)
    degradations(a.out)
