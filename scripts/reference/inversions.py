"""Twenty steps of three methods by their official losses, on random generators.

    python inversions.py --src CHECKOUTS --out tests/reference/inversions

CHECKOUTS holds checkouts called as on GitHub, `OWNER+REPO`: danielroich+PTI, ZPdesu+II2S, kkang831+BDInvert_Release and
NVlabs+stylegan2-ada-pytorch. Their losses run as they are: `BaseCoach.calc_loss` and `Space_Regulizer` of PTI, `LossBuilder`
and `Net.cal_p_norm_loss` of II2S, the generator with a base code and `project_w2pN` of BDInvert, whose loss is written in
its program and is put together here. In place of LPIPS, whose weights are missing, all use a small random network and the
distance of gannet's `perceptual`. What they import besides is replaced by names. Each runs in a process of its own.
"""
import copy
import importlib
import importlib.machinery
import os
import subprocess
import sys
import types

import numpy as np
import torch
import torch.nn.functional as F

from common import official, parser, rng, write_case, write_tensors

SIDE, Z, W, STEPS = 16, 12, 12, 20
CHANNELS, STRIDES = (3, 5, 6, 8), (1, 2, 2)
PTI_RATE, RATE, ALPHA = 3e-4, 0.01, 3.0
SRC = None


def path(name):
    return os.path.join(SRC, name)


class Anything(types.ModuleType):
    def __getattr__(self, key):
        if key.startswith("__"):
            raise AttributeError(key)
        return type(key, (), {})


def names(*modules):
    """Modules that are not installed: only their names are needed."""
    for name in modules:
        m = Anything(name)
        m.__path__, m.__spec__ = [], importlib.machinery.ModuleSpec(name, None)
        sys.modules[name] = m


def single(x):
    return torch.from_numpy(np.asarray(x, np.float32))


def features():
    r = rng("inversions.features")
    t = {}
    for i, (inner, outer) in enumerate(zip(CHANNELS, CHANNELS[1:])):
        t[f"conv{i}.weight"] = single(r.randn(outer, inner, 3, 3) * np.sqrt(2 / (9 * inner)))
        t[f"conv{i}.bias"] = single(0.1 * r.randn(outer))
    t["head.weight"], t["head.bias"] = single(r.randn(1, CHANNELS[-1])), single(r.randn(1))
    return t


NETWORK = features()


def perceptual(a, b):
    """Unit vectors over the channels at every place, of all layers but the first; the mean over the layers."""
    def taps(x):
        out = []
        for i, stride in enumerate(STRIDES):
            x = F.leaky_relu(F.conv2d(x, NETWORK[f"conv{i}.weight"], NETWORK[f"conv{i}.bias"], stride, 1), 0.2)
            out.append(x / (x.square().sum(1, keepdim=True) + 1e-10).sqrt())
        return out[1:]
    parts = [(x - y).square().sum(1).mean() for x, y in zip(taps(a), taps(b))]
    return sum(parts) / len(parts)


def target():
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    rings = [np.sin(np.hypot(x - 7.5, y - 6) * (0.5 + 0.1 * c)) for c in range(3)]
    return single(0.6 * np.stack(rings)[None])


def nvidia():
    networks = official(path("NVlabs+stylegan2-ada-pytorch"))
    g = networks.Generator(Z, 0, W, SIDE, 3, mapping_kwargs=dict(num_layers=2),
                           synthesis_kwargs=dict(channel_base=96, channel_max=6)).eval()
    r = rng("inversions.nvidia")
    with torch.no_grad():
        for key, t in list(g.named_parameters()) + list(g.named_buffers()):
            if "filter" in key:
                continue
            x = r.standard_normal(tuple(t.shape))
            if key.startswith("mapping.fc"):
                x *= (0.15 if key.endswith("bias") else 1) / 0.01
            elif key.endswith("noise_strength"):
                x *= 0
            elif key.endswith("affine.bias"):
                x = 1 + 0.25 * x
            elif key.endswith("bias"):
                x *= 0.2
            t.copy_(torch.from_numpy(np.asarray(x)).to(t.dtype))
        z = single(r.standard_normal((500, Z)))
        g.mapping.w_avg.copy_(g.mapping(z, None)[:, 0].mean(0))
        peak = g.synthesis(g.mapping(z[:8], None), noise_mode="none").abs().max()
        for key, t in g.named_parameters():
            if ".torgb." in key and "affine" not in key:
                t.mul_(1.2 / peak)
    return g, r


def whitening(w):
    """Mean, axes (rows) and deviations of codes of P, widest first; no variance below 1e-5 of the largest, as in gannet."""
    x = np.where(w > 0, w, 5 * w).astype(np.float64)
    mean = x.mean(0)
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    return mean, vectors[:, ::-1].T, np.sqrt(np.maximum(values, 1e-5 * values[-1])[::-1])


