"""Train the encoder of a generator, in three stages, and write its model file.

    python train_encoder.py --data WORK/data --generator models/faces/generator.safetensors \\
        --attributes models/faces/attributes.safetensors --held-out WORK/held \\
        --out WORK/encoder --model models/faces/encoder.safetensors --minutes 60

Every rendered picture has its code (codes.py), and every sample its own, so codes can be learned
directly. Stage `first` learns the first pass alone and never runs the generator; `passes` goes on
from the encoder's own codes, whose pictures need the generator forwards only; `pictures` compares
the picture of every corrected code with the true one, through the generator. Passes stand side by
side: what a batch reconstructs becomes the next batch's current picture. The network sees pictures
that are moved, lit and blurred as photographs are; it is always held to the clean ones.
Killed and started again it goes on; `--minutes` counts all runs together.
"""

import argparse
import hashlib
import json
import math
import os
import time

import numpy as np
import torch

from attributes import load_attributes, load_tensors
from codes import Codes
from common import (
    Journal,
    load_images,
    pick_device,
    run_steps,
    save_checkpoint,
    save_model,
    to_tensor,
    write_sheet,
)
from editing import load_generator
from encoder import Encoder, refine, settings, stored
from likeness import CodeDistance, Likeness
from train_generator import Pairs, mixed_styles
from windows import blurred, compressed, cut, grainy, light

EMA = 0.998
STAGES = ("first", "passes", "pictures")
SHOWN = (1, 3, 5)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--data", required=True, help="folder written by prepare.py and codes.py")
    add("--generator", required=True, help="model file")
    add("--attributes", required=True, help="model file: the trunk's start, and the losses")
    add("--held-out", required=True, help="folder of prepare.py: pictures never trained on")
    add("--out", required=True, help="folder for the checkpoint, sheets and the log")
    add("--model", help="model file to write at the end")
    add("--minutes", type=float, default=60, help="of training in all")
    add("--first", type=float, default=0.2, help="share of the time for stage `first`")
    add("--passes", type=float, default=0.3, help="and for stage `passes`")
    add("--ages", type=int, default=3, help="passes that are trained side by side")
    add("--batch", type=int, default=8, help="new pictures a step and pass; 4 times in `first`")
    add("--samples", type=float, default=0.25, help="share of new pictures that are samples")
    add("--rate", type=float, default=5e-4)
    add("--later", type=float, default=0.6, help="of the rate after the first stage")
    add("--pixels", type=float, default=4.0, help="weight of the squared error on [-1, 1]")
    add("--perceptual", type=float, default=0.8)
    add("--identity", type=float, default=0.2)
    add("--offsets", type=float, default=0.05, help="weight of the offsets' size, in sigma of w")
    add("--codes", type=float, nargs=2, default=(0.3, 0.03), help="weight of the codes in the end")
    add("--steps", type=int, default=5, help="passes that the file recommends")
    add("--save-minutes", type=float, default=5)
    add("--score", type=int, default=64, help="held-out pictures that are scored while training")
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=1)
    add("--device", default="auto")
    return parser.parse_args()


def spoiled(x, rng, moved=0.4, share=0.15):
    """Pictures as photographs come: moved, turned and scaled a little, lit, blurred, blocky."""
    n, x = len(x), x.clone()
    chosen = torch.rand(n, generator=rng) < moved
    if chosen.any():
        k = int(chosen.sum())
        scale = (0.1 * (2 * torch.rand(k, generator=rng) - 1)).exp()
        turn = 5 * (2 * torch.rand(k, generator=rng) - 1)
        shift = (2 * torch.rand(k, 2, generator=rng) - 1) * 10 / 128
        x[chosen] = cut(x[chosen], scale, turn, shift, rng)
    for change in (light, blurred, compressed):
        chosen = torch.rand(n, generator=rng) < share
        if chosen.any():
            x[chosen] = change(x[chosen], rng)
    return grainy(x, rng, 0.3, 0.04)


