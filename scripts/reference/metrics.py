"""Image metrics of fixed pairs: scikit-image, and MS-SSIM by its definition, cross-checked with pytorch-msssim.

    python metrics.py --out tests/reference/metrics

Pairs are stored as 8-bit PNGs and as one f32 .npy pair (values outside [0,1] included). "unit" numbers are of v/255 in
[0,1] (data range 1); "signed" numbers are of 2v/255-1 in [-1,1] (data range 2).
"""
import argparse
import math
import os

import numpy as np
import PIL.Image
import torch
from pytorch_msssim import ms_ssim as peer_ms_ssim
from pytorch_msssim import ssim as peer_ssim
from scipy.ndimage import convolve1d
from skimage import metrics as sk

from common import rng, write_json

WEIGHTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]


def window():
    x = np.arange(11) - 5
    g = np.exp(-x ** 2 / (2 * 1.5 ** 2))
    return g / g.sum()


def blur_valid(x):
    g = window()
    for axis in (0, 1):
        x = convolve1d(x, g, axis=axis, mode="constant")
    return x[5:-5, 5:-5]


def ssim_maps(a, b, peak):
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    ma, mb = blur_valid(a), blur_valid(b)
    va, vb, cov = blur_valid(a * a) - ma * ma, blur_valid(b * b) - mb * mb, blur_valid(a * b) - ma * mb
    cs = (2 * cov + c2) / (va + vb + c2)
    return (2 * ma * mb + c1) / (ma * ma + mb * mb + c1) * cs, cs


