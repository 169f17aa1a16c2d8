"""What the reference drivers share: one thread, frozen random numbers, the path of the official code, file writers."""
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


def wave_loss(image):
    """The loss whose gradients are compared: mean squared difference to a wave over the flat picture."""
    wave = torch.sin(0.37 * torch.arange(image.numel(), dtype=torch.float64)).to(torch.float32)
    return ((image - wave.reshape(image.shape)) ** 2).mean()
