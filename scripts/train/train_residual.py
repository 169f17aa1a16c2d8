"""Train the feature-residual branch of a generator on true edits, and write its model file.

    python train_residual.py --pairs WORK/pairs_fit --data WORK/data --models models/faces \\
        --out WORK/residual --model models/faces/residual.safetensors --minutes 50

The pictures are those of fit_walks.py: people before and after an edit. The encoder's passes give a
picture's code and reconstruction, once. A step looks at both, changes the map of the code and of
the same code moved by an edit, and compares with the true pictures, before and after the edit. So
what moves along with the edit, or is wrong after it, does not pay. Only the generator's layers from
the map on are passed backwards. Killed and started again it goes on; `--minutes` counts all runs.
"""

import argparse
import hashlib
import json
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

from attributes import load_tensors
from common import Journal, run_steps, save_checkpoint, save_model, write_atomically, write_sheet
from editing import Bench
from fit_walks import EDITS, PARTS
from likeness import Likeness
from residual import UP, Branch, finished, reached, settings, stored
from true_edits import TrueEdits

EMA = 0.998
SIZES = (1, 2, 4)  # pictures are compared averaged over squares of these sides
SAMPLES = 64  # that say how far the map's channels spread


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--pairs", required=True, help="folder that prepare.py made of rendered pairs")
    add("--data", help="folder that prepare.py made of single pictures: people without edits")
    add("--data-pictures", type=int, default=2000, help="of these, the first")
    add("--models", required=True, help="the bundle's folder")
    add("--out", required=True, help="folder for the sources, the checkpoint and the log")
    add("--model", help="model file to write at the end")
    add("--minutes", type=float, default=50, help="of training in all")
    add("--side", type=int, default=32, choices=sorted(UP), help="of the map that is changed")
    add("--passes", type=int, default=3, help="of the encoder")
    add("--views", type=int, default=4, help="sources a person and mirror, the base apart")
    add("--batch", type=int, default=8, help="sources a step")
    add("--goals", type=int, default=2, help="edits of each, the picture itself apart")
    add("--rate", type=float, default=1e-3)
    add("--pixels", type=float, default=0.25, help="weight of the logarithm of the squared error")
    add("--perceptual", type=float, default=0.5)
    add("--identity", type=float, default=0.1)
    add("--share", type=float, default=1.0, help="of what it adds that the file keeps: see export")
    add("--save-minutes", type=float, default=5)
    add("--score", type=int, default=24, help="held-out people that are scored while training")
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=1)
    return parser.parse_args()


