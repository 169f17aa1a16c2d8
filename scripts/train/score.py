"""How near the generator's pictures are to the data: distances, coverage, attributes, neighbours.

    python score.py --data WORK/data --models models/faces --out WORK/score.json --sheets WORK

Fréchet distance: between Gaussians fitted to features (Heusel et al. 2017), here those of two
networks: EfficientNet-Lite0 (the last two taps, averaged over space) and our attribute network
(its last map, averaged over space). Not the Inception FID: compare it only with the same distance
between two disjoint halves of the data, given beside it. Precision and recall: Kynkäänniemi et al.
2019, k = 3. Attributes: the Kolmogorov-Smirnov distance between the network's readings of samples
and of data. All samples at psi 1 with the constant noise, as stored in the model file.
"""

import argparse
import json
import os

import numpy as np
import scipy.linalg
import torch
from scipy.stats import ks_2samp

from attributes import load_attributes
from common import load_images, pick_device, to_tensor, write_sheet
from features import Lite0, resize
from editing import load_generator

BATCH = 50
NEIGHBOURS = 3


def frechet(a, b):
    """Distance between Gaussians fitted to the rows of `a` and of `b`."""
    moments = [(x.mean(0), np.cov(x, rowvar=False)) for x in (a, b)]
    (mean_a, cov_a), (mean_b, cov_b) = moments
    root = np.real(scipy.linalg.sqrtm(cov_a @ cov_b))
    return float(np.square(mean_a - mean_b).sum() + np.trace(cov_a + cov_b - 2 * root))


def blocks(a, b, rows=1000):
    """Distances between the rows of `a` and all of `b`, some rows at a time."""
    a, b = torch.from_numpy(a), torch.from_numpy(b)
    for part in a.split(rows):
        yield torch.cdist(part, b)


def radii(x):
    """The distance of every row to its third nearest other."""
    return torch.cat([d.kthvalue(NEIGHBOURS + 1, 1).values for d in blocks(x, x)])


def covered(points, manifold):
    """Share of `points` within the radius of some row of `manifold`."""
    reach = radii(manifold)
    return torch.cat([(d <= reach).any(1) for d in blocks(points, manifold)]).float().mean().item()


class Reader:
    """Features and attributes of pictures."""

    def __init__(self, attributes_path, device):
        self.lite0 = Lite0(device)
        self.net, self.outputs = load_attributes(attributes_path, device)
        self.device = device

    @torch.no_grad()
    def read(self, batches):
        """{"lite0", "attributes": features [N, C]; "scores": raw outputs [N, outputs]} in f32."""
        rows = {"lite0": [], "attributes": [], "scores": []}
        for x in batches:
            taps = self.lite0(resize(x, 128))[2:]
            rows["lite0"].append(torch.cat([t.float().mean((2, 3)) for t in taps], 1))
            rows["attributes"].append(self.net.taps(x)[-1].mean((2, 3)))
            rows["scores"].append(self.net(x))
        return {name: torch.cat(parts).cpu().float().numpy() for name, parts in rows.items()}


@torch.no_grad()
def samples(generator, count, seed, psi=1.0):
    """Batches of pictures, clipped."""
    rng = torch.Generator().manual_seed(seed)
    device = generator.mapping.w_avg.device
    for _ in range(count // BATCH):
        z = torch.randn(BATCH, generator.config["z_dim"], generator=rng).to(device)
        yield generator(z, psi, dtype=torch.bfloat16).clamp(-1, 1)


def of_images(images, chosen, device):
    """Batches of data pictures, every second one mirrored as in training."""
    for part in np.array_split(np.sort(chosen), max(1, len(chosen) // BATCH)):
        x = to_tensor(images[part], device)
        x[::2] = x[::2].flip(3)
        yield x


def shapes(reader, made, halves):
    """KS distance of every scalar attribute: samples to data, and half to half."""
    table = {}
    for i, output in enumerate(reader.outputs):
        if output["kind"] == "category" or output.get("group") in ("identity", "landmarks"):
            continue
        a, b = (half["scores"][:, i] for half in halves)
        table[output["name"]] = {
            "ks": round(float(ks_2samp(made["scores"][:, i], np.concatenate([a, b])).statistic), 4),
            "halves": round(float(ks_2samp(a, b).statistic), 4),
        }
    return table


def nearest(pictures, images):
    """Nearest data picture of each uint8 picture, plain or mirrored: (index, RMSE of 255)."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    squares = np.square(flat).sum(1)
    best = []
    for x in pictures:
        candidates = []
        for query in (x, x[:, ::-1]):
            q = query.reshape(-1).astype(np.float32)
            distances = squares - 2 * flat @ q + np.square(q).sum()
            i = int(distances.argmin())
            candidates.append((max(0.0, float(distances[i])) / q.size, i))
        distance, i = min(candidates)
        best.append((i, distance**0.5))
    return best


def neighbours(generator, images, order, sheet, count=48):
    """How near samples lie to data pictures, and data pictures to others; at 32 px, areas averaged."""
    x = torch.cat(list(samples(generator, 2 * BATCH, 9)))[:count].float().cpu()
    side = images.shape[1] // 32
    small = images.reshape(len(images), 32, side, 32, side, 3).mean((2, 4)).astype(np.uint8)
    made = torch.nn.functional.avg_pool2d((x + 1) * 127.5, side).permute(0, 2, 3, 1)
    found = nearest(made.round().byte().numpy(), small)
    real = nearest(small[order[:count]], small[order[count:]])
    pairs = torch.stack([x, to_tensor(images[[i for i, _ in found]])], 1).flatten(0, 1)
    write_sheet(sheet, pairs, columns=12, zoom=1)
    report = {}
    for name, rows in (("samples", found), ("data", real)):
        rmse = np.array([r for _, r in rows])
        report[name] = {"mean": round(float(rmse.mean()), 2), "least": round(float(rmse.min()), 2)}
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--models", required=True, help="folder of the model files")
    parser.add_argument("--out", required=True, help="JSON")
    parser.add_argument("--sheets", required=True, help="folder for samples and neighbours")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    os.makedirs(args.sheets, exist_ok=True)
    device = pick_device(args.device)
    images = load_images(args.data)
    order = np.random.default_rng(0).permutation(len(images))
    generator = load_generator(os.path.join(args.models, "generator.safetensors"), device)
    reader = Reader(os.path.join(args.models, "attributes.safetensors"), device)

    for psi in (1.0, 0.7):
        sheet = torch.cat(list(samples(generator, 2 * BATCH, 1, psi)))[:64]
        write_sheet(os.path.join(args.sheets, f"samples_psi{psi}.png"), sheet, zoom=1)
    near = neighbours(generator, images, order, os.path.join(args.sheets, "neighbours.png"))
    report = {"count": args.count, "nearest RMSE of 255 at 32 px": near}
    made = reader.read(samples(generator, args.count, 5))
    chosen = order[: args.count], order[args.count : 2 * args.count]
    halves = [reader.read(of_images(images, part, device)) for part in chosen]
    for kind in ("lite0", "attributes"):
        a, b = halves[0][kind], halves[1][kind]
        report[kind] = {
            "frechet": frechet(made[kind].astype(np.float64), a.astype(np.float64)),
            "frechet_halves": frechet(b.astype(np.float64), a.astype(np.float64)),
            "precision": covered(made[kind], a),
            "recall": covered(a, made[kind]),
            "precision_halves": covered(b, a),
        }
    report["ks"] = shapes(reader, made, halves)
    with open(args.out, "w") as f:
        json.dump(report, f, indent=1)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
