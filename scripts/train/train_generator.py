"""Train the generator on rendered faces and their codes, and against a projected discriminator.

    python train_generator.py --data WORK/data --out WORK/run --minutes 100
    python train_generator.py --data WORK/data --out WORK/run --minutes 30   # goes on where it was

The pictures are rendered from known draws, so each has its latent code (codes.py), distributed as
the prior. A batch is the pictures' codes: most are held to their own picture (pixels at four sizes,
fixed features at four depths), the rest have their styles mixed. All of them, once `--judge-from`
pictures are seen, also face the discriminator: hinge loss on four heads over fixed features
(features.py). Batch statistics of the heads are taken over real and generated pictures together;
taken apart, they give the two away and saturate the heads. The average of the generator's weights
(`ema`) is what is scored, drawn and exported.
"""

import argparse
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

import networks
from codes import Codes
from common import (
    Journal,
    load_images,
    pick_device,
    run_steps,
    save_checkpoint,
    to_tensor,
    write_sheet,
)
from features import Discriminator, Projection
from likeness import pixel_loss
from networks import Generator
from reading import Reading

LOSSES = ("pixels", "outside", "features", "d", "real", "fake", "readings", "around")
SHEET_SEED = 0
FEATURES_FROM = 64  # smaller pictures are compared by their pixels alone
MAPPING_RATE = 3.0  # of --g-rate; its weights are stored 100 times larger (lr_mul)
AFFINE_RATE = 4.0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--data", required=True, help="folder written by prepare.py and codes.py")
    add("--out", required=True, help="folder for checkpoints, sheets and the log; resumed from")
    add("--minutes", type=float, default=100, help="length of this run; the rates decay with it")
    add("--batch", type=int, default=8, help="a multiple of 8")
    add("--g-rate", type=float, default=2e-3)
    add("--d-rate", type=float, default=3e-4)
    add("--decay-from", type=float, default=0.7, help="fraction of the run where decay begins")
    add("--final-rate", type=float, default=0.1, help="the rates' last fraction")
    add("--mixed", type=float, default=0.25, help="share of a batch with mixed styles")
    add("--pixels", type=float, default=1.0, help="weight of the pixel loss")
    add("--features", type=float, default=1.0, help="weight of the feature loss")
    add("--attributes", help="attribute network's file: its readings are compared as well")
    add("--readings", type=float, default=0.3, help="weight of that loss")
    add("--stress", default="", help="NAME:FACTOR,... readings that weigh more")
    add("--around", type=float, default=0.0, help="weight of the pixels at the eyes and the mouth")
    add("--adversary", type=float, default=0.02, help="weight of the discriminator's verdict")
    add("--grow", default="32:110000,64:160000", help="SIDE:PICTURES, sides trained until then")
    add("--judge-from", type=int, default=170_000, help="pictures seen before it is asked")
    add("--average", type=float, default=10_000, help="half-life of the averaged weights, pictures")
    add("--fix-mapping", action="store_true", help="keep w of every code, as averaged so far")
    add("--range-weight", type=float, default=10.0, help="penalty on pixels beyond [-1, 1]")
    add("--channels", default="256,256,192,96,48,32", help="feature maps from 4 px up")
    add("--z-dim", type=int, default=128)
    add("--w-dim", type=int, default=512)
    add("--save-minutes", type=float, default=6)
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=1)
    add("--device", default="auto")
    add("--no-compile", action="store_true")
    return parser.parse_args()


class Pairs:
    """Endless shuffled batches of pictures, mirrored at random, with their codes."""

    def __init__(self, images, codes, batch, seed):
        self.images, self.codes, self.batch = images, codes, batch
        self.rng = np.random.default_rng(seed)
        self.order = []

    def next(self, device):
        """Pictures [N, 3, R, R] in [-1, 1] and codes [N, D]."""
        if len(self.order) < self.batch:
            self.order = list(self.rng.permutation(len(self.images)))
        chosen = np.array([self.order.pop() for _ in range(self.batch)])
        mirrored = self.rng.random(self.batch) < 0.5
        z = torch.from_numpy(self.codes.draw(chosen, mirrored, self.rng)).to(device)
        x = to_tensor(self.images[chosen], device)
        flip = torch.from_numpy(mirrored).to(device)[:, None, None, None]
        return torch.where(flip, x.flip(3), x), z


def mixed_styles(generator, w, count):
    """Latents [N, L, D] of `w` [N, D]; the last `count` take their later rows from a neighbour."""
    ws = generator.broadcast(w)
    rows = torch.arange(ws.shape[1], device=w.device)[:, None]
    cut = torch.randint(1, len(rows), (len(w), 1, 1), device=w.device)
    cut[: len(w) - count] = len(rows)
    return torch.where(rows < cut, ws, ws.roll(1, 0))


