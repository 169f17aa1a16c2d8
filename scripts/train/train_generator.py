"""Train the generator against a projected discriminator.

    python train_generator.py --data WORK/data --out WORK/run --minutes 100
    python train_generator.py --data WORK/data --out WORK/run --minutes 30   # goes on where it was

Each iteration draws one batch of generated pictures and uses it for both steps: hinge loss on
four heads over fixed features (features.py). Batch statistics of the heads are taken over real
and generated pictures together; taken apart, they give the two away and saturate the heads.
The average of the generator's weights (`ema`) is what is scored, drawn and exported.
"""

import argparse
import json
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

import networks
import score
from common import load_images, pick_device, save_checkpoint, to_tensor, write_sheet
from features import Discriminator, Projection
from networks import Generator

SHEET_SEED = 0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--data", required=True, help="folder written by prepare.py")
    add("--out", required=True, help="folder for checkpoints, sheets and the log; resumed from")
    add("--init", help="generator (and, as a pair, discriminator) weights to start from")
    add("--init-images", type=int, default=0, help="pictures already seen by --init")
    add("--minutes", type=float, default=100, help="length of this run; the rates decay with it")
    add("--batch", type=int, default=8, help="a multiple of 8")
    add("--g-rate", type=float, default=2e-3)
    add("--d-rate", type=float, default=3e-4)
    add("--decay-from", type=float, default=0.7, help="fraction of the run where decay begins")
    add("--final-rate", type=float, default=0.1, help="the rates' last fraction")
    add("--mixing", type=float, default=0.9, help="probability of style mixing")
    add("--augment", type=float, default=0.2, help="probability of each augmentation")
    add("--colour", type=float, default=0.3, help="strength of colour augmentation")
    add("--range-weight", type=float, default=10.0, help="penalty on pixels beyond [-1, 1]")
    add("--channels", default="256,256,128,64,48", help="feature maps from 4 px up")
    add("--save-minutes", type=float, default=6)
    add("--score-minutes", type=float, default=15)
    add("--score-samples", type=int, default=2000)
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=1)
    add("--device", default="auto")
    add("--no-compile", action="store_true")
    return parser.parse_args()


class RealImages:
    """Endless shuffled batches of mirrored-at-random pictures."""

    def __init__(self, images, batch, device, seed):
        self.images, self.batch, self.device = images, batch, device
        self.rng = np.random.default_rng(seed)
        self.order = []

    def next(self):
        if len(self.order) < self.batch:
            self.order = list(self.rng.permutation(len(self.images)))
        chosen = [self.order.pop() for _ in range(self.batch)]
        x = to_tensor(self.images[chosen], self.device)
        flip = torch.from_numpy(self.rng.random((self.batch, 1, 1, 1)) < 0.5).to(self.device)
        return torch.where(flip, x.flip(3), x)


def augment(x, probability, colour, shift=0.125):
    """Brightness, saturation, contrast and translation of some of the pictures; differentiable.

    Colours and place are each changed with `probability`. Left at 1, nothing ever shows the heads
    where faces really stand and how bright they are, and the generator drifts from both.
    """
    n, _, size, _ = x.shape

    def chosen(*shape):
        return torch.rand(n, *shape, device=x.device) < probability

    recoloured = chosen(1, 1, 1) * colour

    def amount():
        return (torch.rand(n, 1, 1, 1, device=x.device) - 0.5) * recoloured

    x = x + amount()
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * (1 + 2 * amount()) + grey
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * (1 + amount()) + mean
    reach = round(size * shift)
    padded = F.pad(x, (reach,) * 4)
    corners = torch.randint(0, 2 * reach + 1, (n, 2), device=x.device)
    corners = torch.where(chosen(1), corners, reach).tolist()
    return torch.stack([p[:, i : i + size, j : j + size] for p, (i, j) in zip(padded, corners)])


def mixed_styles(generator, n, probability, device):
    """Latents [N, L, D]; with `probability` the rows from a random one on are another's."""
    w = generator.mapping(torch.randn(2 * n, generator.config["z_dim"], device=device))
    first, second = (generator.broadcast(half) for half in w.chunk(2))
    rows = first.shape[1]
    cut = torch.randint(1, rows, (n, 1, 1), device=device)
    cut = torch.where(torch.rand(n, 1, 1, device=device) < probability, cut, rows)
    return torch.where(torch.arange(rows, device=device)[:, None] < cut, first, second)