def state(g):
    return {k: v.clone() for k, v in g.state_dict().items() if "filter" not in k}


def descended(parameters, rate, loss):
    """The losses of the start and of every step of Adam, `[STEPS + 1]`."""
    optimizer = torch.optim.Adam(parameters, lr=rate)
    losses = []
    for step in range(STEPS + 1):
        value = loss()
        losses.append(value.item())
        optimizer.zero_grad()
        value.backward()
        if step < STEPS:
            optimizer.step()
    return losses


def pti(out):
    names("wandb", "lpips", "torchvision", "torchvision.transforms", "models", "models.e4e", "models.e4e.psp",
          "training.projectors", "utils", "utils.log_utils", "utils.models_utils", "PIL")
    g, r = nvidia()
    weights, old, new = state(g), copy.deepcopy(g), copy.deepcopy(g)
    for key in [k for k in sys.modules if k.split(".")[0] in ("training", "torch_utils", "dnnlib")]:
        if key.split(".")[0] == "training":
            del sys.modules[key]
    names("training.projectors", "training.projectors.w_projector")
    sys.path.insert(0, path("danielroich+PTI"))
    coaches = importlib.import_module("training.coaches.base_coach")
    locality = importlib.import_module("criteria.localitly_regulizer")
    from configs import global_config, hyperparameters
    global_config.device = "cpu"
    # The network is run once; LPIPS gives a map [1, 1, 1, 1].
    lpips = lambda a, b: perceptual(a, b).reshape(1, 1, 1, 1)
    coach = object.__new__(coaches.BaseCoach)
    coach.lpips_loss, coach.use_wandb, coach.G = lpips, False, g
    w = g.mapping(single(r.standard_normal((1, Z))), None, truncation_psi=0.8).detach()
    assert hyperparameters.pti_learning_rate == PTI_RATE and not hyperparameters.use_locality_regularization
    for p in g.parameters():
        p.requires_grad_(True)
    losses = descended(g.parameters(), PTI_RATE,
                       lambda: coach.calc_loss(coach.forward(w), target(), "x", g, True, w)[0])
    numbers = {"w": w[:, 0], "losses": losses, "target": target()}
    # Locality: another generator against the first, at a code that the official formula finds.
    with torch.no_grad():
        for key, t in new.named_parameters():
            t.copy_(weights[key] if "noise_strength" in key or "mapping" in key
                    else weights[key] + single(0.05 * r.standard_normal(tuple(t.shape))))
            if "noise_strength" not in key and "mapping" not in key:
                numbers["new." + key] = t.clone()
    hyperparameters.regulizer_alpha = ALPHA
    space = locality.Space_Regulizer(old, lpips)
    z = r.standard_normal((1, Z)).astype(np.float32)
    w_z = old.mapping(torch.from_numpy(z), None, truncation_psi=0.5)
    numbers |= {"far.sample": w_z[:, 0], "far.code": space.get_morphed_w_code(w_z[:1], w)[:, 0]}
    np.random.randn = lambda *_: z
    hyperparameters.regulizer_l2_lambda = hyperparameters.regulizer_lpips_lambda = 1
    value = space.space_regulizer_loss(new, w, False)
    numbers["far.value"] = value.reshape(1)
    write_case(out, "pti", weights, {k: torch.as_tensor(v) for k, v in numbers.items()},
               {"rate": PTI_RATE, "distance": ALPHA})


def ii2s(out):
    g, r = nvidia()
    weights = state(g)
    names("PIL", "losses.lpips", "losses")
    sys.modules["losses"].lpips = sys.modules["losses.lpips"]
    here = path("ZPdesu+II2S")

    def source(file, **known):
        m = types.ModuleType(file)
        m.__dict__.update(known)
        exec(compile(open(os.path.join(here, file)).read(), file, "exec"), m.__dict__)
        return m

    class Percept(torch.nn.Module):
        def __init__(self, **_):
            super().__init__()

        def forward(self, a, b):
            return perceptual(a, b).reshape(1)

    sys.modules["losses.lpips"].PerceptualLoss = Percept
    options = types.SimpleNamespace(l2_lambda=1.0, percept_lambda=1.0, p_norm_lambda=0.001, device="cpu")
    builder = source("losses/loss.py").LossBuilder(options)
    names("models", "models.stylegan2", "models.stylegan2.model", "utils", "utils.model_utils")
    net_class = source("models/Net.py").Net
    net = object.__new__(net_class)
    samples = g.mapping(single(r.standard_normal((200, Z))), None)[:, 0].detach()
    mean, axes, sigma = whitening(samples.numpy())
    net.__dict__.update(opts=options, X_mean=single(mean), X_comp=single(axes), X_stdev=single(sigma))
    g.requires_grad_(False)
    latent = [g.mapping.w_avg.clone().requires_grad_(True) for _ in range(g.num_ws)]

    def loss():
        latent_in = torch.stack(latent).unsqueeze(0)
        picture = g.synthesis(latent_in, noise_mode="const")
        seen, _ = builder(ref_im_H=target(), ref_im_L=target(), gen_im_H=picture, gen_im_L=picture)
        return seen + net_class.cal_p_norm_loss(net, latent_in)

    losses = descended(latent, RATE, loss)
    write_case(out, "ii2s", weights, {"samples": samples, "losses": torch.tensor(losses), "target": target()},
               {"rate": RATE})


