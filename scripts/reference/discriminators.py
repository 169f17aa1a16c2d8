"""Discriminators: what the code that trained them says of pictures.

    python discriminators.py --src CHECKOUTS --out tests/reference/discriminators [--pickles SOMEWHERE_ELSE]

CHECKOUTS holds checkouts called as on GitHub, `OWNER+REPO`: NVlabs+stylegan2-ada-pytorch, rosinality+stylegan2-pytorch
and ajbrock+BigGAN-PyTorch. DCGAN's is built here from torch's layers, as PyTorch's example describes it. Every picture is
judged as a batch of one, in evaluation; in f64 but NVIDIA's.

With --pickles the official code also writes a pickle of a generator and its discriminator; it embeds the official source,
so it is not committed.
"""
import importlib
import os
import pickle
import sys
import types
from collections import OrderedDict

import numpy as np
import torch

from common import official, parser, rng, write_case
from make_pkl import Module, Names, Parameter, plain

SRC = None

# name: code, side, channels of the picture, labels, what is special
CASES = {
    "nvidia_resnet_32": ("nvidia", 32, 3, 0, dict(base=128, max=6)),
    # Labels, and a limit of the activations that binds.
    "nvidia_labels_16": ("nvidia", 16, 3, 4, dict(base=96, max=6, clamp=0.6, pickle=True)),
    "nvidia_skip_16": ("nvidia", 16, 1, 0, dict(base=96, max=6, arch="skip")),
    # Another filter; no channel that tells of the batch.
    "nvidia_orig_16": ("nvidia", 16, 3, 0, dict(base=96, max=6, arch="orig", filter=[1, 2, 1], mbstd=0)),
    "rosinality_32": ("rosinality", 32, 3, 0, dict(root="d.")),
    "dcgan_32": ("dcgan", 32, 3, 0, {}),
    "biggan_64": ("biggan", 64, 3, 5, dict(ch=4, attention="16")),
}


def checkout(name):
    return os.path.join(SRC, name)


def nvidia(side, channels, labels, extra):
    networks = official(checkout("NVlabs+stylegan2-ada-pytorch"))
    block = {"resample_filter": extra["filter"]} if "filter" in extra else {}
    last = {"mbstd_num_channels": extra["mbstd"]} if "mbstd" in extra else {}
    d = networks.Discriminator(
        c_dim=labels, img_resolution=side, img_channels=channels, architecture=extra.get("arch", "resnet"),
        channel_base=extra["base"], channel_max=extra["max"], conv_clamp=extra.get("clamp"), block_kwargs=block,
        epilogue_kwargs=last)
    maps = [getattr(d, f"b{s}") for s in d.block_resolutions] + [d.b4.conv, d.b4.fc]
    return d, maps, lambda x, c: d(x, c)[:, 0]


def rosinality(side, channels, labels, extra):
    """Its code has no argument for the widths: the number 512 in it is made 8 on the way."""
    here = checkout("rosinality+stylegan2-pytorch")
    from torch.utils import cpp_extension
    load, cpp_extension.load = cpp_extension.load, lambda *a, **k: None
    sys.path.insert(0, here)
    importlib.import_module("op.upfirdn2d")
    cpp_extension.load = load
    model = types.ModuleType("narrow_model")
    exec(open(os.path.join(here, "model.py")).read().replace("512", "8"), model.__dict__)
    d = model.Discriminator(side)
    final = d.final_linear[0]
    maps = list(d.convs[1:]) + [d.final_conv, final]
    return d, maps, lambda x, c: d(x)[:, 0]


def dcgan(side, channels, labels, extra):
    widths, layers, inner = [4, 6, 8], [], channels
    for i, outer in enumerate(widths):
        layers.append(torch.nn.Conv2d(inner, outer, 4, 2, 1, bias=False))
        if i:
            layers.append(torch.nn.BatchNorm2d(outer))
        layers.append(torch.nn.LeakyReLU(0.2))
        inner = outer
    layers += [torch.nn.Conv2d(inner, 1, 4, 1, 0, bias=False)]
    d = torch.nn.Module()
    d.main = torch.nn.Sequential(*layers)
    maps = [m for m in layers if isinstance(m, torch.nn.LeakyReLU)]
    return d, maps, lambda x, c: d.main(x).flatten()


def biggan(side, channels, labels, extra):
    sys.path.insert(0, checkout("ajbrock+BigGAN-PyTorch"))
    d = importlib.import_module("BigGAN").Discriminator(
        D_ch=extra["ch"], resolution=side, D_attn=extra["attention"], n_classes=labels)
    maps = [block for blocks in d.blocks for block in blocks] + ["sum"]
    # A class is the row of a label whose number is 1.
    return d, maps, lambda x, c: d(x, c.argmax(1))[:, 0]


