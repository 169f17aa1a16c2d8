"""StyleGAN2 parity: the official Generator on small random networks, its images and its gradients.

    python stylegan2.py --official CHECKOUT --out tests/reference/stylegan2 [--only NAME]

The network is evaluated twice: as shipped (f32, force_fp32), and with every tensor in f64. The f64 values, rounded
to f32, are stored; the metadata key "deviation" says how far the f32 run was from them, which is the noise floor that
a f32 implementation may be held to.
"""
import argparse
import os

import numpy as np
import torch

from common import official, rng, write_tensors

PSI, CUTOFF = 0.7, 4

# name: z, c, w, resolution, image channels, mapping layers, mapping lr, architecture, base, max, clamp, batch
CASES = {
    "sg2_32_skip":    (40, 0, 32, 32, 3, 8, 0.01, "skip",   512,  24, None, 2),
    "sg2_32_skip_c5": (24, 5, 48, 32, 3, 2, 0.01, "skip",   768,  28, None, 2),
    "sg2_32_resnet":  (64, 0, 40, 32, 3, 4, 0.01, "resnet", 512,  24, None, 2),
    "sg2_32_gray":    (28, 0, 32, 32, 1, 3, 0.1,  "skip",   512,  16, None, 2),
    "sg2_16_rgba":    (24, 0, 32, 16, 4, 5, 0.01, "skip",   160,  12, None, 2),
    "sg2_16_resnet_c5": (36, 5, 32, 16, 3, 2, 1.0, "resnet", 144, 10, None, 2),
    "sg2_16_orig":    (24, 0, 32, 16, 3, 2, 0.01, "orig",   192,  12, None, 2),
    "sg2_16_clamp":   (24, 0, 32, 16, 3, 2, 0.01, "skip",   192,  12, 0.9,  2),
    "sg2_64_skip_c5": (32, 5, 40, 64, 3, 8, 0.01, "skip",   1024, 24, None, 2),
    "sg2_64_resnet":  (48, 0, 32, 64, 3, 6, 0.01, "resnet", 1024, 20, None, 2),
    "sg2_256_skip":   (24, 0, 32, 256, 3, 8, 0.01, "skip",  2048, 16, None, 1),
}
# cases that stand for a rule of their own keep only what that rule needs
LIGHT = {"sg2_64_resnet", "sg2_256_skip"}


def build(networks, name):
    z, c, w, res, ch, layers, lr, arch, base, cmax, clamp, _ = CASES[name]
    g = networks.Generator(
        z_dim=z, c_dim=c, w_dim=w, img_resolution=res, img_channels=ch,
        mapping_kwargs=dict(num_layers=layers, lr_multiplier=lr),
        synthesis_kwargs=dict(channel_base=base, channel_max=cmax, num_fp16_res=0, conv_clamp=clamp,
                              architecture=arch, resample_filter=[1, 3, 3, 1]))
    r = rng(name)
    with torch.no_grad():
        for key, t in list(g.named_parameters()) + list(g.named_buffers()):
            if key.endswith("resample_filter"):
                continue
            x = r.standard_normal(tuple(t.shape))
            if key == "mapping.w_avg":
                x *= 0.3
            elif key.startswith("mapping.fc"):
                x *= (0.15 if key.endswith("bias") else 1) / lr
            elif key.endswith("affine.weight"):
                x *= 0.6
            elif key.endswith("affine.bias"):
                x = 1 + 0.25 * x
            elif key.endswith("noise_strength"):
                x = np.sign(x) * (0.1 + 0.15 * abs(x))
            elif key.endswith("bias"):
                x *= 0.2
            t.copy_(torch.from_numpy(np.asarray(x)))
        # The image is linear in the ToRGB layers (where nothing clamps them): scale those so that it reaches 1.3.
        g.eval()
        zz, cc = inputs(name, g)
        if clamp is None:
            peak = g(zz.float(), cc.float(), noise_mode="const", force_fp32=True).abs().max()
            for key, t in g.named_parameters():
                if key.endswith("torgb.weight") or key.endswith("torgb.bias"):
                    t.mul_(1.3 / peak)
    return g.eval()


def inputs(name, g):
    n = CASES[name][-1]
    r = rng(name + ".inputs")
    z = torch.from_numpy(r.standard_normal((n, g.z_dim)).astype(np.float32))
    c = r.uniform(-1, 1, (n, g.c_dim)).astype(np.float32)     # the second label is dense: nothing may assume one-hot
    if g.c_dim:
        c[0] = np.eye(g.c_dim, dtype=np.float32)[2]
    return z, torch.from_numpy(c)


def weight_probes(g):
    last, first = g.synthesis.block_resolutions[-1], 4
    keys = [f"synthesis.b{first}.const", f"synthesis.b{last}.conv0.weight", f"synthesis.b{last}.conv1.weight",
            "synthesis.b8.conv0.weight", "synthesis.b8.conv0.affine.weight", "synthesis.b8.conv0.affine.bias",
            "synthesis.b8.conv1.bias", "synthesis.b8.conv1.noise_strength",
            f"synthesis.b{last}.torgb.weight", f"synthesis.b{last}.torgb.affine.weight",
            f"synthesis.b{last}.torgb.bias", "mapping.fc0.weight", "mapping.fc1.bias"]
    keys += ["mapping.embed.weight"] if g.c_dim else []
    keys += ["synthesis.b8.skip.weight"] if g.synthesis.b8.architecture == "resnet" else []
    return keys