def bdinvert(out):
    here = path("kkang831+BDInvert_Release")
    sys.path.insert(0, here)
    package = types.ModuleType("models")
    package.__path__ = [os.path.join(here, "models")]
    sys.modules["models"] = package
    generators = importlib.import_module("models.stylegan2_generator")
    package.MODEL_ZOO = package.build_generator = package.parse_gan_type = None
    names("tqdm")
    projection = types.ModuleType("pca_p_space")
    exec(open(os.path.join(here, "BDInvert", "pca_p_space.py")).read().split("def parse_args")[0], projection.__dict__)
    g = generators.StyleGAN2Generator(SIDE, z_space_dim=Z, w_space_dim=W, mapping_layers=2, mapping_fmaps=W,
                                      fmaps_base=96, fmaps_max=6).eval()
    r = rng("inversions.bdinvert")
    with torch.no_grad():
        for key, t in list(g.named_parameters()) + list(g.named_buffers()):
            if "kernel" in key:
                continue
            x = r.standard_normal(tuple(t.shape))
            if "mapping.dense" in key:
                x *= (0.15 if key.endswith("bias") else 1) / 0.01
            elif "noise_strength" in key or key.startswith("synthesis.output0.") and "style" not in key:
                # With a base code the picture of the layers before it is left out.
                x *= 0
            elif key.endswith("style.bias"):
                x *= 0.25
            elif "style.weight" in key:
                x *= 0.6
            elif key.endswith("bias"):
                x *= 0.2
            t.copy_(torch.from_numpy(np.asarray(x)).to(t.dtype))
        z = single(r.standard_normal((200, Z)))
        samples = g.mapping(z)["w"]
        g.truncation.w_avg.copy_(samples.mean(0))
        rows = g.truncation(samples[:8])
        peak = g.synthesis(rows)["image"].abs().max()
        for key, t in g.named_parameters():
            if "synthesis.output" in key and "style" not in key:
                t.mul_(1.2 / peak)
    g.requires_grad_(False)
    weights = {k: v.clone() for k, v in g.state_dict().items()}
    mean, axes, values = whitening(samples.numpy())
    statistics = single(mean), single(values ** 2), single(axes.T)
    start = g.truncation.w_avg.clone().view(1, 1, -1).repeat(1, g.num_layers, 1)
    base = "x01"
    first = g.synthesis(start)[base].clone()
    # Rows before the base code have no part in the picture; here they stay.
    early, late = start[:, :2], start[:, 2:].clone().requires_grad_(True)
    code = first.clone().requires_grad_(True)

    def loss():
        detail = torch.cat([early, late], 1)
        picture = g.synthesis(detail, basecode_layer=base, basecode=code)["image"]
        seen = torch.mean((picture - target()) ** 2) + 10 * perceptual(target(), picture)
        held = 10 * torch.mean((code - first) ** 2)
        return seen + held + 0.01 * torch.mean(projection.project_w2pN(detail[0], *statistics) ** 2)

    losses = descended([late, code], RATE, loss)
    write_case(out, "bdinvert", weights, {"samples": samples, "losses": torch.tensor(losses), "target": target()},
               {"rate": RATE})


def main():
    global SRC
    p = parser()
    p.add_argument("--only", choices=["pti", "ii2s", "bdinvert"])
    a = p.parse_args()
    SRC = os.path.abspath(a.src)
    if a.only:
        globals()[a.only](a.out)
        return
    os.makedirs(a.out, exist_ok=True)
    write_tensors(os.path.join(a.out, "features.safetensors"), NETWORK, {})
    for name in ("pti", "ii2s", "bdinvert"):
        subprocess.run([sys.executable, __file__, "--src", SRC, "--out", a.out, "--only", name], check=True)


if __name__ == "__main__":
    main()
