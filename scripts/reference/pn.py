"""The whitening of a cloud of codes of W, as the spaces P and PN use it.

    python pn.py --out tests/reference/pn
"""
import argparse
import os

import numpy as np

from common import write_json

D, SAMPLES, QUERIES = 4, 60, 5


def before_activation(w):
    w = w.astype(np.float64)
    return np.where(w > 0, w, 5 * w)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    out = parser.parse_args().out
    rng = np.random.default_rng(16)
    # Points of P with one axis that hardly varies, turned.
    mix = rng.normal(size=(D, D)) * np.array([2.0, 1.0, .5, 1e-4])[:, None]
    x = rng.normal(size=(SAMPLES, D)) @ mix.T + np.array([.3, -.2, .1, .4])
    turn, _ = np.linalg.qr(rng.normal(size=(D, D)))
    x = x @ turn.T
    w = np.where(x > 0, x, .2 * x).astype(np.float32)
    x = before_activation(w)
    mean, (variances, axes) = x.mean(0), np.linalg.eigh(np.cov(x.T, bias=True))
    variances, axes = variances[::-1], axes[:, ::-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), range(D)])
    floor = 1e-5 * variances[0]
    queries = rng.normal(size=(QUERIES, D)).astype(np.float32)
    p = before_activation(queries)
    v = (p - mean) @ axes / np.sqrt(np.maximum(variances, floor))
    write_json(os.path.join(out, "whitening.json"), {
        "w": w.tolist(), "mean": mean.tolist(), "variances": variances.tolist(),
        "floored": int((variances < floor).sum()), "queries": queries.tolist(), "p": p.tolist(),
        "pn": v.tolist(), "norm": np.sqrt((v ** 2).mean(1)).tolist()})


if __name__ == "__main__":
    main()
