"""What the drivers of generators with drawn noise share: deterministic noise, statistics and spectral norms that are
not trivial, and a case's numbers.

The noise of layer k is `1.3 · sin(0.61 i + k)` in f64, i the flat index of its map; gannet's test makes the same maps.
Large pictures keep every `stride`-th pixel of both axes; the loss and so the gradients see all of them.
"""
import contextlib
import importlib
import os
import sys
import types

import common
import numpy as np
import torch
from torch import nn


def lucidrains(path, package):
    """The module of a package of lucidrains, which demands a GPU and imports what training needs: that is replaced by
    empty modules."""
    parts = {"torchvision": ["transforms"], "torchvision.transforms": [], "adabelief_pytorch": ["AdaBelief"], "aim": [],
             "fire": [], "vector_quantize_pytorch": ["VectorQuantize"]}
    for name, members in parts.items():
        module = sys.modules.setdefault(name, types.ModuleType(name))
        for member in members:
            setattr(module, member, types.ModuleType(f"{name}.{member}"))
    sys.path.insert(0, os.path.abspath(path))
    original, torch.cuda.is_available = torch.cuda.is_available, lambda: True
    try:
        return importlib.import_module(f"{package}.{package}")
    finally:
        torch.cuda.is_available = original


def wave(k, shape, low=False):
    """The map of layer k; `low` moves it into [0, 1]."""
    n = int(np.prod(shape))
    v = np.sin(0.61 * np.arange(n) + k)
    return torch.from_numpy((0.5 + 0.5 * v if low else 1.3 * v).astype(np.float32)).reshape(shape)


@contextlib.contextmanager
def drawn_as_waves():
    """While it is open, `torch.randn` gives the next layer's wave, the same for every sample."""
    count, original = [0], torch.randn

    def randn(*shape, **_):
        shape = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        map = wave(count[0], (1, *shape[1:])).expand(*shape)
        count[0] += 1
        return map.clone()

    torch.randn = randn
    try:
        yield
    finally:
        torch.randn = original


def fill(name, net, noises=()):
    """Random weights that keep maps at about unit size. Then a few runs in training mode turn the power iteration of
    spectral norms, and statistics are moved away from what those runs leave."""
    r = common.rng(name)

    def normal(like, mean, spread):
        like.data = torch.from_numpy(mean + spread * r.standard_normal(tuple(like.shape))).to(torch.float32)

    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            weight = getattr(module, "weight_orig", module.weight)
            transposed = isinstance(module, nn.ConvTranspose2d)
            inputs = weight.shape[0] if transposed else weight[0].numel()
            normal(weight, 0, (1.6 / inputs) ** 0.5)
            if module.bias is not None:
                normal(module.bias, 0, 0.2)
            for key in ["weight_u", "weight_v"]:
                if hasattr(module, key):
                    vector = getattr(module, key)
                    normal(vector, 0, 1)
                    vector /= vector.norm()
        elif isinstance(module, nn.Embedding):
            normal(module.weight, 0, 1)
        else:
            for p in module.parameters(recurse=False):
                normal(p, 0, (1.6 / p[0].numel()) ** 0.5)
    for part in noises:
        for key, p in net.named_parameters():
            if part(key):
                normal(p, 0.04, 0.02)
    return normal


def codes(name, z_dim):
    """The two codes of a case, four more for its statistics, and their generator of random numbers."""
    r = common.rng(name + " z")
    z, many = (torch.from_numpy(r.standard_normal((n, z_dim))).float() for n in (2, 4))
    return z, many, r


def statistics(net, normal, run):
    """Batch norms: gains, biases, and statistics near those of `run` in training mode."""
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d) or hasattr(m, "stored_mean")]
    for m in norms:
        if isinstance(m, nn.BatchNorm2d):
            normal(m.weight, 1.8, 0.4)
            normal(m.bias, 0, 0.4)
            m.momentum = 0.5
    net.train()
    with torch.no_grad():
        for _ in range(4):
            with drawn_as_waves():
                run()
    for m in norms:
        stored = hasattr(m, "stored_mean")
        mean, var = (m.stored_mean, m.stored_var) if stored else (m.running_mean, m.running_var)
        off = torch.empty_like(mean)
        normal(off, 0, 0.2)
        mean += off
        normal(off, 0, 0.2)
        var *= torch.exp(off)
    return net.eval().requires_grad_(True)


def reference(code, family, stride, side, channels, z_dim, c_dim=0, num_ws=0):
    """What a case's numbers are compared with: the code that computed them, and the generator that it should be."""
    spec = {"width": side, "height": side, "channels": channels, "z_dim": z_dim, "w_dim": z_dim, "c_dim": c_dim,
            "num_ws": num_ws}
    return {"code": code, "family": family, "noise": "waves", "stride": stride, "tolerance": 1e-3, "spec": spec}


def stored(net, prefix=""):
    """The state dict as the official code saves it, without the counts of batches."""
    return {prefix + k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}


def numbers(z, run, weights, stride=1, extra=None, inputs=()):
    """What the test compares: `run(z, *inputs)` gives the picture; `weights` are gannet's names of parameters;
    `inputs` are names in `extra` whose gradients are taken as well."""
    extra = {k: torch.as_tensor(v) for k, v in (extra or {}).items()}
    leaves = {"z": z, **{k: extra[k] for k in inputs}}
    leaves = {k: v.clone().requires_grad_(True) for k, v in leaves.items()}
    image = run(**leaves)
    loss = common.wave_loss(image)
    wanted = [*leaves.values(), *weights.values()]
    grads = torch.autograd.grad(loss, wanted)
    names = [*(f"grad.{k}" for k in leaves), *(f"grad.weight.{k}" for k in weights)]
    out = {**extra, "z": z, "image": image[:, :, ::stride, ::stride], "loss": loss.detach().reshape(1)}
    out.update(dict(zip(names, grads)))
    image = image.detach()
    out["image"] = out["image"].detach()
    print(f"picture {tuple(image.shape)}: {float(image.min()):.3f} to {float(image.max()):.3f}, "
          f"spread over z {float((image[0] - image[1]).abs().mean()):.4f}")
    return out