def evaluate(g, name, dtype, target=None):
    """Every reference value of one case in one precision."""
    real, light = torch.float32, name in LIGHT
    g = g.to(dtype)
    torch.float32 = dtype       # the official code casts to torch.float32 by name: in f64 the name means f64
    try:
        z, c = inputs(name, g)
        z, c = z.to(dtype).requires_grad_(True), c.to(dtype)
        out, kw = {"ref.z": z}, dict(force_fp32=True)
        if g.c_dim:
            out["ref.c"] = c
        feats, styles, hooks = {}, {}, []
        for r in g.synthesis.block_resolutions:
            block = getattr(g.synthesis, f"b{r}")
            hooks.append(block.register_forward_hook(lambda m, i, o, r=r: feats.__setitem__(f"ref.feature.b{r}", o[0])))
            for part in ("conv0", "conv1", "torgb"):
                if hasattr(block, part):
                    hooks.append(getattr(block, part).affine.register_forward_hook(
                        lambda m, i, o, k=f"ref.style.b{r}.{part}": styles.__setitem__(k, o)))
        noise = {}
        for key, buf in g.synthesis.named_buffers():
            if key.endswith("noise_const"):
                buf.requires_grad_(True)
                buf.grad = None
                noise[key[:-len(".noise_const")]] = buf
        params = dict(g.named_parameters())
        probes = [] if light else weight_probes(g)
        for p in params.values():
            p.requires_grad_(True)
            p.grad = None

        ws = g.mapping(z, c, skip_w_avg_update=True)
        ws.retain_grad()
        image = g.synthesis(ws, noise_mode="const", **kw)
        for h in hooks:
            h.remove()
        out["ref.w"], out["ref.image.const"] = ws, image
        out |= styles
        out |= {k: v for k, v in feats.items() if not light and v.shape[-1] <= 16}
        with torch.no_grad():
            wt = g.mapping(z, c, truncation_psi=PSI, truncation_cutoff=CUTOFF)
            out["ref.w_trunc"] = wt
            out["ref.w_trunc_all"] = g.mapping(z, c, truncation_psi=PSI)
            out["ref.image.trunc"] = g.synthesis(wt, noise_mode="const", **kw)
            if not light:
                out["ref.image.none"] = g.synthesis(ws, noise_mode="none", **kw)
        if target is None:
            r = rng(name + ".target")
            target = torch.from_numpy(r.uniform(-1, 1, tuple(image.shape)).astype(np.float32))
        if name in LIGHT:
            target = out["ref.image.trunc"].to(real)          # stored once: the target is the truncated image
        else:
            out["ref.target"] = target
        loss = (image - target.to(dtype)).square().mean()
        loss.backward()
        out["ref.loss"] = loss.reshape(1)
        out["ref.grad.ws"], out["ref.grad.z"] = ws.grad, z.grad
        for key, buf in noise.items():
            if not light or buf.shape[-1] <= 32:
                out[f"ref.grad.noise.{key}"] = buf.grad
        for key in probes:
            if key in params:
                out[f"ref.grad.weight.{key}"] = params[key].grad
        return {k: v.detach().clone() for k, v in out.items()}
    finally:
        torch.float32 = real
        for buf in noise.values():
            buf.requires_grad_(False)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--official", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--only")
    a = a.parse_args()
    networks = official(a.official)
    for name in CASES:
        if a.only and a.only != name:
            continue
        z, c, w, res, ch, layers, lr, arch, base, cmax, clamp, n = CASES[name]
        g = build(networks, name)
        weights = {k: v.clone() for k, v in g.state_dict().items() if not k.endswith("resample_filter")}
        single = evaluate(g, name, torch.float32)
        double = evaluate(g, name, torch.float64)
        dev = {}
        for k, v in double.items():
            scale = max(v.abs().max().item(), 1e-30)
            dev[k] = float(f"{(single[k].double() - v).abs().max().item() / scale:.2e}")
            assert dev[k] < 2e-4, (name, k, dev[k])
        for k, v in double.items():
            assert torch.isfinite(v).all() and v.abs().max() > 0, (name, k)
        worst = max(dev, key=dev.get)
        print(name, "num_ws", g.num_ws, "peak", round(double["ref.image.const"].abs().max().item(), 3),
              "trunc peak", round(double["ref.image.trunc"].abs().max().item(), 3),
              "loss", round(double["ref.loss"].item(), 4), "worst f32 deviation", worst, dev[worst])
        meta = {"format": 1, "family": "stylegan2", "config": {
            "z_dim": z, "c_dim": c, "w_dim": w, "img_resolution": res, "img_channels": ch, "num_ws": g.num_ws,
            "mapping_layers": layers, "mapping_lr_multiplier": lr, "architecture": arch,
            "resample_filter": [1, 3, 3, 1], "conv_clamp": clamp}}
        ref = {"truncation_psi": PSI, "truncation_cutoff": CUTOFF, "channel_base": base, "channel_max": cmax,
               "target": "ref.image.trunc" if name in LIGHT else "ref.target",
               "loss": "mean over all elements of (ref.image.const - target)^2, noise const, psi 1"}
        write_tensors(os.path.join(a.out, name + ".safetensors"), {**weights, **double},
                      {"gannet": meta, "reference": ref, "deviation": dev})


if __name__ == "__main__":
    main()
