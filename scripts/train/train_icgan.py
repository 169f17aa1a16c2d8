"""Make an invertible conditional GAN: write its generator, train its encoders on it, score them.

    python train_icgan.py --data WORK/data --out WORK/icgan --models models/icgan \\
        --base models/faces/generator.safetensors --attributes models/faces/attributes.safetensors

The generator is the embedded one with a class at its input (icgan.py): nothing is trained there.
E_z learns the codes of fresh pictures of G, as in the paper, and those of rendered pictures, whose
draws are known. E_y learns the classes of both.

Killed and started again it goes on; `--minutes` counts all runs.
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

from common import (
    Journal,
    load_images,
    run_steps,
    save_checkpoint,
    save_model,
    to_tensor,
    write_atomically,
    write_sheet,
)
from icgan import (
    CLASSES,
    HELD_FROM,
    SIDE,
    ClassCodes,
    Encoders,
    Generator,
    encoder_config,
    halved,
    load_encoders,
    one_hot,
    overlay,
    small,
)
from score_icgan import Scorer, draw_inversions, draw_samples, table

RARE = 0.5  # a class is drawn with its share to the power of this


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--data", required=True, help="folder written by prepare.py and codes.py")
    add("--out", required=True, help="folder for checkpoints, sheets and the log; resumed from")
    add("--models", required=True, help="folder of the model files and sheets")
    add("--attributes", required=True, help="attribute network's file")
    add("--base", required=True, help="the embedded generator's file")
    add("--minutes", type=float, default=25)
    add("--batch", type=int, default=16, help="renders, and as many samples of G")
    add("--rate", type=float, default=2e-3)
    add("--average", type=float, default=5_000, help="half-life of the averaged weights, pictures")
    add("--save-minutes", type=float, default=4)
    add("--seed", type=int, default=1)
    return parser.parse_args()


class Data:
    """The pictures at 64 pixels, their classes and codes, and batches of them."""

    def __init__(self, folder, seed):
        small = os.path.join(folder, f"images{SIDE}.npy")
        if not os.path.exists(small):
            images = load_images(folder)
            parts = [F.avg_pool2d(to_tensor(x), x.shape[1] // SIDE) for x in np.split(images, 50)]
            bytes_ = ((torch.cat(parts) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
            np.save(small, bytes_)
        self.images = np.load(small)
        self.codes = ClassCodes(os.path.join(folder, "codes.npz"))
        self.rng = np.random.default_rng(seed)
        trained = self.codes.classes[:HELD_FROM]
        shares = np.bincount(trained, minlength=len(CLASSES)) / HELD_FROM
        self.class_odds = shares**RARE / (shares**RARE).sum()
        odds = self.class_odds[trained] / shares[trained]
        self.odds = odds / odds.sum()

    def batch(self, n):
        """Pictures [N, 3, R, R], codes [N, D] and classes [N], mirrored at random."""
        chosen = self.rng.choice(HELD_FROM, n, p=self.odds)
        mirrored = self.rng.random(n) < 0.5
        x, flip = to_tensor(self.images[chosen]), torch.from_numpy(mirrored)[:, None, None, None]
        z = torch.from_numpy(self.codes.draw(chosen, mirrored, self.rng))
        return torch.where(flip, x.flip(3), x), z, torch.from_numpy(self.codes.classes[chosen])

    def fresh(self, n):
        """Codes of the prior and classes as frequent as in `batch`."""
        z = torch.from_numpy(self.rng.standard_normal((n, self.codes.dim)).astype(np.float32))
        return z, torch.from_numpy(self.rng.choice(len(CLASSES), n, p=self.class_odds))


class Trainer:
    """E_z and E_y: the networks, the averaged weights, checkpoints."""

    parts = ("net", "ema", "optimizer")

    def __init__(self, args, data, generator):
        self.args, self.data, self.generator = args, data, generator
        self.path = os.path.join(args.out, "encoders.pt")
        self.seen, self.seconds = 0, 0.0
        self.net, self.ema = Encoders(data.codes.dim), Encoders(data.codes.dim)
        for net in (self.net, self.ema):
            net.to(memory_format=torch.channels_last)
        self.ema.load_state_dict(self.net.state_dict())
        self.ema.eval().requires_grad_(False)
        weights = self.net.parameters()
        self.optimizer = torch.optim.AdamW(weights, args.rate, (0.9, 0.99), weight_decay=1e-3)
        if os.path.exists(self.path):
            state = torch.load(self.path, weights_only=True)
            for name in self.parts:
                getattr(self, name).load_state_dict(state[name])
            self.seen, self.seconds = state["seen"], state["seconds"]
            data.rng = np.random.default_rng(args.seed + self.seen)

    def save(self):
        state = {name: getattr(self, name).state_dict() for name in self.parts}
        save_checkpoint(self.path, state | {"seen": self.seen, "seconds": self.seconds})
        self.draw()

    def progress(self):
        return min(1.0, self.seconds / (60 * self.args.minutes))

    def rate(self):
        """A warm-up, then the first half of a cosine that ends at 2 %."""
        rise = min(1.0, (self.seen + 1) / 2000)
        return self.args.rate * rise * (0.02 + 0.98 * math.cos(math.pi / 2 * self.progress()) ** 2)

    @torch.no_grad()
    def average(self, n):
        """Move `ema`; its half-life is 5 % of the pictures seen, at most `--average`."""
        self.seen += n
        keep = 0.5 ** (n / max(1.0, min(self.args.average, 0.05 * self.seen)))
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.net.parameters()), 1 - keep)
        for kept, new in zip(self.ema.buffers(), self.net.buffers()):
            kept.copy_(new)

    def train(self, journal):
        def step():
            clock = time.time()
            row = self.step()
            self.seconds += time.time() - clock
            head = {"minute": round(self.seconds / 60, 1), "seen": self.seen}
            return head, row, self.progress() >= 1

        if self.progress() < 1:
            run_steps(step, self.save, journal, self.args.save_minutes)

    def pictures(self, z, classes):
        return small(self.generator(z, one_hot(classes), torch.bfloat16).clamp(-1, 1))

    def step(self):
        n = self.args.batch
        x, z, classes = self.data.batch(n)
        fresh, others = self.data.fresh(n)
        with torch.no_grad():
            made = self.pictures(fresh, others)
        self.net.train()
        with torch.autocast("cpu", torch.bfloat16):
            codes, logits = self.net(torch.cat([x, made]))
        apart = (codes - torch.cat([z, fresh])).square().mean(1)
        losses = {"renders": apart[:n].mean(), "samples": apart[n:].mean()}
        losses["classes"] = F.cross_entropy(logits, torch.cat([classes, others]))
        loss = sum(losses.values())
        self.optimizer.param_groups[0]["lr"] = self.rate()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.average(2 * n)
        return {name: value.item() for name, value in losses.items()}

    @torch.no_grad()
    def draw(self):
        """Pictures of the training above what the encoders and the generator make of them."""
        x, _, _ = self.data.batch(12)
        codes, logits = self.ema(x)
        made = self.pictures(codes, logits.argmax(1))
        write_sheet(os.path.join(self.args.out, "encoders.png"), torch.cat([x, made]), columns=12)

    def export(self, path, generator_path):
        provenance = {
            "data": f"samples of the generator, {HELD_FROM:,} rendered faces (CC0 1.0 assets)",
            "images_seen": self.seen,
            "minutes": round(self.seconds / 60, 1),
            "script": "scripts/train/train_icgan.py",
            "seed": self.args.seed,
            "licence": "MIT OR Apache-2.0",
        }
        config = encoder_config(self.data.codes.dim, generator_path)
        manifest = {"family": "encoder", "config": config, "provenance": provenance}
        save_model(path, halved(self.ema.tensors()), manifest)


def write_generator(path, base_path, codes):
    tensors, config = overlay(base_path, codes)
    with open(base_path, "rb") as f:
        base = hashlib.sha256(f.read()).hexdigest()
    provenance = {
        "base": base,
        "data": "the embedded generator with a class at its input; nothing was trained",
        "classes": list(CLASSES),
        "coordinates": {"z": codes.of_z, "class": codes.of_class},
        "script": "scripts/train/train_icgan.py",
        "licence": "MIT OR Apache-2.0",
    }
    manifest = {"family": "stylegan2", "config": config, "provenance": provenance}
    # In f32: its first layer is the base's, scaled.
    save_model(path, tensors, manifest)


def main():
    args = parse_arguments()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    os.makedirs(args.out, exist_ok=True)
    paths = [os.path.join(args.models, f"{part}.safetensors") for part in ("generator", "encoder")]
    data, journal = Data(args.data, args.seed), Journal(args.out, every=100)
    write_generator(paths[0], args.base, data.codes)
    generator = Generator(paths[0], args.base)
    draw_samples(generator, os.path.join(args.models, "samples.jpg"))
    trainer = Trainer(args, data, generator)
    trainer.train(journal)
    trainer.export(paths[1], paths[0])
    scorer = Scorer(generator, load_encoders(paths[1]), args.attributes)
    scores = scorer.all(data)
    write_atomically(os.path.join(args.out, "scores.json"), json.dumps(scores, indent=1).encode())
    draw_inversions(scorer, data, os.path.join(args.models, "inversions.jpg"))
    print(table(scores))


if __name__ == "__main__":
    main()
