"""A small random attribute network in every kind of output, and what PyTorch computes with it.

    python attributes.py --out R/attributes

Writes network.safetensors: the weights in f32 under the names of an `attributes` file, its configuration as metadata, and
the pictures and results as `ref.*`. Everything is computed in f64 and rounded to f32 once.
"""
import argparse
import os

import numpy as np
import torch
import torch.nn.functional as F

from common import rng, write_tensors

RESOLUTION, GRID, LEAK, N = 32, 2, 0.2, 3
TAPS, WIDTH, CLASSES = (0, 2, 3), 6, ("skin", "hair", "eye")
CHANNELS, STRIDES = (3, 5, 6, 8, 7), (2, 1, 2, 2)  # 32 -> 16, 16, 8, 4 pixels
POINTS = ("eye_left", "eye_right", "nose", "mouth_left", "mouth_right")
FRAMING = [[0.38, 0.43], [0.62, 0.43], [0.5, 0.59], [0.39, 0.71], [0.61, 0.71]]
PER_DEGREE = [[0.0064, 0.0], [0.0064, 0.0], [0.009, -0.001], [0.0071, 0.0], [0.0071, 0.0]]


def outputs():
    """The rows of the head."""
    def regression(name, mean, std, group=None):
        return {"name": name, "kind": "regression", "mean": mean, "std": std, **({"group": group} if group else {})}

    rows = [regression("age", 46.2, 17.9), {"name": "glasses", "kind": "probability"}]
    rows += [{"name": f"hair.{c}", "kind": "category", "group": "hair"} for c in ("bald", "bob01", "long01")]
    rows += [regression(f"hair_{c}", 0.3, 0.1 + 0.1 * i, "hair_rgb") for i, c in enumerate("rgb")]
    rows += [{"name": f"eye_colour.{i}", "kind": "category", "group": "eye_colour"} for i in range(2)]
    rows += [regression(f"identity_{i:02}", 0.1, 0.2, "identity") for i in range(4)]
    for name, at in zip(POINTS, FRAMING):
        rows += [regression(f"{name}_{c}", m, 0.05, "landmarks") for c, m in zip("xy", at)]
    return rows + [regression("yaw_deg", 0.5, 13.7), {"name": "face", "kind": "probability"}]


def trunk(tensors, x):
    """All activations."""
    taps = []
    for i, stride in enumerate(STRIDES):
        x = F.leaky_relu(F.conv2d(x, tensors[f"conv{i}.weight"], tensors[f"conv{i}.bias"], stride, 1), LEAK)
        taps.append(x)
    return taps


def head(tensors, last):
    return F.linear(F.adaptive_avg_pool2d(last, GRID).flatten(1), tensors["head.weight"], tensors["head.bias"])


def parts(tensors, taps):
    """What the places of the first tap's map show, [N, classes, S, S], and the points [N, 5, 2] in pixels."""
    side, x = taps[TAPS[0]].shape[-1], tensors["parts.bias"][:, None, None]
    for i, at in enumerate(TAPS):
        own = F.conv2d(taps[at], tensors[f"parts.tap{i}.weight"])
        x = x + F.interpolate(own, size=(side, side), mode="bilinear", align_corners=False)
    x = F.conv2d(F.leaky_relu(x, LEAK), tensors["parts.mix.weight"], tensors["parts.mix.bias"], padding=1)
    logits = F.conv2d(F.leaky_relu(x, LEAK), tensors["parts.out.weight"], tensors["parts.out.bias"])
    shown, where = logits[:, : len(CLASSES)], logits[:, len(CLASSES) :]
    shares = where.flatten(2).softmax(2).reshape(where.shape)
    line = (torch.arange(side).double() + 0.5) * RESOLUTION / side
    return shown.softmax(1), torch.stack([shares.sum(2) @ line, shares.sum(3) @ line], 2)


def random_parts(random):
    shapes = {f"tap{i}.weight": (WIDTH, CHANNELS[at + 1], 1, 1) for i, at in enumerate(TAPS)}
    outputs = len(CLASSES) + len(POINTS)
    shapes |= {"bias": (WIDTH,), "mix.weight": (WIDTH, WIDTH, 3, 3), "mix.bias": (WIDTH,)}
    shapes |= {"out.weight": (outputs, WIDTH, 1, 1), "out.bias": (outputs,)}
    return {f"parts.{name}": random.randn(*shape) * 0.4 for name, shape in shapes.items()}


def scored(rows, raw):
    """Raw numbers [N, rows] in their units."""
    out = torch.empty_like(raw)
    for i, row in enumerate(rows):
        if row["kind"] == "probability":
            out[:, i] = torch.sigmoid(raw[:, i])
        elif row["kind"] == "category":
            group = [k for k, r in enumerate(rows) if r.get("group") == row["group"]]
            out[:, i] = torch.softmax(raw[:, group], 1)[:, group.index(i)]
        else:
            out[:, i] = raw[:, i] * row["std"] + row["mean"]
    return out


def random_network(rows):
    random = rng("attributes")
    tensors = {}
    for i, (inner, outer) in enumerate(zip(CHANNELS, CHANNELS[1:])):
        tensors[f"conv{i}.weight"] = random.randn(outer, inner, 3, 3) * np.sqrt(2 / (9 * inner))
        tensors[f"conv{i}.bias"] = random.randn(outer) * 0.2
    wide = CHANNELS[-1] * GRID * GRID
    tensors["head.weight"] = random.randn(len(rows), wide) / np.sqrt(wide) * 2
    tensors["head.bias"] = random.randn(len(rows)) * 0.3
    tensors |= random_parts(rng("parts"))
    # Rounded before anything is computed: the file holds exactly the weights that were used.
    tensors = {k: torch.from_numpy(v.astype(np.float32)).double() for k, v in tensors.items()}
    x = torch.from_numpy(random.uniform(-1, 1, (N, 3, RESOLUTION, RESOLUTION)).astype(np.float32)).double()
    return tensors, x


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    rows = outputs()
    tensors, x = random_network(rows)
    taps = trunk(tensors, x)
    raw = head(tensors, taps[-1])
    shown, places = parts(tensors, taps)
    scores = scored(rows, raw)
    of = lambda group: [i for i, r in enumerate(rows) if r.get("group") == group]
    yaw = scores[:, [r["name"] for r in rows].index("yaw_deg")]
    framing = torch.tensor(FRAMING).double() + yaw[:, None, None] * torch.tensor(PER_DEGREE).double()
    ref = {
        "x": x, "raw": raw, "scores": scores, "last": taps[-1], "identity": raw[:, of("identity")],
        "cosine": F.cosine_similarity(raw[:, None, of("identity")], raw[None][:, :, of("identity")], dim=2),
        "parts": shown, "places": places,
        "landmarks": scores[:, of("landmarks")].reshape(N, 5, 2) * RESOLUTION, "framing": framing * RESOLUTION,
    }
    config = {"input_resolution": RESOLUTION, "strides": STRIDES, "leaky": LEAK, "grid": GRID, "outputs": rows,
              "parts": {"taps": TAPS, "classes": CLASSES, "points": True}, "framing": FRAMING, "framing_per_yaw_degree": PER_DEGREE}
    manifest = {"format": 1, "family": "attributes", "config": config, "provenance": {"made": "random numbers"}}
    tensors.update({f"ref.{k}": v for k, v in ref.items()})
    write_tensors(os.path.join(args.out, "network.safetensors"), tensors, {"gannet": manifest})


main()
