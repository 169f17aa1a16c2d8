"""StyleGAN as lernapparat/lernapparat converts it, by the code of its notebook, on small random networks.

    python lernapparat.py --notebook CHECKOUT/style_gan/pytorch_style_gan.ipynb --out ../../tests/reference/stylegan1

Its mapping network has fixed sizes; the text of its cell gets other ones. Noise maps are no part of its files: the
reference runs with waves.
"""
import argparse
import json
from collections import OrderedDict

import common
import numpy as np
import torch
import waves

CODE = "lernapparat/lernapparat@541b6b1"
Z = 6
# From 128 pixels on upsampling is fused.
CASES = {"lernapparat_32": (32, 3, 1, dict(fmap_base=128, fmap_max=6)),
         "lernapparat_128": (128, 1, 8, dict(fmap_base=256, fmap_max=4))}


def classes(notebook, rows):
    with open(notebook) as f:
        cells = ["".join(c["source"]) for c in json.load(f)["cells"] if c["cell_type"] == "code"]
    space = {"torch": torch, "nn": torch.nn, "F": torch.nn.functional, "np": np, "OrderedDict": OrderedDict}
    for cell in cells:
        if cell.startswith("class "):
            cell = cell.replace("MyLinear(512, 512", f"MyLinear({Z}, {Z}").replace("expand(-1, 18, -1)", f"expand(-1, {rows}, -1)")
            exec(compile(cell, "notebook", "exec"), space)
    return space


def fill(net, name):
    r = common.rng(name)
    with torch.no_grad():
        for key, p in net.named_parameters():
            x = r.standard_normal(tuple(p.shape))
            if "mapping" in key:
                x *= 20.0 if key.endswith("bias") else 100.0
            elif "noise" in key:
                x = np.sign(x) * (0.1 + 0.1 * abs(x))
            elif key.endswith("bias"):
                x *= 0.3
            elif "torgb" in key:
                x *= 0.4
            p.copy_(torch.from_numpy(x))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--notebook", required=True)
    a.add_argument("--out", required=True)
    a = a.parse_args()
    for name, (side, channels, stride, sizes) in CASES.items():
        rows = 2 * (side.bit_length() - 1) - 2
        space = classes(a.notebook, rows)
        net = torch.nn.Sequential(OrderedDict([
            ("g_mapping", space["G_mapping"]()),
            ("g_synthesis", space["G_synthesis"](dlatent_size=Z, num_channels=channels, resolution=side, **sizes))]))
        fill(net, name)
        noises = [m for m in net.modules() if isinstance(m, space["NoiseLayer"])]
        for k, layer in enumerate(noises):
            edge = 4 << k // 2
            layer.noise = waves.wave(k, (1, 1, edge, edge))
        z = torch.from_numpy(common.rng(name + " z").standard_normal((2, Z))).float()
        probes = {"synthesis.b4.const": "g_synthesis.blocks.4x4.const",
                  "synthesis.b8.conv0.weight": "g_synthesis.blocks.8x8.conv0_up.weight",
                  f"synthesis.b{side}.conv0.weight": f"g_synthesis.blocks.{side}x{side}.conv0_up.weight",
                  "synthesis.b8.conv1.noise_strength": "g_synthesis.blocks.8x8.epi2.top_epi.noise.weight",
                  "synthesis.b4.conv0.affine.weight": "g_synthesis.blocks.4x4.epi1.style_mod.lin.weight",
                  f"synthesis.b{side}.torgb.weight": "g_synthesis.torgb.weight", "mapping.fc0.bias": "g_mapping.dense0.bias"}
        params = dict(net.named_parameters())
        found = waves.numbers(z, lambda z: net(z), {}, stride)
        wanted = {ours: params[theirs] for ours, theirs in probes.items()}
        loss = common.wave_loss(net(z))
        for (ours, p), grad in zip(wanted.items(), torch.autograd.grad(loss, list(wanted.values()))):
            found["grad.weight." + ours] = grad[0] if ours.endswith("const") else grad
        ws = net.g_mapping(z).detach().clone().requires_grad_(True)
        common.wave_loss(net.g_synthesis(ws)).backward()
        found |= {"w": ws.detach()[:, 0], "ws": ws.detach(), "grad.ws": ws.grad, "grad.w": ws.grad.sum(1)}
        spec = {"width": side, "height": side, "channels": channels, "z_dim": Z, "w_dim": Z, "c_dim": 0, "num_ws": rows}
        reference = {"code": CODE, "family": "stylegan1", "noise": "waves", "stride": stride, "tolerance": 1e-3,
                     "spec": spec}
        common.write_case(a.out, name, net.state_dict(), found, reference)


if __name__ == "__main__":
    main()