def ms_ssim(a, b, peak):
    """Wang, Simoncelli, Bovik 2003, one channel: product of cs^w over scales, the last scale's whole ssim instead."""
    out = 1.0
    for i, w in enumerate(WEIGHTS):
        full, cs = ssim_maps(a, b, peak)
        out *= max((full if i == 4 else cs).mean(), 0.0) ** w
        a, b = (x[:x.shape[0] // 2 * 2, :x.shape[1] // 2 * 2].reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).mean((1, 3))
                for x in (a, b))
    return out


def render(name, h, w, c):
    """A picture with smooth ramps, a disc, an edge and texture."""
    r = rng("metrics." + name)
    y, x = np.mgrid[0:h, 0:w] / max(h, w)
    chans = []
    for k in range(c):
        p = r.uniform(0, 1, 8)
        v = 0.25 + 0.5 * (p[0] * x + p[1] * y) + 0.15 * np.sin(2 * np.pi * (3 + 4 * p[2]) * x + 6 * p[3])
        v = v + 0.3 * (np.hypot(x - 0.5 * p[4] - .2, y - 0.5 * p[5] - .2) < 0.2) - 0.2 * (x + 0.3 * y > 0.8)
        v = v + 0.05 * r.standard_normal((h // 4, w // 4)).repeat(4, 0).repeat(4, 1)
        chans.append(v)
    return np.stack(chans, -1)


def distort(v, kind, r):
    if kind == "noise":
        return v + 0.08 * r.standard_normal(v.shape)
    if kind == "blur":
        for axis in (0, 1):
            v = convolve1d(v, np.array([1, 4, 6, 4, 1]) / 16, axis=axis, mode="nearest")
        return v
    if kind == "shift":
        return np.roll(v, (1, 2), (0, 1))
    if kind == "gain":
        return 0.8 * v + 0.12
    if kind == "blocks":
        return v.reshape(v.shape[0] // 8, 8, v.shape[1] // 8, 8, -1).mean((1, 3), keepdims=True).repeat(8, 1).repeat(8, 3).reshape(v.shape)
    if kind == "one":
        v = v.copy()
        v[v.shape[0] // 2, v.shape[1] // 3] += 0.5
        return v
    if kind == "negative":
        return 1 - v
    if kind == "same":
        return v
    raise ValueError(kind)


PAIRS = [("gray_48x64_noise", 48, 64, 1, "noise"), ("gray_48x64_gain", 48, 64, 1, "gain"), ("gray_48x64_one", 48, 64, 1, "one"),
         ("gray_48x64_negative", 48, 64, 1, "negative"), ("rgb_48x64_noise", 48, 64, 3, "noise"), ("rgb_48x64_shift", 48, 64, 3, "shift"),
         ("rgb_48x64_blur", 48, 64, 3, "blur"), ("rgb_48x64_same", 48, 64, 3, "same"), ("gray_192x192_noise", 192, 192, 1, "noise"),
         ("gray_192x192_blocks", 192, 192, 1, "blocks"), ("rgb_192x192_blur", 192, 192, 3, "blur"), ("gray_192x192_negative", 192, 192, 1, "negative"), ("gray_177x183_shift", 180, 184, 1, "shift")]


def numbers(a, b, peak):
    """a, b: f64 [H, W, C]."""
    multi = a.shape[2] > 1
    x, y = (a, b) if multi else (a[..., 0], b[..., 0])
    axis = 2 if multi else None
    mse = float(sk.mean_squared_error(x, y))
    assert abs(mse - np.mean((a - b) ** 2)) < 1e-15
    psnr = None if mse == 0 else float(sk.peak_signal_noise_ratio(x, y, data_range=peak))
    assert psnr is None or abs(psnr - 10 * math.log10(peak ** 2 / mse)) < 1e-10
    out = dict(mse=mse, mae=float(np.abs(a - b).mean()), rmse=math.sqrt(mse), psnr=psnr,
               ssim_uniform7=float(sk.structural_similarity(x, y, data_range=peak, channel_axis=axis)),
               ssim_gaussian11=float(sk.structural_similarity(x, y, data_range=peak, channel_axis=axis, gaussian_weights=True,
                                                              sigma=1.5, use_sample_covariance=False, truncate=3.5)))
    ours = float(np.mean([ssim_maps(a[..., k], b[..., k], peak)[0].mean() for k in range(a.shape[2])]))
    assert abs(ours - out["ssim_gaussian11"]) < 1e-10, (ours, out["ssim_gaussian11"])
    t = [torch.from_numpy(v.transpose(2, 0, 1)[None].copy()) for v in (a, b)]
    kw = dict(data_range=peak, win=torch.from_numpy(window()).repeat(a.shape[2], 1, 1, 1))     # its own window is f32
    assert abs(peer_ssim(*t, **kw).item() - ours) < 1e-12
    out["ms_ssim"] = None
    if min(a.shape[:2]) >= 176:
        out["ms_ssim"] = float(np.mean([ms_ssim(a[..., k], b[..., k], peak) for k in range(a.shape[2])]))
        if all(s % 16 == 0 for s in a.shape[:2]):       # odd sizes: the peer pads where the definition drops a row
            peer = peer_ms_ssim(*t, **kw, weights=WEIGHTS).item()
            assert abs(peer - out["ms_ssim"]) < 2e-8, (peer, out["ms_ssim"])      # it keeps the exponents in f32
    return out


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--out", required=True)
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    expected = {}
    for name, h, w, c, kind in PAIRS:
        v = render(name, h, w, c)
        d = distort(v, kind, rng("distort." + name))
        if name == "gray_177x183_shift":
            v, d = v[:177, :183], d[:177, :183]
        files = {}
        px = [np.clip(np.rint(t * 255), 0, 255).astype(np.uint8) for t in (v, d)]
        for tag, p in zip("ab", px):
            files[tag] = f"{name}.{tag}.png"
            PIL.Image.fromarray(p[..., 0] if c == 1 else p).save(os.path.join(a.out, files[tag]), optimize=True)
        x, y = (p.astype(np.float64) / 255 for p in px)
        expected[name] = dict(files=files, height=px[0].shape[0], width=px[0].shape[1], channels=c, distortion=kind,
                              unit=numbers(x, y, 1.0), signed=numbers(2 * x - 1, 2 * y - 1, 2.0))
    # floats as a generator leaves them: slightly outside [-1,1], no rounding to bytes
    v = (2 * render("float", 40, 56, 3) - 1).astype(np.float32)
    d = (v + 0.1 * rng("distort.float").standard_normal(v.shape)).astype(np.float32)
    files = {}
    for tag, p in zip("ab", (v, d)):
        files[tag] = f"float_40x56.{tag}.npy"
        np.save(os.path.join(a.out, files[tag]), p)
    expected["float_40x56"] = dict(files=files, height=40, width=56, channels=3, distortion="noise", layout="HWC f32, range about [-1,1]",
                                   unit=None, signed=numbers(v.astype(np.float64), d.astype(np.float64), 2.0))
    write_json(os.path.join(a.out, "expected.json"), expected)


if __name__ == "__main__":
    main()
