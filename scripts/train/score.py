"""Frechet distance of a generator to the training pictures, and its nearest neighbours in them.

    python score.py --data WORK/data --checkpoint WORK/run/best.pt
    python score.py --data WORK/data --checkpoint WORK/run/best.pt --neighbours near.png

Definition: mean and covariance of the last two Lite0 taps, averaged over space (112 + 320
numbers), pictures resized to 128 px, samples at psi 1 clipped to [-1, 1] against 6,000 training
pictures. Not the Inception FID; for comparing our own runs only.
"""

import argparse

import numpy as np
import scipy.linalg
import torch

from common import load_images, pick_device, to_tensor, write_sheet
from features import Lite0, resize
from networks import Generator

REFERENCE = 6000
BATCH = 50


def frechet(a, b):
    """Distance between Gaussians given as (mean, covariance)."""
    root = np.real(scipy.linalg.sqrtm(a[1] @ b[1]))
    return float(np.square(a[0] - b[0]).sum() + np.trace(a[1] + b[1] - 2 * root))


class Scorer:
    """Holds the reference statistics, computed at the first use."""

    def __init__(self, images, device, net=None):
        self.images, self.device, self.net = images, device, net or Lite0(device)
        self.order = np.random.default_rng(0).permutation(len(images))
        self.reference = None

    @torch.no_grad()
    def moments(self, batches):
        rows = []
        for x in batches:
            taps = self.net(resize(x, 128))[2:]
            rows.append(torch.cat([t.float().mean((2, 3)) for t in taps], 1).cpu())
        features = torch.cat(rows).double().numpy()
        return features.mean(0), np.cov(features, rowvar=False)

    def of_images(self, chosen):
        parts = (chosen[i : i + BATCH] for i in range(0, len(chosen), BATCH))
        return self.moments(to_tensor(self.images[np.sort(p)], self.device) for p in parts)

    @torch.no_grad()
    def samples(self, generator, count, seed=5):
        """Batches of pictures at psi 1, clipped; noise is the constant one."""
        rng = torch.Generator().manual_seed(seed)
        for _ in range(count // BATCH):
            z = torch.randn(BATCH, generator.config["z_dim"], generator=rng).to(self.device)
            yield generator(z, dtype=torch.bfloat16).clamp(-1, 1)

    def score(self, generator, count):
        if self.reference is None:
            self.reference = self.of_images(self.order[:REFERENCE])
        return frechet(self.reference, self.moments(self.samples(generator, count)))

    def floor(self, count):
        """The distance of `count` other training pictures: what a perfect generator would get."""
        self.reference = self.reference or self.of_images(self.order[:REFERENCE])
        return frechet(self.reference, self.of_images(self.order[REFERENCE:][:count]))


def nearest(samples, images):
    """Nearest training picture of each sample, plain or mirrored: (index, RMSE of 255)."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    squares = np.square(flat).sum(1)
    best = []
    for x in samples:
        candidates = []
        for query in (x, x[:, ::-1]):
            q = query.reshape(-1).astype(np.float32)
            distances = squares - 2 * flat @ q + np.square(q).sum()
            i = int(distances.argmin())
            candidates.append((max(0.0, distances[i]) / q.size, i))
        distance, i = min(candidates)
        best.append((i, distance**0.5))
    return best


def report_neighbours(scorer, generator, path, count=64):
    """Print how near samples lie to training pictures, real ones for comparison; draw pairs."""
    batches = list(scorer.samples(generator, 100))
    x = torch.cat(batches)[:count].float()
    samples = ((x + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    found = nearest(samples, scorer.images)
    probes, rest = scorer.order[:count], scorer.order[count:]
    real = nearest(scorer.images[probes], scorer.images[rest])
    for name, rows in (("samples", found), ("training pictures", real)):
        rmse = np.array([r for _, r in rows])
        print(f"nearest to {name}: RMSE mean {rmse.mean():.1f}, least {rmse.min():.1f} of 255")
    neighbours = to_tensor(scorer.images[[i for i, _ in found]])
    pairs = torch.stack([x.cpu(), neighbours], 1).flatten(0, 1)
    write_sheet(path, pairs[:128])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--checkpoint", required=True, nargs="+")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--neighbours", help="PNG of samples beside their nearest pictures")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = pick_device(args.device)
    scorer = Scorer(load_images(args.data), device)
    print(f"floor, {args.samples} other training pictures: {scorer.floor(args.samples):.3f}")
    for path in args.checkpoint:
        state = torch.load(path, map_location=device, weights_only=True)
        generator = Generator(**state["config"]).to(device).eval()
        generator.load_state_dict(state["ema"])
        distance = scorer.score(generator, args.samples)
        print(f"{path}: seen {state['seen']}, Frechet distance {distance:.3f}", flush=True)
        if args.neighbours:
            report_neighbours(scorer, generator, args.neighbours)


if __name__ == "__main__":
    main()