class Trainer:
    """Networks, optimiser, and the pictures that wait for their next pass."""

    def __init__(self, args, device):
        self.args, self.device = args, device
        self.generator = load_generator(args.generator, device).requires_grad_(False)
        judge, outputs = load_attributes(args.attributes, device)
        self.likeness = Likeness(judge.requires_grad_(False), outputs)
        with torch.no_grad():
            self.distance = CodeDistance(self.generator)
            w_avg = self.generator.mapping.w_avg
            self.start = self.generator.broadcast(w_avg[None])  # [1LD]
            self.mean_picture = self.draw(self.start)
        num_ws, w_dim = self.start.shape[1:]
        self.net, self.ema = (Encoder(num_ws, w_dim).to(device) for _ in range(2))
        self.net.grow_from(load_tensors(args.attributes)[0])
        self.net.spread.copy_(self.distance.spread)
        self.ema.load_state_dict(self.net.state_dict())
        self.ema.eval().requires_grad_(False)
        # The second moments must follow fast: gradients grow when a stage begins.
        betas = (0.9, 0.98)
        weights = self.net.parameters()
        self.optimizer = torch.optim.AdamW(weights, args.rate, betas, weight_decay=1e-3)
        self.step_count, self.seen, self.seconds, self.waiting = 0, 0, 0.0, None
        self.stage, self.stage_steps = STAGES[0], 0
        self.rng = torch.Generator().manual_seed(args.seed)

    def draw(self, ws):
        return self.generator.synthesis(ws, "const", torch.bfloat16)

    def state(self):
        parts = {k: getattr(self, k).state_dict() for k in ("net", "ema", "optimizer")}
        counts = {"step": self.step_count, "seen": self.seen, "seconds": self.seconds}
        return parts | counts | {"stage": self.stage, "stage_steps": self.stage_steps}

    def restore(self, state):
        for k in ("net", "ema", "optimizer"):
            getattr(self, k).load_state_dict(state[k])
        self.step_count, self.seen, self.seconds = state["step"], state["seen"], state["seconds"]
        # A checkpoint without them warms up anew, which does no harm.
        self.stage, self.stage_steps = state.get("stage", ""), state.get("stage_steps", 0)
        self.rng.manual_seed(self.args.seed + self.step_count)

    @torch.no_grad()
    def new(self, pairs):
        """A batch before its first pass: clean pictures, true codes, spoiled pictures, current
        codes and pictures."""
        real, z = pairs.next(self.device)
        target = self.generator.broadcast(self.generator.mapping(z))
        if pairs.samples > 0:
            z = torch.randn(pairs.samples, z.shape[1], generator=self.rng).to(self.device)
            ws = mixed_styles(self.generator, self.generator.mapping(z), pairs.samples // 2)
            real, target = torch.cat([real, self.draw(ws)]), torch.cat([target, ws])
        n = len(real)
        self.seen += n
        current = self.start.expand(n, -1, -1), self.mean_picture.expand(n, -1, -1, -1)
        return [real, target, spoiled(real, self.rng), *current]

    def step(self, pairs, stage, progress):
        """One step on new pictures and on those that wait; returns what the log shows."""
        batch = self.new(pairs)
        n = len(batch[0])
        if stage != "first" and self.waiting is not None:
            batch = [torch.cat(parts) for parts in zip(batch, self.waiting)]
        clean, target, x, ws, y = batch
        with torch.autocast(self.device.type, torch.bfloat16):
            base, offsets = self.net.heads(x, y)
        ws = ws + (base[:, None] + offsets) * self.net.spread
        far = self.distance(ws - target)
        size = (offsets * self.net.spread).square().sum(2).mean() / self.distance.sigma**2
        weight = 1.0 if stage != "pictures" else np.interp(progress, (0, 1), self.args.codes)
        # Far ones count less: they are few, and would be heard alone.
        loss = weight * (far / (0.5 + far.detach())).mean() + self.args.offsets * size
        record = {"codes": far[:n].mean(), "last": far[-n:].mean(), "size": size}
        if stage == "pictures":
            y = self.draw(ws)
            close, terms = self.picture_loss(y, clean)
            loss, record = loss + close, record | terms
        self.descend(loss)
        if stage != "first":
            keep = n * (self.args.ages - 1)
            ws, y = ws.detach()[:keep], y.detach()[:keep]
            if stage == "passes":
                ws = self.no_farther(ws, target[:keep], far.detach()[:keep])
                y = self.redrawn(ws)
            self.waiting = [clean[:keep], target[:keep], x[:keep], ws, y]
        return {name: value.item() for name, value in record.items()}

    @staticmethod
    def no_farther(ws, target, far):
        """The codes, brought as near to the true ones as the mean of w is: nothing runs away."""
        return target + (ws - target) / far.clamp(min=1).sqrt()[:, None, None]

    @torch.no_grad()
    def redrawn(self, ws):
        return self.draw(ws)

    def picture_loss(self, y, clean):
        args = self.args
        squared = (y - clean).square().mean()
        with torch.autocast(self.device.type, torch.bfloat16):
            with torch.no_grad():
                truth = self.likeness.look(clean)
            perceptual, cosine = self.likeness.compare(self.likeness.look(y), truth)
        perceptual, cosine = perceptual.mean(), cosine.mean()
        loss = args.pixels * squared + args.perceptual * perceptual + args.identity * (1 - cosine)
        return loss, {"squared": squared, "perceptual": perceptual, "identity": cosine}

    def descend(self, loss):
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.step_count, self.stage_steps = self.step_count + 1, self.stage_steps + 1
        keep = min(EMA, (self.step_count + 1) / (self.step_count + 10))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.ema.parameters()), list(self.net.parameters()), 1 - keep
            )

    def enter(self, stage, progress):
        """The rate at this share of the whole time: a warm-up in each stage, then a cosine."""
        if stage != self.stage:
            self.stage, self.stage_steps = stage, 0
        rate = self.args.rate * min(1, (self.stage_steps + 1) / 100)
        rate *= 1.0 if stage == STAGES[0] else self.args.later
        rate *= 0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * min(1.0, progress)))
        self.optimizer.param_groups[0]["lr"] = rate