class Trainer:
    """Networks, optimisers and the two steps."""

    def __init__(self, args, device):
        self.args, self.device = args, device
        resolutions = [4 << i for i in range(args.channels.count(",") + 1)]
        channels = dict(zip(resolutions, map(int, args.channels.split(","))))
        self.generator = Generator(channels).to(device)
        self.ema = Generator(channels).to(device).eval().requires_grad_(False)
        self.ema.load_state_dict(self.generator.state_dict())
        self.heads = Discriminator().to(device, memory_format=torch.channels_last)
        self.features = Projection(device)
        betas = (0.0, 0.99)
        self.g_optimizer = torch.optim.Adam(self.generator.parameters(), args.g_rate, betas)
        self.d_optimizer = torch.optim.Adam(self.heads.parameters(), args.d_rate, betas)
        self.seen, self.best = 0, float("inf")

    def state(self):
        parts = ("generator", "ema", "heads", "g_optimizer", "d_optimizer")
        state = {name: getattr(self, name).state_dict() for name in parts}
        return state | {"seen": self.seen, "best": self.best, "config": self.ema.config}

    def restore(self, state):
        for name in ("generator", "ema", "heads", "g_optimizer", "d_optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.seen, self.best = state["seen"], state["best"]

    def start_from(self, path, seen):
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.generator.load_state_dict(state["generator"])
        self.ema.load_state_dict(state["generator"])
        if "heads" in state:
            self.heads.load_state_dict(state["heads"])
        self.seen = seen

    def set_rates(self, factor):
        for optimizer, rate in (
            (self.g_optimizer, self.args.g_rate),
            (self.d_optimizer, self.args.d_rate),
        ):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor

    def judge(self, features):
        with torch.autocast(self.device.type, torch.bfloat16):
            return self.heads(features)

    def step(self, real):
        """One iteration on one batch; returns the losses and mean logits."""
        n = len(real)
        ws = mixed_styles(self.generator, n, self.args.mixing, self.device)
        fake = self.generator.synthesis(ws, "random", torch.bfloat16)
        of_fake = self.features(augment(fake, self.args.augment, self.args.colour))
        with torch.no_grad():
            of_real = self.features(augment(real, self.args.augment, self.args.colour))

        self.heads.train().requires_grad_(True)
        both = self.judge([torch.cat([r, f.detach()]) for r, f in zip(of_real, of_fake)])
        d_loss = sum(F.relu(1 - y[:n]).mean() + F.relu(1 + y[n:]).mean() for y in both)
        self.d_optimizer.zero_grad(set_to_none=True)
        d_loss.backward()
        self.d_optimizer.step()

        # Running statistics here: one fixed map, so the generator cannot play with the batch.
        self.heads.eval().requires_grad_(False)
        g_loss = -sum(y.mean() for y in self.judge(of_fake))
        outside = F.relu(fake.abs() - 1).square().mean()
        self.g_optimizer.zero_grad(set_to_none=True)
        (g_loss + self.args.range_weight * outside).backward()
        self.g_optimizer.step()
        self.seen += n
        self.average(n)
        logits = [y[:n].mean().item() for y in both], [y[n:].mean().item() for y in both]
        return np.array([d_loss.item(), g_loss.item(), outside.item(), *logits[0], *logits[1]])

    @torch.no_grad()
    def average(self, n):
        """Move `ema`; its half-life is 5 % of the pictures seen, at most 10,000."""
        keep = 0.5 ** (n / max(1.0, min(10_000, 0.05 * self.seen)))
        weights = list(self.generator.parameters())
        torch._foreach_lerp_(list(self.ema.parameters()), weights, 1 - keep)
        self.ema.mapping.w_avg.copy_(self.generator.mapping.w_avg)


@torch.no_grad()
def draw_sheets(trainer, folder):
    rng = torch.Generator().manual_seed(SHEET_SEED)
    z = torch.randn(64, trainer.ema.config["z_dim"], generator=rng).to(trainer.device)
    for psi in (1.0, 0.7):
        x = torch.cat([trainer.ema(part, psi, dtype=torch.bfloat16) for part in z.split(16)])
        write_sheet(os.path.join(folder, f"sheet_{trainer.seen // 1000:04d}k_{psi}.png"), x)


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    device = pick_device(args.device)
    os.makedirs(args.out, exist_ok=True)
    if not args.no_compile:
        networks.activate = torch.compile(networks.activate, dynamic=False)
    images = load_images(args.data)
    reals = RealImages(images, args.batch, device, args.seed)
    trainer = Trainer(args, device)
    trainer.features.calibrate(torch.cat([reals.next() for _ in range(8)]))
    checkpoint = os.path.join(args.out, "last.pt")
    if os.path.exists(checkpoint):
        trainer.restore(torch.load(checkpoint, map_location=device, weights_only=True))
        torch.manual_seed(args.seed + trainer.seen)
        reals = RealImages(images, args.batch, device, args.seed + trainer.seen)
    elif args.init:
        trainer.start_from(args.init, args.init_images)
    scorer = score.Scorer(images, device, trainer.features.net)

    start = saved = scored = time.time()
    window, window_start, done = [], start, False
    with open(os.path.join(args.out, "log.jsonl"), "a") as log:
        while not done:
            progress = (time.time() - start) / (60 * args.minutes)
            decay = (progress - args.decay_from) / (1 - args.decay_from)
            trainer.set_rates(1 - (1 - args.final_rate) * min(1.0, max(0.0, decay)))
            window.append(trainer.step(reals.next()))
            now, done = time.time(), progress >= 1
            record = {"minute": round((now - start) / 60, 1), "seen": trainer.seen}
            if len(window) == 50 or done:
                rate = len(window) * args.batch / (now - window_start)
                mean = np.mean(window, 0).round(3).tolist()
                names = {"d": mean[0], "g": mean[1], "outside": mean[2]}
                record |= names | {"real": mean[3:7], "fake": mean[7:], "rate": round(rate, 1)}
                print(json.dumps(record), file=log, flush=True)
                print(json.dumps(record), flush=True)
                window, window_start = [], now
            if done or now - scored > 60 * args.score_minutes:
                distance = scorer.score(trainer.ema, args.score_samples)
                print(json.dumps({"seen": trainer.seen, "fd": round(distance, 3)}), file=log)
                print(f"seen {trainer.seen}: Frechet distance {distance:.3f}", flush=True)
                if distance < trainer.best:
                    trainer.best = distance
                    save_checkpoint(os.path.join(args.out, "best.pt"), trainer.state())
                scored = window_start = time.time()
            if done or now - saved > 60 * args.save_minutes:
                draw_sheets(trainer, args.out)
                save_checkpoint(checkpoint, trainer.state())
                saved = time.time()


if __name__ == "__main__":
    main()
