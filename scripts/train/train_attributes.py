"""Train the attribute network and write its model file.

    python train_attributes.py --data WORK/data --out models/faces/attributes.safetensors \
        --checkpoint WORK/attributes.pt --minutes 50

Learns from all prepared pictures but the last 1,000, half of them as windows (windows.py), and
scores the weights as stored (f16) on those 1,000. Continues from the checkpoint if it is there;
`--minutes` is the time of training in all, over which the learning rate falls. The model file is
written anew every few minutes.
"""

import argparse
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

from attribute_network import LEAK, AttributeNet, folded
from attributes import (
    CATEGORY,
    LANDMARKS,
    NAMES,
    PROBABILITY,
    REGRESSION,
    ROWS,
    load_labels,
    members,
    moments,
    predict,
    scores,
)
from common import load_images, pick_device, save_checkpoint, save_model, to_tensor
from windows import ROLL, augment

HELD_OUT = 1000
EMA = 0.999
WEIGHTS = torch.tensor([r["weight"] for r in ROWS])
KINDS = {k: [i for i, r in enumerate(ROWS) if r["kind"] == k] for k in (REGRESSION, PROBABILITY)}
GROUPS = [members(g) for g in {r["group"]: 0 for r in ROWS if r["kind"] == CATEGORY}]


def row_losses(raw, y, mean, std):
    """[N, rows]: squares of standardised errors, cross entropies, absolute errors of points.

    Landmarks (in hundredths of the side) and the roll (in standard deviations) go far from
    their usual values in turned windows, so their errors count in proportion, not squared.
    """
    out = torch.empty_like(raw)
    target = (y - mean) / std
    k = KINDS[REGRESSION]
    out[:, k] = (raw[:, k] - target[:, k]).square()
    for k, unit in ((LANDMARKS, 100 * std[LANDMARKS]), ([ROLL], 1.0)):
        error = (raw[:, k] - target[:, k]) * unit
        out[:, k] = ((error / 0.7).square() + 1).sqrt() - 1
    k = KINDS[PROBABILITY]
    out[:, k] = F.binary_cross_entropy_with_logits(raw[:, k], y[:, k], reduction="none")
    for k in GROUPS:
        out[:, k] = -y[:, k] * F.log_softmax(raw[:, k], 1)
    return out


class Training:
    """Network, its moving average, optimiser and progress: what a checkpoint holds."""

    def __init__(self, args, device):
        self.args, self.device = args, device
        self.net = AttributeNet(len(ROWS), normalise=True)
        self.average = AttributeNet(len(ROWS), normalise=True)
        for net in (self.net, self.average):
            net.to(device, memory_format=torch.channels_last)
        self.average.load_state_dict(self.net.state_dict())
        self.average.eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), args.rate, weight_decay=2e-3)
        self.seen, self.seconds = 0, 0.0

    def parts(self):
        return {"net": self.net, "average": self.average, "optimizer": self.optimizer}

    def save(self):
        state = {name: part.state_dict() for name, part in self.parts().items()}
        save_checkpoint(self.args.checkpoint, state | {"at": (self.seen, self.seconds)})

    def resume(self):
        state = torch.load(self.args.checkpoint, map_location=self.device, weights_only=True)
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.seen, self.seconds = state["at"]

    def set_rate(self):
        """A short rise, then half a cosine over the time given."""
        progress = min(1, self.seconds / (60 * self.args.minutes))
        rise = min(1, (self.seen + 1) / 20_000)
        rate = self.args.rate * rise * (0.5 + 0.5 * math.cos(math.pi * progress))
        self.optimizer.param_groups[0]["lr"] = rate

    def step(self, x, y, counts, mean, std):
        """One batch; returns the mean loss of every row."""
        self.set_rate()
        self.net.train()
        with torch.autocast(self.device.type, torch.bfloat16):
            raw = self.net(x.contiguous(memory_format=torch.channels_last))
        losses = (row_losses(raw.float(), y, mean, std) * counts).mean(0)
        loss = (losses * WEIGHTS.to(losses.device)).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.follow(len(x))
        return losses.detach()

    @torch.no_grad()
    def follow(self, n):
        """Count `n` pictures and move the average, statistics of the batches with it."""
        self.seen += n
        keep = min(EMA, self.seen / (self.seen + 20 * n))
        mine, theirs = self.average.state_dict(), self.net.state_dict()
        for name, t in mine.items():
            if t.is_floating_point():
                t.lerp_(theirs[name], 1 - keep)


