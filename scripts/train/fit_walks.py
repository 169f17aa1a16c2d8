"""Fit directions in W+ to pairs of pictures that differ in one label, and measure what they do.

    python ../data/make.py pairs 30000 400 WORK/rendered
    python prepare.py --source WORK/rendered --pattern "pairs_*" --out WORK/pairs_fit
    python fit_walks.py --pairs WORK/pairs_fit --models models/faces --report WORK/walks.json

The linear walk of Jahanian et al. 2020 ("On the steerability of generative adversarial networks"):
a direction d such that a code moved by a d makes what the true edit makes of the picture. Each
person's base picture is encoded as gannet does it, and

    | (G(w + a d) - G(w)) - (edited - base) |^2

is made small over people and edits, in pixels and in what the attribute network reads: its own
attribute's movement, and that of all others. a is the true difference of the label in steps of the
direction. Differences are compared, not pictures, or the direction would learn to repair what the
encoder is wrong about. The people are no part of the held-out ones that edits are judged on.

Adds W+/NAME to the model's directions.safetensors, what it held stays.
"""

import argparse
import json
import os
import time

import numpy as np
import torch

from attributes import load_tensors, predict
from common import load_images, save_model, to_tensor, write_atomically, write_sheet
from editing import SCALARS, Bench, descend, scalar
from encoder import load_encoder, refine
from fit_directions import STRENGTHS, cosines, facts, layer_shares, moved
from reading import weights

# name: the edits of the data that change it
EDITS = {
    "smile": ("smile_0", "smile_1"),
    "glasses": ("glasses_off", "glasses_on"),
    "yaw": ("yaw_m25", "yaw_0", "yaw_p25"),
    "light": ("light_m40", "light_p40"),
    "brow": ("brow_down", "brow_up"),
    "weight": ("lighter", "heavier"),
}
PARTS = ("generator", "attributes", "encoder", "directions")
SAMPLES = 1000  # for the deviations of what the data say none of
HELD_OUT = 8  # one person in so many is for the score


class Pairs:
    """Base and edited pictures of the same people."""

    def __init__(self, folder):
        self.images = load_images(folder)
        with np.load(os.path.join(folder, "labels.npz")) as f:
            self.labels = {key: f[key] for key in f.files}
        names = [str(name).split("_", 1) for name in self.labels["ids"]]
        self.at = {(person, edit): i for i, (person, edit) in enumerate(names)}
        self.people = sorted({person for person, _ in names})

    def base(self):
        """Places of the base pictures, in the order of `people`."""
        return [self.at[person, "base"] for person in self.people]

    def of(self, label, edits):
        """(index of the person, place of the edited picture, difference of the label) where it differs."""
        values, found = self.labels[label], []
        for k, person in enumerate(self.people):
            before = values[self.at[person, "base"]]
            for edit in edits:
                at = self.at[person, edit]
                if values[at] != before:
                    found.append((k, at, float(values[at] - before)))
        return found


class Truth:
    """What a fit compares with: codes, reconstructions and readings of the base pictures."""

    @torch.no_grad()
    def __init__(self, bench, pairs, encoder, passes):
        self.bench, self.pairs = bench, pairs
        self.base = to_tensor(pairs.images[pairs.base()])
        codes, pictures = [], []
        for x in self.base.split(50):
            found, made = refine(encoder, bench.generator, x, passes)
            codes.append(found[-1])
            pictures.append(made[-1].clamp(-1, 1))
        self.codes, self.made = torch.cat(codes), torch.cat(pictures)
        self.read_base, self.read_made = (predict(bench.net, x) for x in (self.base, self.made))
        self.weights = weights(bench.outputs, {})

    def unit(self, target, column):
        """What a difference of one in the label is in steps of the direction."""
        if target.unit != "logit":
            return 1 / target.per_step
        on = self.read_base[:, column] > 0
        sides = [self.read_base[side, column].mean() for side in (on, ~on)]
        return (sides[0] - sides[1]).item() / target.per_step


