"""Train the head that tells the parts and points of a face; put it into the attribute network's file.

    python train_parts.py --source DATA/faces --data WORK/data \\
        --attributes models/faces/attributes.safetensors

The rendered index maps say what every pixel shows. Pictures are windows as in windows.py, so that
faces may be turned, small, or moved; what lies outside a picture counts as nothing. Scored on the
held-out people's base pictures: intersection over union of every class.
"""

import argparse
import io
import json
import math
import os
import tarfile

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from attributes import ROWS, load_attributes, load_tensors, mirror_points
from common import load_images, save_model, to_tensor
from parts import CLASSES, POINTS, TAPS, Parts, places
from prepare import RENDERED, column, read_labels, read_pictures
from windows import cut, draw_windows, move_points, sampling_grid, spoil

SPOILT = 0.3  # share of windows that are lit otherwise, blurred, or compressed
BUMP = 1.0  # deviation of the bump at a point, in places of the map
POINTS_WEIGHT = 0.1
EMA = 0.995


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--source", required=True, help="folder with the tars")
    add("--data", required=True, help="folder that prepare.py made of the training pictures")
    add("--attributes", required=True, help="model file of the attribute network; the head is added")
    add("--steps", type=int, default=2500)
    add("--batch", type=int, default=32)
    add("--rate", type=float, default=3e-3)
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=1)
    return parser.parse_args()


def index_maps(path):
    """{picture's name: uint8 [128, 128]} of a tar of index maps."""
    with tarfile.open(path) as tar:
        members = [m for m in tar if m.name.endswith(".png")]
        read = lambda m: np.asarray(Image.open(io.BytesIO(tar.extractfile(m).read())))
        return {m.name.removesuffix(".png"): read(m) for m in members}


def windowed(x, y, points, rng):
    """Windows of pictures [n, 3, R, R], of their index maps [n, R, R] and points [n, 5, 2]."""
    flip = torch.rand(len(x), generator=rng) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    y = torch.where(flip[:, None, None], y.flip(2), y)
    mirrored = mirror_points(points.flatten(1)).view(points.shape)
    points = torch.where(flip[:, None, None], mirrored, points)
    window = draw_windows(len(x), rng)
    grid = sampling_grid(*window, x.shape[2])
    # Counted from 1, so that what lies outside becomes 0.
    moved = F.grid_sample(y[:, None].float() + 1, grid, mode="nearest", align_corners=False)
    y = moved[:, 0].long() - 1
    x = spoil(cut(x, *window, rng), torch.ones(len(x), len(ROWS)), rng, SPOILT)
    return x, y, move_points(points, *window)


