"""What the attribute regressor predicts, and how its file is read back."""

import json

import torch
from safetensors import safe_open

from networks import AttributeNet

REGRESSION, PROBABILITY = "regression", "probability"

# name: (kind, unit, sign under mirroring)
OUTPUTS = {
    "gender": (PROBABILITY, "probability of male, the data's two modes", 1),
    "age": (REGRESSION, "years", 1),
    "smile": (REGRESSION, "0 to 1", 1),
    "mouth_open": (REGRESSION, "0 to 1", 1),
    "yaw_deg": (REGRESSION, "degrees", -1),
    "pitch_deg": (REGRESSION, "degrees", 1),
    "roll_deg": (REGRESSION, "degrees", -1),
    "glasses": (PROBABILITY, "probability of any glasses", 1),
    "skin_luminance": (REGRESSION, "0 to 1", 1),
    "light_deg": (REGRESSION, "degrees of azimuth", -1),
    "brow": (REGRESSION, "-1 frown to 1 raised", 1),
    "weight": (REGRESSION, "0 to 1", 1),
}


def load_tensors(path):
    """A gannet file's tensors as f32, and its manifest."""
    with safe_open(path, "pt") as f:
        manifest = json.loads(f.metadata()["gannet"])
        return {name: f.get_tensor(name).float() for name in f.keys()}, manifest


def load_attributes(path, device="cpu"):
    """The regressor of an `attributes` file, and the list of its outputs."""
    tensors, manifest = load_tensors(path)
    strides = manifest["config"]["strides"]
    plan = [(len(tensors[f"conv{i}.bias"]), stride) for i, stride in enumerate(strides)]
    net = AttributeNet(len(tensors["head.bias"]), plan)
    net.load_state_dict(tensors)
    return net.to(device).eval(), manifest["config"]["outputs"]


def standardised(values, kind, mean, std):
    """Labels as the network's raw output is compared with: standardised, or a probability."""
    return values if kind == PROBABILITY else (values - mean) / std


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


@torch.no_grad()
def predict(net, images, batch=250):
    """Raw outputs [N, outputs] for pictures [N, 3, R, R]."""
    return torch.cat([net(x) for x in images.split(batch)])