@torch.no_grad()
def start_from_codes(generator):
    """Weights to start from where every picture has its code and nothing random is to be kept.

    Styles near 1; a mapping whose first layers pass the code on, as z and -z, beside random
    features of it, so that the affine layers find every draw at once: through layers that are all
    random, only half of a draw's variance is linear in w.
    """
    for name, weight in generator.named_parameters():
        if name.endswith("affine.weight"):
            weight.mul_(0.1)
    mapping = generator.mapping
    for i in range(mapping.layers - 1):
        layer = getattr(mapping, f"fc{i}")
        n_out, n_in = layer.weight.shape
        through = torch.eye(n_in) / 2**0.5
        rows = torch.cat([through, -through]) if i == 0 else through
        layer.weight.mul_(1.0 if i == 0 else 0.1)
        layer.weight[: len(rows)] = rows[:n_out] / layer.weight_gain


class Trainer:
    """Networks, optimisers and the two steps."""

    def __init__(self, args, device):
        self.args, self.device = args, device
        resolutions = [4 << i for i in range(args.channels.count(",") + 1)]
        channels = dict(zip(resolutions, map(int, args.channels.split(","))))
        sizes = {"z_dim": args.z_dim, "w_dim": args.w_dim}
        self.generator = Generator(channels, **sizes).to(device)
        start_from_codes(self.generator)
        self.ema = Generator(channels, **sizes).to(device).eval().requires_grad_(False)
        self.ema.load_state_dict(self.generator.state_dict())
        self.heads = Discriminator().to(device, memory_format=torch.channels_last)
        self.features = Projection(device)
        self.reader = None
        if args.attributes:
            stressed = (part.split(":") for part in args.stress.split(",") if part)
            stressed = {name: float(factor) for name, factor in stressed}
            self.reader = Reading(args.attributes, device, stressed)
        scales = {"mapping": MAPPING_RATE, "affine": AFFINE_RATE, "rest": 1.0}
        groups = {name: [] for name in scales}
        for name, parameter in self.generator.named_parameters():
            kind = next((kind for kind in scales if kind in name), "rest")
            groups[kind].append(parameter)
        groups = [{"params": p, "scale": scales[kind]} for kind, p in groups.items()]
        self.g_optimizer = torch.optim.Adam(groups, args.g_rate, (0.9, 0.99))
        self.d_optimizer = torch.optim.Adam(self.heads.parameters(), args.d_rate, (0.0, 0.99))
        self.seen = 0

    def state(self):
        parts = ("generator", "ema", "heads", "g_optimizer", "d_optimizer")
        state = {name: getattr(self, name).state_dict() for name in parts}
        return state | {"seen": self.seen, "gains": self.features.gains, "config": self.ema.config}

    def restore(self, state):
        for name in ("generator", "ema", "heads", "g_optimizer", "d_optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.seen, self.features.gains = state["seen"], state["gains"]

    def fix_mapping(self):
        """From here on a code keeps its w, so that an encoder can be trained beside."""
        self.generator.mapping.load_state_dict(self.ema.mapping.state_dict())
        self.generator.mapping.requires_grad_(False)

    def set_rates(self, factor):
        for optimizer, rate in (
            (self.g_optimizer, self.args.g_rate),
            (self.d_optimizer, self.args.d_rate),
        ):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor * group.get("scale", 1.0)

    def judge(self, features):
        with torch.autocast(self.device.type, torch.bfloat16):
            return self.heads(features)

    def feature_loss(self, fake, real):
        """Mean absolute difference of the fixed features, each depth scaled to unit variance."""
        gains = self.features.gains
        return sum((a - b).abs().float().mean() * g for a, b, g in zip(fake, real, gains)) / 4

    def train_heads(self, of_real, of_fake):
        """One step of the discriminator; returns its loss and the mean logits of both sides."""
        n = len(of_real[0])
        self.heads.train().requires_grad_(True)
        both = self.judge([torch.cat([r, f.detach()]) for r, f in zip(of_real, of_fake)])
        loss = sum(F.relu(1 - y[:n]).mean() + F.relu(1 + y[n:]).mean() for y in both)
        self.d_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.d_optimizer.step()
        # Running statistics from here: one fixed map, so the generator cannot play with the batch.
        self.heads.eval().requires_grad_(False)
        logits = [sum(y[part].mean().item() for y in both) / 4 for part in (slice(n), slice(n, None))]
        return [loss.item(), *logits]

    def against_features(self, real, fake, own):
        """The feature loss of the first `own` pictures plus the verdict, and what to log of both."""
        args, whole = self.args, real.shape[2] == self.features.size
        taps_fake = self.features.net(fake)
        with torch.no_grad():
            taps_real = self.features.net(real)
        depth = self.feature_loss([t[:own] for t in taps_fake], [t[:own] for t in taps_real])
        loss, verdict = args.features * depth, [0.0, 0.0, 0.0]
        if whole and self.seen >= args.judge_from:
            of_fake = self.features.mix(fake, taps_fake)
            with torch.no_grad():
                of_real = self.features.mix(real, taps_real)
            verdict = self.train_heads(of_real, of_fake)
            loss = loss - args.adversary * sum(y.mean() for y in self.judge(of_fake))
        return loss, [depth.item(), *verdict]

    def against_readings(self, real, fake):
        """What the attribute network makes of pictures and originals, and what to log of it."""
        seen_fake, seen_real, grey = self.reader.disguised(fake, real)
        with torch.no_grad():
            truth = self.reader.raw(seen_real)
        readings = self.reader.difference(seen_fake, truth, grey)
        around = self.reader.around(fake, real, truth)
        loss = self.args.readings * readings + self.args.around * around
        return loss, [readings.item(), around.item()]

    def side(self):
        """The side of the pictures trained on now: small ones first, they cost less."""
        stages = (stage.split(":") for stage in self.args.grow.split(",") if stage)
        full = self.ema.synthesis.resolutions[-1]
        return next((int(side) for side, until in stages if self.seen < int(until)), full)

    def step(self, real, z):
        """One iteration on one batch; returns the losses, and the discriminator's logits."""
        args, n, side = self.args, len(real), self.side()
        mixed = int(args.mixed * n) if self.seen >= args.judge_from else 0
        ws = mixed_styles(self.generator, self.generator.mapping(z), mixed)
        fake = self.generator.synthesis(ws, "random", torch.bfloat16, side)
        real = F.avg_pool2d(real, real.shape[2] // side)
        pixels = pixel_loss(fake[: n - mixed], real[: n - mixed])
        outside = F.relu(fake.abs() - 1).square().mean()
        loss, rest = args.pixels * pixels + args.range_weight * outside, [0.0] * 4
        if side >= FEATURES_FROM:
            more, rest = self.against_features(real, fake, n - mixed)
            loss = loss + more
        if self.reader is not None and side == self.features.size:
            more, read = self.against_readings(real[: n - mixed], fake[: n - mixed])
            loss, rest = loss + more, [*rest, *read]
        self.g_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.g_optimizer.step()
        self.seen += n
        self.average(n)
        return np.array([pixels.item(), outside.item(), *rest])

    @torch.no_grad()
    def average(self, n):
        """Move `ema`; its half-life is 5 % of the pictures seen, at most `--average`."""
        keep = 0.5 ** (n / max(1.0, min(self.args.average, 0.05 * self.seen)))
        weights = list(self.generator.parameters())
        torch._foreach_lerp_(list(self.ema.parameters()), weights, 1 - keep)
        self.ema.mapping.w_avg.copy_(self.generator.mapping.w_avg)


@torch.no_grad()
def draw_sheets(trainer, folder, real, z):
    """Samples of fresh codes at two truncations, and pictures beside what their codes give."""
    rng = torch.Generator().manual_seed(SHEET_SEED)
    fresh = torch.randn(48, trainer.ema.config["z_dim"], generator=rng).to(trainer.device)

    def pictures(codes, psi):
        parts = [trainer.ema(part, psi, dtype=torch.bfloat16) for part in codes.split(16)]
        return torch.cat(parts)

    name = os.path.join(folder, f"sheet_{trainer.seen // 1000:04d}k")
    for psi in (1.0, 0.7):
        write_sheet(f"{name}_{psi}.png", pictures(fresh, psi), zoom=1)
    pairs = torch.stack([real, pictures(z, 1.0)], 1).flatten(0, 1)
    write_sheet(f"{name}_pairs.png", pairs, zoom=1)


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    device = pick_device(args.device)
    os.makedirs(args.out, exist_ok=True)
    if not args.no_compile:
        torch._dynamo.config.recompile_limit = 64  # one for every shape, trained and averaged
        networks.activate = torch.compile(networks.activate, dynamic=False)
    codes = Codes(os.path.join(args.data, "codes.npz"), args.z_dim)
    images = load_images(args.data)
    trainer = Trainer(args, device)
    checkpoint = os.path.join(args.out, "last.pt")
    if os.path.exists(checkpoint):
        trainer.restore(torch.load(checkpoint, map_location=device, weights_only=True))
        torch.manual_seed(args.seed + trainer.seen)
    if args.fix_mapping:
        trainer.fix_mapping()
    pairs = Pairs(images, codes, args.batch, args.seed + trainer.seen)
    if trainer.seen == 0:
        trainer.features.calibrate(pairs.next(device)[0])

    start = time.time()

    def step():
        progress = (time.time() - start) / (60 * args.minutes)
        decay = (progress - args.decay_from) / (1 - args.decay_from)
        trainer.set_rates(1 - (1 - args.final_rate) * min(1.0, max(0.0, decay)))
        row = dict(zip(LOSSES, trainer.step(*pairs.next(device))))
        head = {"minute": round((time.time() - start) / 60, 1), "seen": trainer.seen}
        return head, row, progress >= 1

    def save():
        draw_sheets(trainer, args.out, *pairs.next(device))
        save_checkpoint(checkpoint, trainer.state())

    run_steps(step, save, Journal(args.out, every=100), args.save_minutes)


if __name__ == "__main__":
    main()
