"""What the training of networks beside the encoder shares: options, loop, losses, scores, export.

Such a network looks at a picture and at what its code makes, and adds something beside the code. The
pictures are those of fit_walks.py: people before and after an edit. The encoder's passes give a
picture's code and reconstruction, once. A step looks at both, adds to the code and to the same code
moved by an edit, and compares with the true pictures, before and after the edit. So what moves along
with the edit, or is wrong after it, does not pay. Killed and started again it goes on; `--minutes`
counts all runs.
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

from common import Journal, run_steps, save_checkpoint, save_model, write_atomically, write_sheet
from editing import Bench
from fit_walks import EDITS, PARTS
from likeness import Likeness
from true_edits import TrueEdits

EMA = 0.998
SIZES = (1, 2, 4)  # pictures are compared averaged over squares of these sides


def parser(description):
    """The options that all such trainings have."""
    options = argparse.ArgumentParser(description=description)
    add = options.add_argument
    add("--pairs", required=True, help="folder that prepare.py made of rendered pairs")
    add("--data", help="folder that prepare.py made of single pictures: people without edits")
    add("--data-pictures", type=int, default=2000, help="of these, the first")
    add("--models", required=True, help="the bundle's folder")
    add("--out", required=True, help="folder for the sources, the checkpoint and the log")
    add("--model", help="model file to write at the end")
    add("--minutes", type=float, default=50, help="of training in all")
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
    return options


class Trainer:
    """A network, its optimiser, and the pictures. A kind of network defines the methods below that
    raise, and `family`, its name in model files."""

    family = None

    def __init__(self, args):
        self.args = args
        self.paths = {n: os.path.join(args.models, f"{n}.safetensors") for n in PARTS}
        bench = Bench(self.paths["generator"], self.paths["attributes"], torch.device("cpu"))
        bench.settle_spreads(bench.read(bench.raw("Z", bench.sample(200, args.seed))))
        self.bench, self.synthesis = bench, bench.generator.synthesis
        self.likeness = Likeness(bench.net, bench.outputs)
        folders = {"pairs": args.pairs, "data": args.data}
        cache = os.path.join(args.out, "sources.npz")
        self.edits = TrueEdits(self.paths, folders, args, bench, cache)
        self.net = self.fresh()
        self.ema = self.fresh()
        self.ema.load_state_dict(self.net.state_dict())
        self.ema.eval().requires_grad_(False)
        weights = self.net.parameters()
        self.optimizer = torch.optim.AdamW(weights, args.rate, (0.9, 0.98), weight_decay=1e-3)
        self.steps, self.seen, self.seconds = 0, 0, 0.0
        self.rng = np.random.default_rng(args.seed)

    def fresh(self):
        """A network that adds nothing yet."""
        raise NotImplementedError

    def drawn(self, net, batch):
        """The pictures of all goals with what `net` adds to their sources."""
        raise NotImplementedError

    def scaled(self, share):
        """Makes the averaged network add this share of what it adds."""
        raise NotImplementedError

    def stored(self):
        """The tensors of the averaged network in a model file."""
        raise NotImplementedError

    def settings(self, resolution, generator_sha256):
        """The `config` of a model file."""
        raise NotImplementedError

    @torch.no_grad()
    def plain(self, codes):
        """The pictures of codes alone."""
        return self.synthesis(codes, "const", torch.bfloat16)

    def state(self):
        parts = {k: getattr(self, k).state_dict() for k in ("net", "ema", "optimizer")}
        return parts | {"steps": self.steps, "seen": self.seen, "seconds": self.seconds}

    def restore(self, state):
        for k in ("net", "ema", "optimizer"):
            getattr(self, k).load_state_dict(state[k])
        self.steps, self.seen, self.seconds = state["steps"], state["seen"], state["seconds"]
        self.rng = np.random.default_rng(self.args.seed + self.steps)

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

    def held(self):
        """Held-out people's base pictures: places of the sources."""
        edits = self.edits
        bases = {edits.versions[p]["base"] for p in edits.people}
        return [r for r in edits.held if edits.at[r] in bases and not edits.flip[r]]


def decibels(squared):
    """PSNR of mean squared errors on [-1, 1]."""
    return 10 * torch.log10(4 / squared)


@torch.no_grad()
def score(trainer, count):
    """On people who were not trained on, from their base pictures: PSNR of the reconstruction, and
    of every edit against the truth, and over no edit; each without and with the network."""
    edits, found = trainer.edits, {}
    for row in trainer.held()[:count]:
        versions = edits.versions[edits.people[edits.person[row]]]
        names = [e for own in EDITS.values() for e in own]
        before = edits.labels[edits.at[row]]
        changed = [e for e in names if (edits.labels[versions[e]] != before).any()]
        batch = edits.batch([row], [[versions[e] for e in changed]])
        *_, codes, truth = batch
        pictures = {"without": trainer.plain(codes), "with": trainer.drawn(trainer.ema, batch)}
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


@torch.no_grad()
def draw_sheet(trainer, path):
    """Of four held-out people: the picture, without and with the network, and three edits so."""
    edits, rows = trainer.edits, []
    for row in trainer.held()[:4]:
        versions = edits.versions[edits.people[edits.person[row]]]
        batch = edits.batch([row], [[versions[e] for e in ("smile_1", "glasses_on", "yaw_p25")]])
        trio = batch[-1], trainer.plain(batch[3]), trainer.drawn(trainer.ema, batch)
        rows.append(torch.stack(trio, 1).flatten(0, 1))
    write_sheet(path, torch.cat(rows), columns=12, zoom=1)


def export(trainer, script):
    """Write the model file and, beside the checkpoint, the scores.

    What is added costs the more the farther a head turns. A share below 1 gives up a part of the
    reconstruction for that; it is chosen by these scores.
    """
    args = trainer.args
    trainer.scaled(args.share)
    scores = score(trainer, 10_000)
    write_atomically(os.path.join(args.out, "scores.json"), json.dumps(scores, indent=1).encode())
    with open(trainer.paths["generator"], "rb") as f:
        sha256 = hashlib.sha256(f.read()).hexdigest()
    size = trainer.edits.images.shape[1]
    provenance = {
        "data": "rendered faces (CC0 1.0 assets), before and after edits",
        "people": len(trainer.edits.people),
        "pictures_seen": trainer.seen,
        "minutes": round(trainer.seconds / 60, 1),
        "share": args.share,
        "held_out": {"psnr": scores["itself"][2], "psnr_without": scores["itself"][0]},
        "script": script,
        "seed": args.seed,
        "licence": "MIT OR Apache-2.0",
    }
    config = trainer.settings(size, sha256)
    manifest = {"family": trainer.family, "config": config, "provenance": provenance}
    save_model(args.model, trainer.stored(), manifest)
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


def run(kind, args, script):
    """Trains a network of this kind of trainer and writes its model file."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    os.makedirs(args.out, exist_ok=True)
    trainer = kind(args)
    checkpoint = os.path.join(args.out, "last.pt")
    if os.path.exists(checkpoint):
        trainer.restore(torch.load(checkpoint, weights_only=True))
    train(trainer, Journal(args.out, every=25))
    if args.model:
        export(trainer, f"scripts/train/{os.path.basename(script)}")