class Trainer:
    """The branch, its optimiser, and the pictures."""

    def __init__(self, args):
        self.args = args
        paths = {n: os.path.join(args.models, f"{n}.safetensors") for n in PARTS}
        bench = Bench(paths["generator"], paths["attributes"], torch.device("cpu"))
        bench.settle_spreads(bench.read(bench.raw("Z", bench.sample(200, args.seed))))
        self.synthesis = bench.generator.synthesis
        self.likeness = Likeness(bench.net, bench.outputs)
        folders = {"pairs": args.pairs, "data": args.data}
        cache = os.path.join(args.out, "sources.npz")
        self.edits = TrueEdits(paths, folders, args, bench, cache)
        known, _ = load_tensors(paths["encoder"])
        self.net, self.ema = (self.fresh(known, bench) for _ in range(2))
        self.ema.eval().requires_grad_(False)
        weights = self.net.parameters()
        self.optimizer = torch.optim.AdamW(weights, args.rate, (0.9, 0.98), weight_decay=1e-3)
        self.steps, self.seen, self.seconds = 0, 0, 0.0
        self.rng = np.random.default_rng(args.seed)

    @torch.no_grad()
    def fresh(self, known, bench):
        """A branch that changes nothing yet."""
        ws = bench.lift(("Z", bench.sample(SAMPLES, self.args.seed)), "W+")
        spread = reached(self.synthesis, ws, self.args.side)[0].float().std((0, 2, 3))
        widths = [len(known[f"conv{i}.bias"]) for i in range(7)]
        net = Branch(widths, UP[self.args.side], len(spread))
        net.grow_from(known)
        net.spread.copy_(spread)
        return net.to(memory_format=torch.channels_last)

    def state(self):
        parts = {k: getattr(self, k).state_dict() for k in ("net", "ema", "optimizer")}
        return parts | {"steps": self.steps, "seen": self.seen, "seconds": self.seconds}

    def restore(self, state):
        for k in ("net", "ema", "optimizer"):
            getattr(self, k).load_state_dict(state[k])
        self.steps, self.seen, self.seconds = state["steps"], state["seen"], state["seconds"]
        self.rng = np.random.default_rng(self.args.seed + self.steps)

    def drawn(self, net, batch):
        """The pictures of all goals with the sources' residuals."""
        x, y, of, codes, _ = batch
        with torch.no_grad():
            feature, img = reached(self.synthesis, codes, self.args.side)
        with torch.autocast("cpu", torch.bfloat16):
            residual = net(x, y)
        feature = feature + residual.to(feature.dtype)[of]
        return finished(self.synthesis, feature, img, codes, self.args.side)

    def loss(self, made, truth):
        """What the pictures cost, and the parts of it that the log shows."""
        args = self.args
        squared = [F.avg_pool2d(made - truth, k).square().mean((1, 2, 3)) for k in SIZES]
        close = torch.stack([(s + 1e-4).log() for s in squared]).mean()
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                true = self.likeness.look(truth)
            perceptual, cosine = self.likeness.compare(self.likeness.look(made), true)
        perceptual, cosine = perceptual.mean(), cosine.mean()
        loss = args.pixels * close + args.perceptual * perceptual + args.identity * (1 - cosine)
        n = args.batch
        psnr = decibels(squared[0])
        parts = {"itself": psnr[:n].mean(), "edits": psnr[n:].mean(), "perceptual": perceptual}
        return loss, parts | {"identity": cosine}

    def step(self):
        args = self.args
        rows = self.rng.choice(self.edits.fitted, args.batch, replace=False)
        batch = self.edits.batch(rows, [self.edits.goals(r, args.goals, self.rng) for r in rows])
        loss, record = self.loss(self.drawn(self.net, batch), batch[-1])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.steps, self.seen = self.steps + 1, self.seen + len(batch[-1])
        keep = min(EMA, (self.steps + 1) / (self.steps + 10))
        with torch.no_grad():
            pairs = list(self.ema.parameters()), list(self.net.parameters())
            torch._foreach_lerp_(*pairs, 1 - keep)
        return {name: value.item() for name, value in record.items()}

    def settle(self):
        """The rate at this share of the time: a warm-up, then a cosine."""
        progress = min(1.0, self.seconds / (60 * self.args.minutes))
        rate = self.args.rate * min(1, (self.steps + 1) / 100)
        rate *= 0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * progress))
        self.optimizer.param_groups[0]["lr"] = rate


def decibels(squared):
    """PSNR of mean squared errors on [-1, 1]."""
    return 10 * torch.log10(4 / squared)


@torch.no_grad()
def score(trainer, count):
    """On people who were not trained on, from their base pictures: PSNR of the reconstruction, and
    of every edit against the truth, and over no edit; each without and with the branch."""
    edits, found = trainer.edits, {}
    bases = [edits.versions[p]["base"] for p in edits.people]
    held = [r for r in edits.held if edits.at[r] in bases and not edits.flip[r]][:count]
    for row in held:
        versions = edits.versions[edits.people[edits.person[row]]]
        names = [e for own in EDITS.values() for e in own]
        before = edits.labels[edits.at[row]]
        changed = [e for e in names if (edits.labels[versions[e]] != before).any()]
        batch = edits.batch([row], [[versions[e] for e in changed]])
        *_, codes, truth = batch
        pictures = {"without": plain(trainer, codes), "with": trainer.drawn(trainer.ema, batch)}
        for label, made in pictures.items():
            made = made.clamp(-1, 1)
            psnr = decibels((made - truth).square().mean((1, 2, 3)))
            still = decibels((made[:1] - truth).square().mean((1, 2, 3)))
            for name, value, base in zip(["itself", *changed], psnr, still):
                gain = 0.0 if name == "itself" else (value - base).item()
                found.setdefault((name, label), []).append((value.item(), gain))
    means = {key: np.mean(values, 0).round(3).tolist() for key, values in found.items()}
    names = dict.fromkeys(name for name, _ in found)
    return {name: means[name, "without"] + means[name, "with"] for name in names}


