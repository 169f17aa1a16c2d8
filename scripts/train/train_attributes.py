"""Train the attribute regressor and write its model file.

    python train_attributes.py --data WORK/data --out models/faces/attributes.safetensors

A plain CNN (networks.AttributeNet) on all training pictures but 1,000; scores are measured on
those 1,000, with the weights as stored (f16).
"""

import argparse
import math
import time

import numpy as np
import torch
import torch.nn.functional as F

from attributes import OUTPUTS, PROBABILITY, measure, predict, standardised
from common import load_images, pick_device, save_model, to_tensor
from networks import AttributeNet

HELD_OUT = 1000
EMA = 0.998


def load_labels(folder):
    """[N, outputs] in the labels' own units."""
    with np.load(folder + "/labels.npz") as f:
        columns = {name: f[name] for name in f.files if name != "ids"}
    columns["glasses"] = np.maximum(columns["glasses"], columns["sunglasses"])
    return torch.from_numpy(np.stack([columns[name] for name in OUTPUTS], 1))


def augment(x, y, signs, shift=3):
    """Mirror at random (labels with the picture), shift by a few pixels, add faint noise.

    `signs` [outputs] says which standardised labels change sign; their means are set to 0.
    """
    flip = torch.rand(len(x), device=x.device) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    y = torch.where(flip[:, None], y * signs, y)
    i, j = torch.randint(0, 2 * shift + 1, (2,)).tolist()
    padded = F.pad(x, (shift,) * 4, mode="replicate")
    x = padded[:, :, i : i + x.shape[2], j : j + x.shape[3]]
    return x + 0.03 * torch.randn_like(x), y


def loss_of(raw, target, probability):
    """Mean over outputs of squared error, or cross entropy where `probability` [outputs]."""
    squared = (raw - target).square()
    entropy = F.binary_cross_entropy_with_logits(raw, target, reduction="none")
    return torch.where(probability, entropy, squared).mean()


def fit(args, images, targets, probability, signs, device):
    """Train; returns the averaged network."""
    net = AttributeNet(len(OUTPUTS)).to(device, memory_format=torch.channels_last)
    average = AttributeNet(len(OUTPUTS)).to(device).eval().requires_grad_(False)
    average.load_state_dict(net.state_dict())
    optimizer = torch.optim.AdamW(net.parameters(), args.rate, weight_decay=1e-3)
    rng = np.random.default_rng(args.seed)
    per_epoch = len(images) // args.batch
    total, step, start = args.epochs * per_epoch, 0, time.time()
    for epoch in range(args.epochs):
        order, losses = rng.permutation(len(images)), []
        for k in range(per_epoch):
            rate = args.rate * min(1, (step + 1) / 200)
            rate *= 0.5 + 0.5 * math.cos(math.pi * step / total)
            optimizer.param_groups[0]["lr"] = rate
            chosen = order[k * args.batch : (k + 1) * args.batch]
            y = targets[torch.from_numpy(chosen)].to(device)
            x, y = augment(to_tensor(images[chosen], device), y, signs)
            with torch.autocast(device.type, torch.bfloat16):
                raw = net(x.contiguous(memory_format=torch.channels_last))
            loss = loss_of(raw.float(), y, probability)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            keep = min(EMA, (step + 1) / (step + 10))
            with torch.no_grad():
                torch._foreach_lerp_(list(average.parameters()), list(net.parameters()), 1 - keep)
            losses.append(loss.item())
            step += 1
        print(
            f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, {time.time() - start:.0f} s",
            flush=True,
        )
    return average


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True, help="model file to write")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    device = pick_device(args.device)

    images, labels = load_images(args.data), load_labels(args.data)
    order = np.random.default_rng(0).permutation(len(images))
    held, rest = order[:HELD_OUT], order[HELD_OUT:]
    outputs, targets, signs = [], [], []
    for i, (name, (kind, unit, sign)) in enumerate(OUTPUTS.items()):
        values = labels[rest, i]
        mean = 0.0 if sign < 0 or kind == PROBABILITY else values.mean().item()
        std = 1.0 if kind == PROBABILITY else values.std().item()
        outputs.append({"name": name, "kind": kind, "mean": mean, "std": std, "unit": unit})
        targets.append(standardised(labels[:, i], kind, mean, std))
        signs.append(float(sign))
    targets, signs = torch.stack(targets, 1), torch.tensor(signs, device=device)
    probability = torch.tensor([o["kind"] == PROBABILITY for o in outputs], device=device)
    net = fit(args, images[rest], targets[rest], probability, signs, device)

    stored = {name: t.half() for name, t in net.state_dict().items()}
    net.load_state_dict({name: t.float() for name, t in stored.items()})
    raw = predict(net, to_tensor(images[held], device)).cpu()
    for i, output in enumerate(outputs):
        measured, value = measure(targets[held, i], raw[:, i], output["kind"])
        output[measured] = round(value, 4)
        print(f"{output['name']:15} {measured} {value:.3f}")
    config = {
        "input_resolution": images.shape[1],
        "input_range": [-1, 1],
        "strides": net.strides,
        "leaky": 0.2,
        "outputs": outputs,
    }
    provenance = {
        "data": "rendered faces (CC0 1.0 assets), 19,000 trained on, 1,000 held out",
        "script": "scripts/train/train_attributes.py",
        "epochs": args.epochs,
        "seed": args.seed,
        "licence": "MIT OR Apache-2.0",
    }
    manifest = {"family": "attributes", "config": config, "provenance": provenance}
    save_model(args.out, stored, manifest)


if __name__ == "__main__":
    main()
