"""Check an attribute file against held-out people, and try it at finding faces.

    python check_attributes.py --model models/faces/attributes.safetensors \
        --held WORK/pairs --data WORK/data

`--held` and `--data` are folders that prepare.py wrote. Runs the file with nothing but
convolutions (no code shared with the training), compares with the scores that it carries, then
pastes held-out faces at random place, size (0.5 to 2) and turn (30 degrees) into larger pictures
and looks for them: windows scored by `face`, then rounds of refinement by the landmarks.
"""

import argparse
import math

import torch
import torch.nn.functional as F

from attributes import CATEGORY, LANDMARKS, NAMES, ROWS, load_labels, load_tensors
from attributes import members, scores
from common import load_images, to_tensor
from windows import FACE, backgrounds, move_points, sampling_grid, turned

HELD_OUT = 1000
CANVAS = 320
SCALES = [0.2 * 2 ** (k / 2) for k in range(5)]  # sides of the windows, shares of the canvas


class Reader:
    """The file's own arithmetic: convolutions, leaky ReLU, means on a grid, a matrix."""

    def __init__(self, path):
        self.tensors, manifest = load_tensors(path)
        self.config = manifest["config"]
        self.outputs = self.config["outputs"]
        self.mean = torch.tensor([o["mean"] for o in self.outputs])
        self.std = torch.tensor([o["std"] for o in self.outputs])

    @torch.no_grad()
    def raw(self, x):
        """[N, 3, R, R] in [-1, 1] -> the head's rows [N, outputs]."""
        for i, stride in enumerate(self.config["strides"]):
            weight, bias = self.tensors[f"conv{i}.weight"], self.tensors[f"conv{i}.bias"]
            x = F.leaky_relu(F.conv2d(x, weight, bias, stride, 1), self.config["leaky"])
        n, c, h, w = x.shape
        g = self.config["grid"]
        cells = x.reshape(n, c, g, h // g, g, w // g).mean((3, 5)).reshape(n, c * g * g)
        return cells @ self.tensors["head.weight"].T + self.tensors["head.bias"]

    def all(self, x):
        return torch.cat([self.raw(part) for part in x.split(100)])

    def landmarks(self, raw):
        """[N, 5, 2] as shares of the side."""
        k = LANDMARKS
        return (raw[:, k] * self.std[k] + self.mean[k]).reshape(-1, 5, 2)

    def frame(self, raw):
        """Where the five points stand in the training framing for the head's yaw: [N, 5, 2]."""
        k = NAMES.index("yaw_deg")
        yaw = raw[:, k] * self.std[k] + self.mean[k]
        slope = torch.tensor(self.config["framing_per_yaw_degree"])
        return torch.tensor(self.config["framing"]) + yaw[:, None, None] * slope


def relative_error(found, truth):
    """Mean distance of the five points in shares of the distance between the eyes: [N]."""
    eyes = (truth[:, 0] - truth[:, 1]).norm(dim=1)
    return (found - truth).norm(dim=2).mean(1) / eyes


def say(name, errors):
    quantiles = torch.quantile(errors, torch.tensor([0.5, 0.9])) * 100
    print(f"{name}: median {quantiles[0]:.2f} %, 90th percentile {quantiles[1]:.2f} %")


def paste(x, rng):
    """Canvases [N, 3, C, C] with one face each, and where (scale, turn, shift)."""
    n = len(x)
    u = torch.rand(n, 4, generator=rng) * 2 - 1
    scale = (math.log(2) * u[:, 0]).exp() * x.shape[2] / CANVAS
    turn, room = 30 * u[:, 1], (0.5 - 0.36 * scale)[:, None]
    grid = sampling_grid(scale, turn, u[:, 2:] * room, CANVAS)
    y = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    blank = F.interpolate(x, size=(CANVAS, CANVAS), mode="nearest")
    outside = (grid.abs() > 1).any(-1)[:, None]
    return torch.where(outside, backgrounds(blank, rng), y), (scale, turn, u[:, 2:] * room)


def crop(canvas, centre, side, turn, size=128):
    """Windows [N, 3, size, size] of canvases: centre [N, 2] and side in shares, turn."""
    line = (torch.arange(2 * size) + 0.5) / (2 * size) - 0.5
    y, x = torch.meshgrid(line, line, indexing="ij")
    points = torch.stack([x, y], -1).reshape(1, -1, 2).expand(len(canvas), -1, -1)
    places = turned(points, turn) * side[:, None, None] + centre[:, None]
    grid = (places * 2 - 1).reshape(-1, 2 * size, 2 * size, 2)
    y = F.grid_sample(canvas, grid, padding_mode="border", align_corners=False)
    return F.avg_pool2d(y, 2)


def to_canvas(points, centre, side, turn):
    """Points [N, k, 2] in shares of the windows -> shares of the canvases."""
    return turned(points - 0.5, turn) * side[:, None, None] + centre[:, None]


def fit(frame, points):
    """The window (centre, side, turn) that puts `points` [N, 5, 2] on `frame`: least squares."""
    a = torch.view_as_complex((frame - 0.5).contiguous())
    b = torch.view_as_complex(points.contiguous())
    da, db = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    gain = (da.conj() * db).sum(1) / da.abs().square().sum(1)
    centre = b.mean(1) - gain * a.mean(1)
    return torch.view_as_real(centre), gain.abs(), -torch.rad2deg(gain.angle())


def scan(reader, canvas):
    """The window with the highest `face` over places, sizes and three turns: one canvas."""
    found = []
    for side in SCALES:
        steps = max(1, math.ceil((1 - side) / (0.25 * side)) + 1)
        line = torch.linspace(side / 2, 1 - side / 2, steps) if steps > 1 else torch.tensor([0.5])
        places = torch.cartesian_prod(line, line)
        for turn in (-20.0, 0.0, 20.0):
            n = len(places)
            window = places, torch.full((n,), side), torch.full((n,), turn)
            raw = reader.all(crop(canvas.expand(n, -1, -1, -1), *window, 128))
            best = raw[:, FACE].argmax()
            found.append((raw[best, FACE].item(), *(w[best] for w in window)))
    return max(found, key=lambda f: f[0])


def find(reader, canvases, truth, rounds=4):
    """Scan, refine, and print the error after each round."""
    best = [scan(reader, c[None]) for c in canvases]
    window = [torch.stack([b[k] for b in best]) for k in (1, 2, 3)]
    print(f"least `face` of the windows found: {min(b[0] for b in best):.1f} (logit)")
    for k in range(rounds + 1):
        raw = reader.all(crop(canvases, *window))
        points = to_canvas(reader.landmarks(raw), *window)
        say(f"pasted faces, round {k}", relative_error(points, truth))
        window = fit(reader.frame(raw), points)
    sure = raw[:, FACE].sigmoid()
    print(f"`face` after the last round: median {sure.median():.3f}, least {sure.min():.3f}")


def compare(reader, name, x, labels):
    """Print the scores on one set of people and the landmarks' error; return the scores."""
    raw = reader.all(x)
    results = scores(labels, raw, reader.mean, reader.std)
    for i, (r, (measured, value)) in enumerate(zip(ROWS, results)):
        group = r.get("group")
        if r["kind"] == CATEGORY:
            if i == members(group)[0]:
                print(f"{name}: {group:17} {measured} {value:.3f}")
        elif group not in ("identity", "landmarks") and i != FACE:
            print(f"{name}: {r['name']:17} {measured} {value:.3f}")
    shapes = [results[i][1] for i in members("identity")]
    read = sum(v > 0.3 for v in shapes)
    print(f"{name}: identity          r2 {sum(shapes) / len(shapes):.3f} mean, {read} above 0.3")
    truth = labels[:, LANDMARKS].reshape(-1, 5, 2)
    error = relative_error(reader.landmarks(raw), truth)
    say(f"{name}: landmarks, error of the eye distance", error)
    return results


def check_stored(reader, results):
    """Print how far `results` are from the scores in the file."""
    pairs = [(o["score"]["value"], r[1]) for o, r in zip(reader.outputs, results) if "score" in o]
    worst = max(abs(a - b) for a, b in pairs)
    print(f"largest difference from the {len(pairs)} scores in the file: {worst:.5f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--held", required=True, help="prepared base pictures of held-out people")
    parser.add_argument("--data", help="prepared training data: checks the scores in the file")
    parser.add_argument("--paste", type=int, default=24, help="faces to look for")
    args = parser.parse_args()
    torch.set_num_threads(1)
    reader = Reader(args.model)
    if args.data:
        x, labels = load_images(args.data)[-HELD_OUT:], load_labels(args.data)[-HELD_OUT:]
        check_stored(reader, compare(reader, "last 1,000", to_tensor(x), labels))
    x, labels = to_tensor(load_images(args.held)), load_labels(args.held)
    compare(reader, "held-out people", x, labels)
    n = min(args.paste, len(x))
    if n:
        canvases, placed = paste(x[:n], torch.Generator().manual_seed(5))
        points = labels[:n, LANDMARKS].reshape(n, 5, 2)
        find(reader, canvases, move_points(points, *placed))


if __name__ == "__main__":
    main()
