"""What the reference drivers share: one thread, frozen random numbers, the path of the official code, file writers."""
import argparse
import importlib
import json
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import numpy as np
import torch
from safetensors.torch import save_file

torch.set_num_threads(1)
torch.backends.mkldnn.enabled = False
SEED = 20240


def rng(name):
    """RandomState is frozen by numpy's promise, so a rerun gives the same bytes whatever the version."""
    return np.random.RandomState(np.frombuffer(name.encode(), np.uint8).astype(np.uint32).tolist() + [SEED])


def official(path, module="networks"):
    """Makes the official packages importable from the checkout the caller names; nothing of it is copied."""
    sys.path.insert(0, os.path.abspath(path))
    return importlib.import_module("training." + module)


def parser():
    """The arguments of a script that runs official code: the folder of its checkouts, and where the numbers go."""
    p = argparse.ArgumentParser()
    p.add_argument("--src", required=True)
    p.add_argument("--out", required=True)
    return p


def write_tensors(path, tensors, metadata):
    """f32, contiguous, sorted; metadata values are JSON texts."""
    out = {k: torch.as_tensor(v).detach().to(torch.float32).contiguous().clone() for k, v in sorted(tensors.items())}
    write_any(path, out, metadata)


def write_any(path, tensors, metadata):
    save_file(tensors, path, metadata={k: json.dumps(v, sort_keys=True) for k, v in metadata.items()})
    os.chmod(path, 0o644)
    print(f"{os.path.getsize(path):>9}  {path}")


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=1, sort_keys=True)
        f.write("\n")
    print(f"{os.path.getsize(path):>9}  {path}")


def write_case(folder, name, weights, numbers, reference, config=None):
    """One case of tests/parity_families.rs: weights by the names of the official code, what its configuration says
    (a dict, or None), and the numbers that it computed, with `reference` (a dict) saying how."""
    os.makedirs(folder, exist_ok=True)
    write_tensors(os.path.join(folder, name + ".safetensors"), weights, {})
    if config is not None:
        write_json(os.path.join(folder, name + ".json"), config)
    write_tensors(os.path.join(folder, name + ".ref.safetensors"), numbers, {"reference": reference})


def lengths(v):
    """The lengths of the rows of a matrix, as a column."""
    return np.linalg.norm(v, axis=1, keepdims=True)


def fill_stylegan3(g, r, freqs):
    """Random weights and statistics of a StyleGAN3, none trivial, that keep its maps at about unit size. `freqs(t, x)`
    makes the frequencies of its input of those of its constructor and of normal numbers."""
    with torch.no_grad():
        for key, t in list(g.named_parameters()) + list(g.named_buffers()):
            if "_filter" in key or key.endswith("input.transform"):
                continue
            x = r.standard_normal(tuple(t.shape))
            if key == "mapping.w_avg":
                x *= 0.3
            elif key.startswith("mapping.fc"):
                x *= (0.15 if key.endswith("bias") else 1) / 0.01
            elif key.endswith("magnitude_ema"):
                x = np.exp(0.5 * x)
            elif key.endswith("input.affine.weight"):
                x *= 0.3
            elif key.endswith("input.affine.bias"):
                x = np.array([1.0, 0, 0, 0]) + 0.2 * x
            elif key.endswith("freqs"):
                x = freqs(t, x)
            elif key.endswith("phases"):
                x = r.uniform(-0.5, 0.5, tuple(t.shape))
            elif key.endswith("affine.weight"):
                x *= 0.6
            elif key.endswith("affine.bias"):
                x = 1 + 0.25 * x
            elif key.endswith("bias"):
                x *= 0.2
            t.copy_(torch.from_numpy(np.asarray(x)))


def wave_loss(image):
    """The loss whose gradients are compared: mean squared difference to a wave over the flat picture."""
    wave = torch.sin(0.37 * torch.arange(image.numel(), dtype=torch.float64)).to(torch.float32)
    return ((image - wave.reshape(image.shape)) ** 2).mean()
