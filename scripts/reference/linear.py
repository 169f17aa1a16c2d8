"""Joint orthogonalisation by least squares, and resampling as Pillow and torch do it.

    python linear.py --linear tests/reference/linear --resample tests/reference/resample
"""
import argparse
import os

import numpy as np
import PIL.Image
import torch

from common import rng, write_any, write_json


def cos(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def one_by_one(d, cs):
    for c in cs:
        d = d - (d @ c) / (c @ c) * c
    return d


def orthogonal(out):
    r, cases, dim = rng("orthogonal"), {}, 48

    def case(name, d, cs):
        C = np.stack(cs, 1)
        x, _, rank, sv = np.linalg.lstsq(C, d, rcond=None)
        p = d - C @ x
        # the same by another road: the basis of the conditions' span
        u, s, _ = np.linalg.svd(C, full_matrices=False)
        u = u[:, s > s[0] * 1e-12]
        other = d - u @ (u.T @ d)
        other -= u @ (u.T @ other)
        gap = np.abs(p - other).max()
        assert gap < 1e-9, (name, gap)
        seq = one_by_one(d, cs)
        cases[name] = dict(
            direction=d.tolist(), conditions=[c.tolist() for c in cs], projected=other.tolist(), unit=(other / np.linalg.norm(other)).tolist(),
            projected_lstsq=p.tolist(), coefficients=x.tolist(), rank=int(rank), singular_values=sv.tolist(),
            norm_before=float(np.linalg.norm(d)), norm_after=float(np.linalg.norm(other)), cos_with_original=cos(d, other),
            cos_before=[cos(d, c) for c in cs], cos_after_max_abs=max(abs(cos(other, c)) for c in cs),
            gram=[[cos(a, b) for b in cs] for a in cs], chained=seq.tolist(), cos_chained_with_joint=cos(seq, other),
            two_ways_agree_to=float(gap))

    unit = lambda v: v / np.linalg.norm(v)
    v = lambda: unit(r.standard_normal(dim))
    d, base = v(), v()
    mix = lambda k: unit(unit(r.standard_normal(dim)) + k * base)
    case("one", unit(d + base), [mix(0.8)])
    case("two_correlated", unit(d + base), [mix(1.0), mix(1.5)])
    case("three_correlated", unit(d + 0.6 * base), [mix(0.7), mix(1.2), mix(2.0)])
    case("five_correlated", unit(d + 0.6 * base), [mix(k) for k in (0.5, 0.8, 1.0, 1.4, 3.0)])
    c = mix(1.0)
    case("two_nearly_parallel", unit(d + base), [c, unit(c + 1e-4 * v())])
    case("not_unit_norm", 3.5 * (d + base), [0.01 * mix(1.0), 40 * mix(1.0)])
    case("orthogonal_already", unit(one_by_one(d, [c])), [c])
    c2 = mix(1.2)
    case("three_dependent", unit(d + base), [c, c2, unit(2 * c - c2)])          # rank 2: the third adds nothing
    write_json(os.path.join(out, "orthogonal.json"), cases)


def picture(name, h, w):
    r = rng(name)
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    v = np.stack([128 + 90 * np.sin(x / 7 + y / 31), 255 * (y / h) * np.ones_like(x), 128 + 120 * np.cos((x - y) / 5) * (x / w)], -1)
    v += 12 * r.standard_normal(v.shape)
    v[h // 4:h // 2, w // 3:w // 3 + 9] = [255, 0, 20]
    return np.clip(np.rint(v), 0, 255).astype(np.uint8)


def resample(out):
    tensors = {}
    jobs = dict(down=("source_96x128", 96, 128, 64, 64), up=("source_30x40", 30, 40, 44, 52), wide=("source_96x128", 96, 128, 21, 60),
                exact=("source_96x128", 96, 128, 24, 32), tiny=("source_30x40", 30, 40, 3, 5))
    F = torch.nn.functional
    for job, (name, h, w, oh, ow) in jobs.items():
        src = picture(name, h, w)
        image = PIL.Image.fromarray(src)
        image.save(os.path.join(out, name + ".png"), optimize=True)
        tensors[name] = torch.from_numpy(src.copy())
        for f, tag in ((PIL.Image.Resampling.LANCZOS, "lanczos"), (PIL.Image.Resampling.BOX, "box"),
                       (PIL.Image.Resampling.BICUBIC, "bicubic")):
            tensors[f"{job}.{tag}.u8"] = torch.from_numpy(np.array(image.resize((ow, oh), f)))
            planes = [np.array(PIL.Image.fromarray(src[..., k].astype(np.float32)).resize((ow, oh), f)) for k in range(3)]
            tensors[f"{job}.{tag}.f32"] = torch.from_numpy(np.stack(planes, -1) / np.float32(255))
        t = torch.from_numpy(src.transpose(2, 0, 1)[None] / 255.0)
        tensors[f"{job}.torch_area.f32"] = F.interpolate(t, (oh, ow), mode="area")[0].permute(1, 2, 0).float().contiguous()
    write_any(os.path.join(out, "resample.safetensors"), dict(sorted(tensors.items())),
              {"jobs": {k: dict(source=v[0], height=v[3], width=v[4]) for k, v in jobs.items()}})


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--linear", required=True)
    a.add_argument("--resample", required=True)
    a = a.parse_args()
    orthogonal(a.linear)
    resample(a.resample)


if __name__ == "__main__":
    main()
