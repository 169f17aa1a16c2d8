"""StyleGAN3 parity: the official Generator on small random networks, its images and its gradients.

    python stylegan3.py --official CHECKOUT --out tests/reference/stylegan3 [--only NAME] [--pickles DIR]

CHECKOUT is a clone of NVlabs/stylegan3, kept outside this repository. As in stylegan2.py, the network is evaluated in
f32 as shipped and with every tensor in f64; the f64 values are stored, and the metadata key "deviation" is the f32
run's distance from them. With --pickles the official code also pickles every network into DIR (its source is inside:
never commit one), the state dict beside it.
"""
import argparse
import copy
import os
import pickle

import numpy as np
import torch

from common import fill_stylegan3, lengths, official, rng, write_any, write_tensors

PSI, CUTOFF = 0.7, 4
ROTATE, SHIFT = 15.0, (0.1, -0.05)       # the user's transform, as gen_images.py has it: degrees, sides of the picture

R = dict(conv_kernel=1, use_radial_filters=True)
# name: z, c, w, resolution, channels, mapping layers, batch, what the synthesis is asked for
CASES = {
    "sg3_t_32":    (12, 0, 16, 32, 3, 2, 2, dict(channel_base=256, channel_max=12)),
    "sg3_r_32_c3": (10, 3, 16, 32, 3, 2, 2, dict(channel_base=384, channel_max=20, **R)),
    "sg3_t_64":    (12, 0, 12, 64, 1, 3, 1, dict(channel_base=384, channel_max=10, num_layers=9, num_critical=3,
                    first_cutoff=3, first_stopband=2 ** 2.3, last_stopband_rel=2 ** 0.4, margin_size=6, output_scale=0.5,
                    filter_size=4, conv_clamp=1.5)),
    "sg3_r_64":    (12, 0, 16, 64, 3, 2, 1, dict(channel_base=768, channel_max=16, **R)),
    "sg3_t_16":    (10, 0, 12, 16, 4, 1, 2, dict(channel_base=128, channel_max=8, num_layers=6, first_cutoff=1.5,
                    first_stopband=2 ** 1.6, margin_size=4, lrelu_upsampling=4, conv_clamp=None)),
}
# What the configuration says where a case does not.
USUAL = dict(num_layers=14, num_critical=2, first_cutoff=2, first_stopband=2 ** 2.1, last_stopband_rel=2 ** 0.3,
             margin_size=10, output_scale=0.25, filter_size=6, lrelu_upsampling=2, conv_clamp=256)


def build(nets, name):
    z, c, w, res, ch, layers, _, kw = CASES[name]
    g = nets.Generator(z_dim=z, c_dim=c, w_dim=w, img_resolution=res, img_channels=ch,
                       mapping_kwargs=dict(num_layers=layers), **kw).eval()
    r = rng(name)
    # The constructor draws frequencies from a disc of the input's bandwidth: their lengths are kept.
    fill_stylegan3(g, r, lambda t, x: lengths(t.numpy() * 1.0) * unit(r.standard_normal(x.shape)))
    with torch.no_grad():
        zz, cc = inputs(name, g)
        if CASES[name][-1].get("conv_clamp", 256) in (256, None):
            # The image is linear in the ToRGB layer: scale it so that it reaches 1.3.
            peak = g(zz, cc).abs().max()
            torgb = getattr(g.synthesis, g.synthesis.layer_names[-1])
            torgb.weight.mul_(1.3 / peak)
            torgb.bias.mul_(1.3 / peak)
    return g


def unit(v):
    return v / lengths(v)


def inputs(name, g):
    n = CASES[name][6]
    r = rng(name + ".inputs")
    z = torch.from_numpy(r.standard_normal((n, g.z_dim)).astype(np.float32))
    c = r.uniform(-1, 1, (n, g.c_dim)).astype(np.float32)     # the second label is dense: nothing may assume one-hot
    if g.c_dim:
        c[0] = np.eye(g.c_dim, dtype=np.float32)[2]
    return z, torch.from_numpy(c)


def placed():
    """The inverse of the matrix that moves the picture, in double precision."""
    a = np.deg2rad(ROTATE)
    move = np.array([[np.cos(a), np.sin(a), SHIFT[0]], [-np.sin(a), np.cos(a), SHIFT[1]], [0, 0, 1]])
    return torch.from_numpy(np.linalg.inv(move))


