"""What the attribute network predicts, how its labels are laid out, and how its file is read."""

import json

import numpy as np
import torch
from safetensors import safe_open

from attribute_network import AttributeNet
from prepare import HAIR_STYLES

REGRESSION, PROBABILITY, CATEGORY = "regression", "probability", "category"
EYE_COLOURS, SHAPES = 9, 37  # classes; coefficients of the head's shape
POINTS = ("eye_left", "eye_right", "nose", "mouth_left", "mouth_right")  # image-left first


def row(name, kind, unit, weight=1.0, **more):
    """One row of the head. `weight` is that of its loss; `mirror` its sign in a mirror."""
    return {"name": name, "kind": kind, "unit": unit, "weight": weight, **more}


def colour_rows(group, unit):
    """Three rows for a colour; the labels are linear light, 0 to 1."""
    return [row(f"{group}_{c}", REGRESSION, unit, 0.5, group=f"{group}_rgb") for c in "rgb"]


def all_rows():
    """The head's rows, in order."""
    share = "share of the picture's side"
    rows = [
        row("gender", PROBABILITY, "probability of male, the data's two modes"),
        row("age", REGRESSION, "years"),
        row("smile", REGRESSION, "0 to 1", 2.0),
        row("mouth_open", REGRESSION, "0 to 1"),
        row("yaw_deg", REGRESSION, "degrees", 2.0, mirror=-1),
        row("pitch_deg", REGRESSION, "degrees", 2.0),
        row("roll_deg", REGRESSION, "degrees", 1.0, mirror=-1),
        row("brow", REGRESSION, "-1 frown to 1 raised"),
        row("eye_closure", REGRESSION, "0 to 1"),
        row("light_deg", REGRESSION, "degrees of azimuth", 2.0, mirror=-1),
        row("weight", REGRESSION, "0 to 1"),
        row("skin_luminance", REGRESSION, "0 to 1"),
        row("glasses", PROBABILITY, "probability of any glasses", 2.0),
        row("sunglasses", PROBABILITY, "probability of dark glasses"),
    ]
    for name in ("african", "asian", "caucasian"):
        rows.append(row(name, REGRESSION, "share of head shapes", 0.5, group="race"))
    for group in ("hair", "shirt", "background"):
        rows += colour_rows(group, "linear light, 0 to 1")
    for name in HAIR_STYLES:
        rows.append(row(f"hair.{name}", CATEGORY, "probability", 0.5, group="hair"))
    for i in range(EYE_COLOURS):
        rows.append(row(f"eye_colour.{i}", CATEGORY, "probability", 0.3, group="eye_colour"))
    for i in range(SHAPES):
        rows.append(row(f"identity_{i:02}", REGRESSION, "coefficient", 0.15, group="identity"))
    for i in range(10):
        name = f"{POINTS[i // 2]}_{'xy'[i % 2]}"
        rows.append(row(name, REGRESSION, share, 0.15, group="landmarks"))
    rows.append(row("face", PROBABILITY, "probability of a whole face near the framing", 2.0))
    return rows


ROWS = all_rows()
NAMES = [r["name"] for r in ROWS]
LANDMARKS = [i for i, r in enumerate(ROWS) if r.get("group") == "landmarks"]
MIRRORED_POINTS = [2, 3, 0, 1, 4, 5, 8, 9, 6, 7]  # landmark columns after mirroring, before 1 - x


def members(group):
    """The rows of one group, as indices."""
    return [i for i, r in enumerate(ROWS) if r.get("group") == group]


def load_labels(folder):
    """f32 [N, rows] in the labels' own units; classes as ones and zeros."""
    with np.load(folder + "/labels.npz") as f:
        labels = {name: f[name] for name in f.files}
    n = len(labels["ids"])
    labels["glasses"] = np.maximum(labels["glasses"], labels["sunglasses"])
    labels["face"] = np.ones(n, np.float32)
    for group in ("hair", "shirt", "background"):
        for k, c in enumerate("rgb"):
            labels[f"{group}_{c}"] = labels[f"{group}_rgb"][:, k]
    wide = {"identity": labels["identity"], "landmarks": labels["landmarks"]}
    wide["hair"] = np.eye(len(HAIR_STYLES))[labels["hair"]]
    wide["eye_colour"] = np.eye(EYE_COLOURS)[labels["eye_colour"]]
    out = np.stack([labels.get(name, np.zeros(n)) for name in NAMES], 1).astype(np.float32)
    for group, values in wide.items():
        out[:, members(group)] = values
    return torch.from_numpy(out)


def mirror_points(points):
    """The landmarks [N, 10], x and y in turn, of the mirrored pictures."""
    points = points[:, MIRRORED_POINTS]
    points[:, 0::2] = 1 - points[:, 0::2]
    return points


def mirror_labels(y):
    """The labels [N, rows] of the mirrored pictures."""
    signs = torch.tensor([float(r.get("mirror", 1)) for r in ROWS], device=y.device)
    out = y * signs
    out[:, LANDMARKS] = mirror_points(y[:, LANDMARKS])
    return out


def moments(labels):
    """Mean and standard deviation [rows] over pictures and their mirror images; 0 and 1 where
    the row is not a regression."""
    both = torch.cat([labels, mirror_labels(labels)])
    regression = torch.tensor([r["kind"] == REGRESSION for r in ROWS])
    mean, std = both.mean(0), both.std(0)
    return torch.where(regression, mean, 0.0), torch.where(regression, std, 1.0)


def load_tensors(path):
    """A gannet file's tensors as f32, and its manifest."""
    with safe_open(path, "pt") as f:
        manifest = json.loads(f.metadata()["gannet"])
        return {name: f.get_tensor(name).float() for name in f.keys()}, manifest


def load_attributes(path, device="cpu"):
    """The network of an `attributes` file, and the list of its outputs."""
    tensors, manifest = load_tensors(path)
    config = manifest["config"]
    plan = [(len(tensors[f"conv{i}.bias"]), s) for i, s in enumerate(config["strides"])]
    net = AttributeNet(len(tensors["head.bias"]), plan, config.get("grid", 1))
    net.load_state_dict({k: t for k, t in tensors.items() if not k.startswith("parts.")})
    return net.to(device).eval(), config["outputs"]


@torch.no_grad()
def predict(net, images, batch=250):
    """Raw outputs [N, outputs] for pictures [N, 3, R, R]."""
    return torch.cat([net(x) for x in images.split(batch)])


def r2(truth, predicted):
    """1 - residual variance / variance."""
    residual = (truth - predicted).square().sum()
    return 1 - (residual / (truth - truth.mean()).square().sum()).item()


def accuracy(truth, logits):
    """Share on the right side of one half."""
    return ((truth > 0.5) == (logits > 0)).float().mean().item()


def measure(truth, raw, kind):
    """(name, value) of the score of one output on held-out pictures."""
    if kind == PROBABILITY:
        return "accuracy", accuracy(truth, raw)
    return "r2", r2(truth, raw)


def scores(truth, raw, mean, std):
    """A (name, value) for every row: R^2, accuracy, or the accuracy of the row's whole group.

    `truth` [N, rows] in own units, `raw` [N, rows] as the network gives it.
    """
    out = []
    for i, r in enumerate(ROWS):
        if r["kind"] == CATEGORY:
            group = members(r["group"])
            right = truth[:, group].argmax(1) == raw[:, group].argmax(1)
            out.append(("accuracy", right.float().mean().item()))
        else:
            out.append(measure(truth[:, i], raw[:, i] * std[i] + mean[i], r["kind"]))
    return out