class MixedPairs(Pairs):
    """As `Pairs`, with a share of samples beside; `batch` counts both."""

    def __init__(self, images, codes, batch, samples, seed):
        self.samples = round(samples * batch)
        super().__init__(images, codes, batch - self.samples, seed)


@torch.no_grad()
def score(trainer, net, images):
    """PSNR, perceptual distance and cosine of identities after 1, 3 and 5 passes."""
    sums, count = {}, len(images)
    for part in np.array_split(np.arange(count), math.ceil(count / 16)):
        x = to_tensor(images[part], trainer.device)
        truth = trainer.likeness.look(x)
        _, pictures = refine(net, trainer.generator, x, SHOWN[-1], torch.bfloat16)
        for k in SHOWN:
            y = pictures[k - 1].clamp(-1, 1)
            psnr = 10 * torch.log10(4 / (y - x).square().mean((1, 2, 3)))
            perceptual, cosine = trainer.likeness.compare(trainer.likeness.look(y), truth)
            for name, value in (("psnr", psnr), ("perceptual", perceptual), ("identity", cosine)):
                sums[f"{name}_{k}"] = sums.get(f"{name}_{k}", 0.0) + value.sum().item()
    return {name: round(total / count, 4) for name, total in sums.items()}


@torch.no_grad()
def draw_sheet(trainer, images, folder):
    """Held-out pictures, clean and then spoiled, beside their reconstructions."""
    clean = to_tensor(images[:24], trainer.device)
    x = torch.cat([clean[:16], spoiled(clean[16:], torch.Generator().manual_seed(0), 1, 0.3)])
    rows = []
    for part in x.split(8):
        pictures = refine(trainer.ema, trainer.generator, part, SHOWN[-1], torch.bfloat16)[1]
        rows.append(torch.stack([part, *(pictures[k - 1] for k in SHOWN)], 1).flatten(0, 1))
    name = f"sheet_{trainer.seen // 1000:04d}k.png"
    write_sheet(os.path.join(folder, name), torch.cat(rows), columns=8, zoom=1)