def plain(trainer, codes):
    feature, img = reached(trainer.synthesis, codes, trainer.args.side)
    return finished(trainer.synthesis, feature, img, codes, trainer.args.side)


@torch.no_grad()
def draw_sheet(trainer, path):
    """Of four held-out people: the picture, without and with the branch, and three edits so."""
    edits, rows = trainer.edits, []
    bases = {edits.versions[p]["base"] for p in edits.people}
    for row in [r for r in edits.held if edits.at[r] in bases and not edits.flip[r]][:4]:
        versions = edits.versions[edits.people[edits.person[row]]]
        batch = edits.batch([row], [[versions[e] for e in ("smile_1", "glasses_on", "yaw_p25")]])
        trio = batch[-1], plain(trainer, batch[3]), trainer.drawn(trainer.ema, batch)
        rows.append(torch.stack(trio, 1).flatten(0, 1))
    write_sheet(path, torch.cat(rows), columns=12, zoom=1)


def export(trainer):
    """Write the model file and, beside the checkpoint, the scores.

    What stays where it is costs the more the farther a head turns. A share below 1 gives up a part
    of the reconstruction for that; it is chosen by these scores.
    """
    args = trainer.args
    trainer.ema.spread.mul_(args.share)
    scores = score(trainer, 10_000)
    write_atomically(os.path.join(args.out, "scores.json"), json.dumps(scores, indent=1).encode())
    with open(os.path.join(args.models, "generator.safetensors"), "rb") as f:
        sha256 = hashlib.sha256(f.read()).hexdigest()
    size = trainer.edits.images.shape[1]
    provenance = {
        "data": "rendered faces (CC0 1.0 assets), before and after edits",
        "people": len(trainer.edits.people),
        "pictures_seen": trainer.seen,
        "minutes": round(trainer.seconds / 60, 1),
        "share": args.share,
        "held_out": {"psnr": scores["itself"][2], "psnr_without": scores["itself"][0]},
        "script": "scripts/train/train_residual.py",
        "seed": args.seed,
        "licence": "MIT OR Apache-2.0",
    }
    config = settings(trainer.ema, size, args.side, sha256)
    manifest = {"family": "residual", "config": config, "provenance": provenance}
    save_model(args.model, stored(trainer.ema), manifest)
    print(f"{args.model}: {os.path.getsize(args.model)} bytes, {json.dumps(scores)}", flush=True)


def train(trainer, journal):
    args, budget = trainer.args, 60 * trainer.args.minutes

    def step():
        clock = time.time()
        trainer.settle()
        row = trainer.step()
        trainer.seconds += time.time() - clock
        head = {"minute": round(trainer.seconds / 60, 1), "seen": trainer.seen}
        return head, row, trainer.seconds >= budget

    def save():
        save_checkpoint(os.path.join(args.out, "last.pt"), trainer.state())
        journal.write({"seen": trainer.seen} | score(trainer, args.score))
        draw_sheet(trainer, os.path.join(args.out, "sheet.png"))

    if trainer.seconds < budget:
        run_steps(step, save, journal, args.save_minutes)


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    os.makedirs(args.out, exist_ok=True)
    trainer = Trainer(args)
    checkpoint = os.path.join(args.out, "last.pt")
    if os.path.exists(checkpoint):
        trainer.restore(torch.load(checkpoint, weights_only=True))
    train(trainer, Journal(args.out, every=25))
    if args.model:
        export(trainer)


if __name__ == "__main__":
    main()
