"""Fit linear directions in W to the attribute regressor's scores and write their file.

    python fit_directions.py --generator models/faces/generator.safetensors \\
        --attributes models/faces/attributes.safetensors --out models/faces/directions.safetensors

For each attribute: ridge regression of the score (logit where it is a probability) on w, over
samples at psi 1. The direction is the normal, scaled by what it does when rendered: adding
+1.0 times it changes the score by one standard deviation of the samples' scores on average,
measured between -1 and +1 on latents that the fit has not seen. Shen et al., "Interpreting the
Latent Space of GANs for Semantic Face Editing" (2020), with regression in place of the SVM.
"""

import argparse
import hashlib

import numpy as np
import torch

from attributes import PROBABILITY, load_attributes, load_tensors
from common import pick_device, save_model, write_sheet
from networks import Generator

DIRECTIONS = {
    "smile": "smile",
    "age": "age",
    "glasses": "glasses",
    "yaw": "yaw_deg",
    "gender": "gender",
}
BATCH = 50
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)


def load_generator(path, device):
    """The generator of a `stylegan2` model file."""
    tensors, manifest = load_tensors(path)
    config = manifest["config"]
    resolutions = [4 << i for i in range(config["num_ws"] // 2)]
    channels = {r: len(tensors[f"synthesis.b{r}.conv1.bias"]) for r in resolutions}
    generator = Generator(channels, config["z_dim"], config["w_dim"], config["mapping_layers"])
    generator.load_state_dict(tensors)
    return generator.to(device).eval()


class Bench:
    """Renders latents and scores the pictures."""

    def __init__(self, generator, net, device):
        self.generator, self.net, self.device = generator, net, device

    @torch.no_grad()
    def sample(self, count, seed):
        rng = torch.Generator().manual_seed(seed)
        z = torch.randn(count, self.generator.config["z_dim"], generator=rng)
        return self.generator.mapping(z.to(self.device))

    @torch.no_grad()
    def render(self, w):
        ws = self.generator.broadcast(w)
        return self.generator.synthesis(ws, "const", torch.bfloat16).clamp(-1, 1)

    @torch.no_grad()
    def score(self, w):
        """Raw scores [N, outputs] of latents [N, D]."""
        return torch.cat([self.net(self.render(part)) for part in w.split(BATCH)]).cpu()


def ridge(x, y, strength):
    """Coefficients [D] of `y` on centred `x` [N, D]; `strength` is relative to the mean variance."""
    covariance = x.T @ x / len(x)
    penalty = strength * covariance.diagonal().mean() * torch.eye(x.shape[1], dtype=x.dtype)
    return torch.linalg.solve(covariance + penalty, x.T @ y / len(x))


def fit_normal(w, scores, held_w, held_scores):
    """Unit normal [D] and its R² on held-out latents, for the best of `RIDGES`."""
    centre, mean = w.mean(0), scores.mean()
    x, held_x = (w - centre).double(), (held_w - centre).double()
    variance = held_scores.double().var()
    best = (-np.inf, None)
    for strength in RIDGES:
        beta = ridge(x, (scores - mean).double(), strength)
        residual = (held_scores.double() - mean - held_x @ beta).square().mean()
        best = max(best, ((1 - residual / variance).item(), beta), key=lambda pair: pair[0])
    return (best[1] / best[1].norm()).float(), best[0]


def calibrate(bench, w, normal, output, spread):
    """The length at which ±1 moves output `output` by ±1 `spread` on average."""
    length = 1.0
    for _ in range(4):
        step = length * normal.to(w.device)
        change = (bench.score(w + step) - bench.score(w - step))[:, output].mean() / 2
        ratio = (spread / change).item()
        if ratio <= 0:
            raise SystemExit("the direction moves its attribute the wrong way")
        length *= min(3.0, max(0.33, ratio))
        if abs(ratio - 1) < 0.02:
            break
    return length


def effects(bench, w, direction, spreads):
    """Mean change of every score, in standard deviations, at -2, -1, +1 and +2: [4, outputs]."""
    start = bench.score(w)
    steps = (-2, -1, 1, 2)
    moved = [bench.score(w + t * direction.to(w.device)) - start for t in steps]
    return torch.stack([m.mean(0) / spreads for m in moved])


def file_sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--generator", required=True)
    parser.add_argument("--attributes", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--samples", type=int, default=9000, help="of which 1,000 are held out")
    parser.add_argument("--probes", type=int, default=300, help="latents to measure effects on")
    parser.add_argument("--sheet", help="PNG with each direction at -2 .. +2")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = pick_device(args.device)
    net, outputs = load_attributes(args.attributes, device)
    bench = Bench(load_generator(args.generator, device), net, device)
    names = [o["name"] for o in outputs]

    w = bench.sample(args.samples, args.seed)
    scores = bench.score(w)
    spreads = scores.std(0)
    fit, held = slice(0, -1000), slice(-1000, None)
    probes = w[held][: args.probes]
    flat, tensors, report, rows = w.cpu(), {}, {}, []
    for name, attribute in DIRECTIONS.items():
        i = names.index(attribute)
        normal, score_r2 = fit_normal(flat[fit], scores[fit, i], flat[held], scores[held, i])
        length = calibrate(bench, probes, normal, i, spreads[i])
        tensors[name] = normal * length
        moved = effects(bench, probes, tensors[name], spreads)
        leakage = {n: round(v, 3) for n, v in zip(names, moved[2].tolist()) if n != attribute}
        kind, spread = outputs[i]["kind"], (spreads[i] * outputs[i]["std"]).item()
        report[name] = {
            "attribute": attribute,
            "unit": "logit" if kind == PROBABILITY else outputs[i]["unit"],
            "per_step": round(spread, 4),
            "accuracy": round(score_r2, 4),
            "effect": {str(t): round(v, 3) for t, v in zip((-2, -1, 1, 2), moved[:, i].tolist())},
            "leakage": leakage,
        }
        side = {n: v for n, v in leakage.items() if abs(v) >= 0.2}
        print(
            f"{name}: R2 {score_r2:.3f}, length {length:.3f}, {report[name]['effect']}, {side}",
            flush=True,
        )
        for k in range(2):
            rows += [probes[k] + t * tensors[name].to(device) for t in (-3, -2, -1, 0, 1, 2, 3)]
    units = torch.stack([t / t.norm() for t in tensors.values()])
    cosines = (units @ units.T).tolist()
    table = {a: {b: round(c, 3) for b, c in zip(tensors, row)} for a, row in zip(tensors, cosines)}
    print("cosines", table)
    if args.sheet:
        write_sheet(args.sheet, bench.render(torch.stack(rows)), columns=14)
    config = {
        "generator_sha256": file_sha256(args.generator),
        "space": "W",
        "directions": report,
        "cosines": table,
        "definitions": {
            "accuracy": "R2 of a linear fit of the score on 1,000 latents held out",
            "effect": "mean change of the score at that multiple, in standard deviations",
            "leakage": "mean change of other scores at +1, in their standard deviations",
            "per_step": "one standard deviation of the score, in `unit`",
        },
    }
    provenance = {
        "script": "scripts/train/fit_directions.py",
        "samples": args.samples,
        "seed": args.seed,
        "licence": "MIT OR Apache-2.0",
    }
    manifest = {"family": "directions", "config": config, "provenance": provenance}
    save_model(args.out, tensors, manifest)


if __name__ == "__main__":
    main()