def export(trainer, images):
    """Write the model file, with the scores of the weights as stored on all held-out pictures."""
    args = trainer.args
    with open(args.generator, "rb") as f:
        sha256 = hashlib.sha256(f.read()).hexdigest()
    tensors = stored(trainer.ema)
    config = settings(trainer.ema, images.shape[1], sha256, args.steps)
    net = Encoder(config["num_ws"], config["w_dim"]).to(trainer.device).eval()
    ones = {"spread": torch.ones_like(net.spread)}
    net.load_state_dict({k: t.float() for k, t in tensors.items()} | ones)
    scores = score(trainer, net, images)
    provenance = {
        "data": "rendered faces (CC0 1.0 assets) and samples of the generator",
        "pictures_seen": trainer.seen,
        "minutes": round(trainer.seconds / 60, 1),
        "held_out": {"pictures": len(images), **scores},
        "script": "scripts/train/train_encoder.py",
        "seed": args.seed,
        "licence": "MIT OR Apache-2.0",
    }
    manifest = {"family": "encoder", "config": config, "provenance": provenance}
    save_model(args.model, tensors, manifest)
    print(f"{args.model}: {os.path.getsize(args.model)} bytes, {json.dumps(scores)}", flush=True)


def stage_of(args, progress):
    """The stage at this share of the whole time, and how far it is."""
    first, second = args.first, args.first + args.passes
    for stage, start, end in zip(STAGES, (0, first, second), (first, second, 1)):
        if progress < end or stage == STAGES[-1]:
            return stage, min(1.0, (progress - start) / max(1e-9, end - start))


def train(trainer, pairs, held_out, journal):
    """Steps until the time is over, with a checkpoint, scores and a sheet now and then."""
    args, budget = trainer.args, 60 * trainer.args.minutes

    def step():
        clock = time.time()
        stage, within = stage_of(args, trainer.seconds / budget)
        trainer.enter(stage, trainer.seconds / budget)
        row = trainer.step(pairs[stage], stage, within)
        trainer.seconds += time.time() - clock
        head = {"minute": round(trainer.seconds / 60, 1), "stage": stage, "seen": trainer.seen}
        return head, row, trainer.seconds >= budget

    def save():
        save_checkpoint(os.path.join(args.out, "last.pt"), trainer.state())
        journal.write({"seen": trainer.seen} | score(trainer, trainer.ema, held_out[: args.score]))
        draw_sheet(trainer, held_out, args.out)

    if trainer.seconds < budget:
        run_steps(step, save, journal, args.save_minutes)


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    device = pick_device(args.device)
    os.makedirs(args.out, exist_ok=True)
    trainer = Trainer(args, device)
    checkpoint = os.path.join(args.out, "last.pt")
    if os.path.exists(checkpoint):
        trainer.restore(torch.load(checkpoint, map_location=device, weights_only=True))
    images, held_out = load_images(args.data), load_images(args.held_out)
    codes = Codes(os.path.join(args.data, "codes.npz"), trainer.generator.config["z_dim"])
    seed = args.seed + trainer.step_count
    later = MixedPairs(images, codes, args.batch, args.samples, seed)
    pairs = dict.fromkeys(STAGES, later)
    pairs["first"] = MixedPairs(images, codes, 4 * args.batch, 0.0, seed)
    train(trainer, pairs, held_out, Journal(args.out, every=25))
    if args.model:
        export(trainer, held_out)


if __name__ == "__main__":
    main()