def export(args, training, held, mean, std):
    """Write the model file; print and return the scores of the weights in it."""
    net = folded(training.average.to("cpu"))
    training.average.to(training.device)
    stored = {name: t.half() for name, t in net.state_dict().items()}
    net.load_state_dict({name: t.float() for name, t in stored.items()})
    images, labels = held
    raw = predict(net, to_tensor(images))
    outputs = []
    for i, (r, score) in enumerate(zip(ROWS, scores(labels, raw, mean, std))):
        kept = {k: r[k] for k in ("name", "kind", "group", "unit") if k in r}
        outputs.append({**kept, "mean": mean[i].item(), "std": std[i].item()})
        if r["name"] != "face":  # every held-out picture is one
            outputs[-1]["score"] = {"name": score[0], "value": round(score[1], 4)}
    save_model(args.out, stored, manifest(args, training, net, outputs))
    return outputs


def manifest(args, training, net, outputs):
    """What the file says of itself; `framing` is the mean of the five landmarks."""
    points = [outputs[i]["mean"] for i in LANDMARKS]
    config = {
        "input_resolution": 128,
        "input_range": [-1, 1],
        "strides": [stride for _, stride in net.plan],
        "leaky": LEAK,
        "grid": net.grid,
        "outputs": outputs,
        "framing": [points[k : k + 2] for k in range(0, 10, 2)],
        "framing_per_yaw_degree": args.per_degree,
        "brightness": args.brightness,
    }
    provenance = {
        "data": "rendered faces (CC0 1.0 assets), 19,000 trained on, the last 1,000 held out",
        "script": "scripts/train/train_attributes.py",
        "pictures_seen": training.seen,
        "minutes": round(training.seconds / 60, 1),
        "seed": args.seed,
        "licence": "MIT OR Apache-2.0",
    }
    return {"family": "attributes", "config": config, "provenance": provenance}


def brightness(images):
    """Mean of the values on [-1, 1], and mean of the pictures' standard deviations."""
    mean, deviation = np.mean([(picture.mean(), picture.std()) for picture in images], 0)
    return [round(float(mean / 127.5 - 1), 3), round(float(deviation / 127.5), 3)]


def per_yaw_degree(labels):
    """[[dx, dy] * 5]: how the landmarks move, in shares of the side, a degree of yaw."""
    yaw = labels[:, NAMES.index("yaw_deg")]
    yaw = yaw - yaw.mean()
    points = labels[:, LANDMARKS]
    slopes = (yaw[:, None] * (points - points.mean(0))).sum(0) / yaw.square().sum()
    return [[round(v, 6) for v in slopes[k : k + 2].tolist()] for k in range(0, 10, 2)]


def report(training, losses, outputs):
    """A line of progress: the losses of some rows, the scores of some outputs."""
    names = ("face", "eye_left_x", "mouth_left_y", "identity_00")
    lost = ", ".join(f"{n} {losses[NAMES.index(n)]:.3f}" for n in names)
    text = ", ".join(f"{o['name']} {o['score']['value']:.3f}" for o in outputs[:26])
    at = f"{training.seconds / 60:.1f} min, {training.seen} pictures"
    print(f"{at}: losses {lost}; held out {text}", flush=True)


def run(args, training, images, labels, mean, std):
    """Train until the time is up, writing checkpoint and model now and then."""
    rng = torch.Generator().manual_seed(args.seed + training.seen)
    kept = len(images) - HELD_OUT
    held = images[kept:], labels[kept:]
    device, written, total, batches = training.device, time.time(), torch.zeros(len(ROWS)), 0
    while training.seconds < 60 * args.minutes:
        start = time.time()
        chosen = torch.randint(kept, (args.batch,), generator=rng)
        x = to_tensor(images[chosen.numpy()])
        batch = [t.to(device) for t in augment(x, labels[chosen], rng)]
        total += training.step(*batch, mean.to(device), std.to(device)).cpu()
        batches += 1
        training.seconds += time.time() - start
        if time.time() - written > 60 * args.every:
            training.save()
            report(training, total / batches, export(args, training, held, mean, std))
            written, total, batches = time.time(), torch.zeros(len(ROWS)), 0
    training.save()
    for output in export(args, training, held, mean, std):
        score = output.get("score", {"name": "not measured", "value": 0})
        print(f"{output['name']:17} {score['name']} {score['value']:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True, help="model file to write")
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--minutes", type=float, default=53)
    parser.add_argument("--every", type=float, default=3, help="minutes between checkpoints")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    images, labels = np.asarray(load_images(args.data)), load_labels(args.data)
    mean, std = moments(labels[:-HELD_OUT])
    args.per_degree = per_yaw_degree(labels[:-HELD_OUT])
    args.brightness = brightness(images[:-HELD_OUT])
    training = Training(args, pick_device(args.device))
    if os.path.exists(args.checkpoint):
        training.resume()
    run(args, training, images, labels, mean, std)


if __name__ == "__main__":
    main()