class Walk:
    """One direction and the pairs that it is fitted to."""

    def __init__(self, truth, name, args):
        self.truth, self.name, self.args = truth, name, args
        bench, pairs = truth.bench, truth.pairs
        label = SCALARS[name]
        self.at = next((i for i, t in enumerate(bench.targets) if t.name == name), None)
        # What the network does not read has a label and pixels all the same.
        self.target = scalar(bench.outputs, name, label) if self.at is None else bench.targets[self.at]
        self.label = label
        self.column = [o["name"] for o in bench.outputs].index(label)
        found = pairs.of(label, EDITS[name])
        self.people = torch.tensor([k for k, _, _ in found])
        unit = truth.unit(self.target, self.column)
        self.steps = torch.tensor([d * unit for _, _, d in found])[:, None, None]
        edited = to_tensor(pairs.images[[at for _, at, _ in found]])
        self.goal = edited - truth.base[self.people]  # in pixels
        self.goal_read = predict(bench.net, edited) - truth.read_base[self.people]
        held = self.people % HELD_OUT == 0
        self.count = len(self.people[~held].unique())
        self.fitted, self.held = (~held).nonzero()[:, 0], held.nonzero()[:, 0]
        self.pixels = self.goal.square().mean()
        self.own = self.goal_read[:, self.column].square().mean()
        self.weights = truth.weights.clone()
        self.weights[self.column] = 0

    def change(self, direction, rows):
        """What moving by the direction changes: pictures' pixels and readings."""
        truth, people = self.truth, self.people[rows]
        codes = truth.codes[people] + self.steps[rows] * direction
        made = truth.bench.generator.synthesis(codes, "const", torch.bfloat16).clamp(-1, 1)
        with torch.autocast("cpu", torch.bfloat16):
            read = truth.bench.net(made).float()
        return made - truth.made[people], read - truth.read_made[people]

    def terms(self, change, rows):
        """Shares of the true change that `change` misses: in pixels, of the attribute, beside it."""
        pixels, read = change
        wrong = (read - self.goal_read[rows]).square()
        return (
            (pixels - self.goal[rows]).square().mean() / self.pixels,
            wrong[:, self.column].mean() / self.own,
            (wrong * self.weights).mean() / self.own,
        )

    def fit(self):
        """The direction [L, D] in steps, from nothing."""
        args, rng = self.args, torch.Generator().manual_seed(self.args.seed)
        bench = self.truth.bench
        w = bench.lift(("Z", bench.sample(2000, args.seed)), "W")
        scale = w.std(0) / self.steps.abs().mean()

        def loss_at(step, free):
            rows = self.fitted[torch.randint(len(self.fitted), (args.batch,), generator=rng)]
            terms = self.terms(self.change(free * scale, rows), rows)
            if step % 25 == 0:
                print(self.name, step, *(f"{t.item():.3f}" for t in terms), flush=True)
            return sum(k * t for k, t in zip((1, args.own, args.others), terms))

        nothing = torch.zeros(bench.generator.synthesis.num_ws, w.shape[1])
        return descend(args.steps, args.rate, nothing, loss_at) * scale

    @torch.no_grad()
    def score(self, direction):
        """On people that were not fitted to: gain in PSNR over no edit [dB], share of the true movement, terms."""
        rows, parts = self.held, []
        gains, shares = [], []
        for part in rows.split(50):
            change = pixels, read = self.change(direction, part)
            truth = self.truth.base[self.people[part]] + self.goal[part]
            made = self.truth.made[self.people[part]]
            before = (made - truth).square().mean((1, 2, 3))
            after = (made + pixels - truth).square().mean((1, 2, 3))
            gains.append(10 * torch.log10(before / after))
            goal = self.goal_read[part, self.column]
            shares.append(read[:, self.column] * goal)
            parts.append(torch.stack(self.terms(change, part)) * len(part))
        gains = torch.cat(gains)
        share = torch.cat(shares).mean() / self.goal_read[rows, self.column].square().mean()
        terms = (sum(parts) / len(rows)).tolist()
        return {
            "pairs": len(rows), "gain": gains.mean().item(),
            "error": (gains.std() / len(gains) ** 0.5).item(), "share": share.item(),
            "missed": terms,
        }