def weight_probes(g):
    names = [n for n in g.synthesis.layer_names]
    some = [names[0], names[len(names) // 2], names[-1]]
    keys = [f"synthesis.{n}.{p}" for n in some for p in ("weight", "bias", "affine.weight")]
    return keys + ["synthesis.input.weight", "synthesis.input.affine.bias", "mapping.fc0.weight"]


def evaluate(g, name, dtype):
    """Every reference value of one case in one precision."""
    real = torch.float32
    g = copy.deepcopy(g).to(dtype)
    torch.float32 = dtype       # the official code casts to torch.float32 by name: in f64 the name means f64
    torch.set_default_dtype(dtype)
    try:
        z, c = (t.to(dtype) for t in inputs(name, g))
        z.requires_grad_(True)
        out = {"ref.z": z} | ({"ref.c": c} if g.c_dim else {})
        with torch.no_grad():
            out["ref.w_trunc"] = g.mapping(z, c, truncation_psi=PSI, truncation_cutoff=CUTOFF)
            out["ref.image"] = g.synthesis(g.mapping(z, c))
        styles = {}
        for part in ["input", *g.synthesis.layer_names]:
            def keep(m, i, o, part=part):
                o.retain_grad()
                styles[part] = o
            getattr(g.synthesis, part).affine.register_forward_hook(keep)
        features = {}
        tapped = ["input", g.synthesis.layer_names[1]]
        for part in tapped:
            getattr(g.synthesis, part).register_forward_hook(lambda m, i, o, part=part: features.__setitem__(part, o))
        transform = placed().to(dtype).requires_grad_(True)
        del g.synthesis.input._buffers["transform"]
        g.synthesis.input.transform = transform
        params = dict(g.named_parameters())
        ws = g.mapping(z, c)
        ws.retain_grad()
        image = g.synthesis(ws)
        target = torch.sin(0.37 * torch.arange(image.numel(), dtype=torch.float64)).to(dtype).reshape(image.shape)
        loss = (image - target).square().mean()
        loss.backward()
        out["ref.w"], out["ref.moved"], out["ref.loss"] = ws[:, 0], image, loss.reshape(1)
        if name == "sg3_t_32":
            out |= {f"ref.feature.{k}": v[:1, :2] for k, v in features.items()}
        out["ref.s"] = torch.cat(list(styles.values()), 1)
        out["ref.grad.z"], out["ref.grad.ws"], out["ref.grad.transform"] = z.grad, ws.grad, transform.grad
        out["ref.grad.s"] = torch.cat([s.grad for s in styles.values()], 1)
        if name in ("sg3_t_16", "sg3_r_32_c3"):
            for key in weight_probes(g):
                out[f"ref.grad.weight.{key}"] = params[key].grad
        return {k: v.detach().clone() for k, v in out.items()}
    finally:
        torch.float32 = real
        torch.set_default_dtype(real)


def config(name, g):
    z, c, w, res, ch, layers, _, kw = CASES[name]
    told = {k: kw.get(k, v) for k, v in USUAL.items()}
    return dict(z_dim=z, c_dim=c, w_dim=w, img_resolution=res, img_channels=ch, num_ws=g.num_ws, mapping_layers=layers,
                mapping_lr_multiplier=0.01, **told)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--official", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--only")
    a.add_argument("--pickles")
    a = a.parse_args()
    nets = official(a.official, "networks_stylegan3")
    for name in CASES:
        if a.only and a.only != name:
            continue
        torch.manual_seed(int(rng(name + ".freqs").randint(1 << 30)))
        g = build(nets, name)
        single, double = (evaluate(g, name, d) for d in (torch.float32, torch.float64))
        dev = {}
        for k, v in double.items():
            scale = max(v.abs().max().item(), 1e-30)
            dev[k] = float(f"{(single[k].double() - v).abs().max().item() / scale:.2e}")
            assert torch.isfinite(v).all() and v.abs().max() > 0 and dev[k] < 5e-4, (name, k, dev[k])
        worst = max(dev, key=dev.get)
        print(name, g.synthesis.layer_names, "peak", round(double["ref.image"].abs().max().item(), 3), "loss",
              round(double["ref.loss"].item(), 4), "worst f32 deviation", worst, dev[worst])
        meta = {"format": 1, "family": "stylegan3", "config": config(name, g)}
        ref = {"truncation_psi": PSI, "truncation_cutoff": CUTOFF, "rotate": ROTATE, "shift": SHIFT,
               "loss": "mean over all elements i of (ref.moved - sin(0.37 i))^2"}
        weights = {k: v.clone() for k, v in g.state_dict().items()}
        os.makedirs(a.out, exist_ok=True)
        write_tensors(os.path.join(a.out, name + ".safetensors"), {**weights, **double},
                      {"gannet": meta, "reference": ref, "deviation": dev})
        if a.pickles:
            os.makedirs(a.pickles, exist_ok=True)
            path = os.path.join(a.pickles, name + ".pkl")
            with open(path, "wb") as f:
                pickle.dump(dict(training_set_kwargs=None, G=None, D=None, G_ema=copy.deepcopy(g)), f)
            write_any(path[:-4] + ".safetensors", {k: v.contiguous() for k, v in weights.items()}, {})


if __name__ == "__main__":
    main()