def reduced(y, side):
    """Index maps at the side of the logits: the class of the middle pixel of every square."""
    step = y.shape[1] // side
    return y[:, step // 2 :: step, step // 2 :: step]


def point_loss(logits, points):
    """Cross entropy of the places with a small bump at each point, and how far their mean is off.

    Points outside the window do not count, nor do faces so small that a bump covers them.
    """
    n, k, side, _ = logits.shape
    at = (torch.arange(side) + 0.5) / side
    x, y = (torch.exp(-0.5 * ((at - points[..., i, None]) * side / BUMP).square()) for i in (0, 1))
    bump = (y[..., :, None] * x[..., None, :]).flatten(2)
    inside = ((points > 0.02) & (points < 0.98)).all(2)
    apart = (points[:, 1] - points[:, 0]).norm(dim=1)
    counts = (inside & (apart > 0.08)[:, None]).float()
    target = bump / bump.sum(2, keepdim=True).clamp(min=1e-6)
    entropy = -(target * logits.flatten(2).log_softmax(2)).sum(2)
    off = (places(logits) - points).norm(dim=2) / apart.clamp(min=0.08)[:, None]
    return ((entropy + 10 * off) * counts).sum() / counts.sum().clamp(min=1)


def maps_of(net, x):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        taps = net.taps(x)
    return [taps[i].float() for i in TAPS]


@torch.no_grad()
def scores(net, parts, images, truth, points):
    """Intersection over union of every class; the share of pixels that are right; how far the points
    are off, in distances of the eyes, the median."""
    both, either = torch.zeros(len(CLASSES)), torch.zeros(len(CLASSES))
    right, errors = [], []
    for i in range(0, len(images), 50):
        maps = net.taps(to_tensor(images[i : i + 50]))
        logits = parts([maps[t] for t in TAPS])
        found = logits[:, : len(CLASSES)].argmax(1)
        truth_points = points[i : i + 50]
        off = (places(logits[:, len(CLASSES) :]) - truth_points).norm(dim=2)
        errors.append(off / (truth_points[:, 1] - truth_points[:, 0]).norm(dim=1, keepdim=True))
        y = reduced(torch.from_numpy(truth[i : i + 50]).long(), found.shape[1])
        right.append((found == y).float().mean())
        for k in range(len(CLASSES)):
            both[k] += ((found == k) & (y == k)).sum()
            either[k] += ((found == k) | (y == k)).sum()
    iou = dict(zip(CLASSES, (both / either.clamp(min=1)).tolist()))
    return {
        "iou": {k: round(v, 3) for k, v in iou.items()},
        "pixels": round(torch.stack(right).mean().item(), 4),
        "points": round(torch.cat(errors).mean(1).median().item(), 4),
    }


def load_landmarks(folder):
    """The landmarks of the prepared pictures, [N, 5, 2] in shares of the side."""
    return np.load(os.path.join(folder, "labels.npz"))["landmarks"].reshape(-1, POINTS, 2)


def held_out(source):
    """Base pictures of the held-out people, their index maps and landmarks."""
    maps = index_maps(os.path.join(source, "parts_900000.tar"))
    labels = read_labels(os.path.join(source, "pairs_900000"))
    tar = read_pictures(os.path.join(source, "pairs_900000.tar"), RENDERED)
    bases = [(name, picture) for name, picture in tar if name.endswith("_base")]
    truth = np.stack([maps.get(n, maps.get(n.removesuffix("_base"))) for n, _ in bases])
    points = column([labels[n] for n, _ in bases], "landmarks").reshape(-1, POINTS, 2)
    return np.stack([picture for _, picture in bases]), truth, torch.from_numpy(points)


def train(args, net, images, truth, points):
    rng = torch.Generator().manual_seed(args.seed)
    channels = [m.shape[1] for m in maps_of(net, to_tensor(images[:1]))]
    parts, average = Parts(channels), Parts(channels)
    average.load_state_dict(parts.state_dict())
    optimizer = torch.optim.AdamW(parts.parameters(), args.rate, weight_decay=1e-4)
    for step in range(args.steps):
        progress = step / args.steps
        optimizer.param_groups[0]["lr"] = args.rate * (0.5 + 0.5 * math.cos(math.pi * progress))
        rows = torch.randint(len(images), (args.batch,), generator=rng).numpy()
        y = torch.from_numpy(truth[rows]).long()
        x, y, at = windowed(to_tensor(images[rows]), y, points[rows], rng)
        logits = parts(maps_of(net, x))
        shown, where = logits.split([len(CLASSES), POINTS], 1)
        loss = F.cross_entropy(shown, reduced(y, logits.shape[2]), ignore_index=-1)
        loss = loss + POINTS_WEIGHT * point_loss(where, at)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            pairs = list(average.parameters()), list(parts.parameters())
            torch._foreach_lerp_(*pairs, 1 - min(EMA, (step + 1) / (step + 11)))
        if step % 100 == 99:
            print(json.dumps({"step": step + 1, "loss": round(loss.item(), 4)}), flush=True)
    return average.eval().requires_grad_(False)


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    net, _ = load_attributes(args.attributes, torch.device("cpu"))
    net.requires_grad_(False)
    known = index_maps(os.path.join(args.source, "parts_000000.tar"))
    ids = np.load(os.path.join(args.data, "labels.npz"))["ids"]
    rows = [i for i, name in enumerate(ids) if name in known]
    images = load_images(args.data)[rows]
    points = torch.from_numpy(load_landmarks(args.data)[rows])
    truth = np.stack([known[ids[i]] for i in rows])
    parts = train(args, net, images, truth, points)
    stored = {k: t.half() for k, t in parts.state_dict().items()}
    parts.load_state_dict({k: t.float() for k, t in stored.items()})
    found = scores(net, parts, *held_out(args.source))
    tensors, manifest = load_tensors(args.attributes)
    tensors = {k: t.half() for k, t in tensors.items() if not k.startswith("parts.")}
    tensors |= {f"parts.{k}": t for k, t in stored.items()}
    manifest["config"]["parts"] = {"taps": list(TAPS), "classes": list(CLASSES), "points": True}
    manifest["provenance"]["parts"] = {
        "data": "rendered faces (CC0 1.0 assets) with index maps",
        "pictures": len(images),
        "steps": args.steps,
        "held_out": found,
        "script": "scripts/train/train_parts.py",
        "seed": args.seed,
    }
    save_model(args.attributes, tensors, manifest)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