def measure(bench, walk, direction, args):
    """(facts as fit_directions.py tells them, score on people that were not fitted to)."""
    score = walk.score(direction)
    text = f"{score['share']:.2f} of the true movement, PSNR {score['gain']:+.3f} dB over no edit"
    told = {"fitted": f"pairs of {walk.count} people; on {score['pairs']} pairs of others {text}"}
    if walk.at is None:
        target = walk.target
        told |= {"attribute": walk.label, "unit": target.unit, "per_step": round(target.per_step, 5)}
        return told, score
    codes = bench.lift(("Z", bench.sample(args.probes, args.seed + 200)), "W+")
    start = bench.score("W+", codes)
    whole = direction * walk.target.steps_per_sd
    movement = moved(bench, "W+", codes, whole, STRENGTHS, start)
    few = slice(0, args.tuning_probes)
    at_two = movement[-1, few, walk.at].mean().item()
    shares = layer_shares(bench, codes[few], start[few], whole, walk.at, at_two)
    return told | facts(bench, walk.at, None, movement) | {"layers": shares}, score


@torch.no_grad()
def draw_sheet(path, truth, found):
    """The first two people, at -3 .. +3 deviations, one row a direction."""
    rows = []
    for walk, direction in found:
        whole = direction * walk.target.steps_per_sd
        codes = torch.cat([truth.codes[k] + t * whole[None] for k in (0, 1) for t in range(-3, 4)])
        rows.append(truth.bench.render("W+", codes))
    write_sheet(path, torch.cat(rows), columns=14, zoom=1)


def add(path, found, provenance):
    """Put directions {name: (tensor, facts)} of W+ into a directions file."""
    tensors, manifest = load_tensors(path)
    config = manifest["config"]
    for name, (direction, told) in found.items():
        tensors[f"W+/{name}"] = direction
        config["directions"][f"W+/{name}"] = told
    names = [key for key in tensors if key.startswith("W+/")]
    own = {key.removeprefix("W+/"): tensors[key].flatten() for key in names}
    config["cosines"]["W+"] = cosines(own)
    config["definitions"]["fitted"] = "of W+: to what pairs of pictures, and the score on others"
    manifest["provenance"]["walks"] = provenance
    save_model(path, tensors, manifest)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--pairs", required=True, help="folder that prepare.py made of rendered pairs")
    add("--models", required=True, help="the bundle's folder; its directions get W+/NAME")
    add("--report", help="JSON with every number, for the model card")
    add("--sheet", help="PNG of two people a row, each at -3 .. +3 along every direction")
    add("--only", default="", help="attributes, with commas")
    add("--passes", type=int, default=3, help="of the encoder")
    add("--steps", type=int, default=240)
    add("--batch", type=int, default=16)
    add("--rate", type=float, default=0.01, help="in standard deviations of w at the mean strength")
    add("--own", type=float, default=2.0, help="weight of the attribute's movement")
    add("--others", type=float, default=20.0, help="weight of what else moves")
    add("--probes", type=int, default=200, help="fresh codes to measure on")
    add("--tuning-probes", type=int, default=32, help="of these, for the layers")
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=1)
    return parser.parse_args()


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    begun = time.time()
    paths = {n: os.path.join(args.models, f"{n}.safetensors") for n in PARTS}
    bench = Bench(paths["generator"], paths["attributes"], torch.device("cpu"))
    bench.settle_spreads(bench.read(bench.raw("Z", bench.sample(SAMPLES, args.seed))))
    truth = Truth(bench, Pairs(args.pairs), load_encoder(paths["encoder"])[0], args.passes)
    print(f"read: {time.time() - begun:.0f} s", flush=True)
    found, report, walks = {}, {}, []
    for name in filter(None, args.only.split(",")) if args.only else EDITS:
        walk = Walk(truth, name, args)
        direction = walk.fit()
        told, report[name] = measure(bench, walk, direction, args)
        found[name] = (direction, told)
        walks.append((walk, direction))
        print(name, report[name], told.get("effect"), f"{time.time() - begun:.0f} s", flush=True)
    used = {"script": "scripts/train/fit_walks.py", "steps": args.steps, "batch": args.batch}
    used |= {"own": args.own, "others": args.others, "passes": args.passes, "seed": args.seed}
    add(paths["directions"], found, used)
    if args.sheet:
        draw_sheet(args.sheet, truth, walks)
    if args.report:
        whole = {name: report[name] | {"about": found[name][1]} for name in found}
        write_atomically(args.report, json.dumps(whole, indent=1).encode())


if __name__ == "__main__":
    main()