def randomise(d, name):
    """Numbers of their own that are neither zero nor one; what the layers give stays at about unit size."""
    r = rng(name)
    with torch.no_grad():
        for key, t in list(d.named_parameters()) + list(d.named_buffers()):
            if "filter" in key or "kernel" in key or not t.is_floating_point():
                continue
            x = r.standard_normal(tuple(t.shape))
            if key.endswith("running_var"):
                x = np.exp(0.5 * x)
            elif key.startswith("mapping.fc"):
                x *= (0.2 if key.endswith("bias") else 1) / 0.01
            elif key.endswith("bias") or key.endswith("running_mean"):
                x *= 0.2
            elif name.startswith("dcgan") and t.ndim == 4:
                x *= (2 / t[0].numel()) ** 0.5
            elif name.startswith("dcgan") and key.endswith("weight"):
                x = 1 + 0.2 * x
            elif name.startswith("biggan") and key.endswith("sv0"):
                x = 1 + 0 * x
            elif name.startswith("biggan") and key.endswith("gamma"):
                x = 0.7 + 0 * x
            t.copy_(torch.from_numpy(np.asarray(x, np.float32)))


def case(name, out):
    code, side, channels, labels, extra = CASES[name]
    d, maps, score = globals()[code](side, channels, labels, extra)
    randomise(d, name)
    weights = {extra.get("root", "D.") + k: v.clone() for k, v in d.state_dict().items()}
    # NVIDIA's layers insist on single precision.
    kind = torch.float32 if code == "nvidia" else torch.float64
    d = d.eval().to(kind)
    r = rng(name + ".inputs")
    pictures = torch.from_numpy(r.uniform(-1, 1, (2, channels, side, side)).astype(np.float32)).to(kind)
    given = np.zeros((2, labels), np.float32)
    if code == "biggan":
        given[[0, 1], [3, 1]] = 1
    elif labels:
        given = r.uniform(-1, 1, (2, labels)).astype(np.float32)
    given = torch.from_numpy(given).to(kind)
    seen, grabbed = [], {}
    for m in maps:
        if m != "sum":
            m.register_forward_hook(lambda m, i, o: grabbed.__setitem__(id(m), o[0] if isinstance(o, tuple) else o))
    scores, rows, slopes = [], [], []
    for i in range(2):
        x = pictures[i:i + 1].clone().requires_grad_()
        value = score(x, given[i:i + 1])
        here = [torch.relu(grabbed[id(maps[-2])]).sum([2, 3]) if m == "sum" else grabbed[id(m)] for m in maps]
        # A loss that every map and the score take part in.
        loss = value.sum() + sum(h.abs().mean() for h in here)
        slopes.append(torch.autograd.grad(loss, x)[0])
        scores.append(value)
        rows.append(here)
    numbers = {"pictures": pictures, "score": torch.cat(scores), "grad": torch.cat(slopes)}
    numbers |= {f"feature.{k}": torch.cat([row[k] for row in rows]) for k in range(len(maps))}
    if labels:
        numbers["labels"] = given
    write_case(out, name, weights, numbers, {"code": code, "features": len(maps)})
    if extra.get("pickle"):
        os.remove(os.path.join(out, name + ".safetensors"))
        write_pickle(os.path.join(out, name + ".pkl"), d)


def write_pickle(path, d):
    """A pickle as NVIDIA's training writes it, without source: a generator that is none, and the discriminator."""
    def module(names, m):
        tensors = lambda group, kind: OrderedDict((k, kind(plain(t.detach()))) for k, t in group.items())
        state = dict(
            training=False, conv_clamp=getattr(m, "conv_clamp", None), _parameters=tensors(m._parameters, Parameter),
            _buffers=tensors({k: t for k, t in m._buffers.items() if t is not None}, lambda t: t),
            _modules=OrderedDict((k, module(names, v)) for k, v in m._modules.items()))
        return Module(names, type(m).__name__, state)

    with Names() as names:
        with open(path, "wb") as f:
            other = module(names, torch.nn.Linear(2, 2))
            pickle.dump(dict(G=other, D=module(names, d), G_ema=other, augment_pipe=None), f, protocol=4)
    print(f"{os.path.getsize(path):>9}  {path}")


def pickles(folder):
    networks = official(checkout("NVlabs+stylegan2-ada-pytorch"))
    torch.manual_seed(0)
    narrow = dict(channel_base=128, channel_max=6)
    g = networks.Generator(12, 0, 12, 16, 3, mapping_kwargs=dict(num_layers=2), synthesis_kwargs=narrow).eval()
    d = networks.Discriminator(0, 16, 3, **narrow).eval()
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "both.pkl"), "wb") as f:
        pickle.dump(dict(G=g, D=d, G_ema=g, training_set_kwargs=None, augment_pipe=None), f)
    x = torch.zeros(1, 3, 16, 16)
    print("both.pkl: the score of a grey picture is", d(x, torch.zeros(1, 0)).item())


def main():
    global SRC
    p = parser()
    p.add_argument("--pickles")
    p.add_argument("--only")
    a = p.parse_args()
    SRC = os.path.abspath(a.src)
    for name in CASES:
        if a.only in (None, name):
            case(name, a.out)
    if a.pickles:
        pickles(a.pickles)


if __name__ == "__main__":
    main()
