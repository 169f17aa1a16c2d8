"""StyleGAN-Human v3 parity: the official StyleGAN3 for rectangles, half as wide as high, on small random networks.

    python styleganhuman.py --official CHECKOUT --out tests/reference/styleganhuman [--pickles DIR]

CHECKOUT is a clone of stylegan-human/StyleGAN-Human, kept outside this repository. The rest is as in styleganxl.py.
"""
import argparse
import os
import sys

import torch

from common import official, rng, wave_loss, write_case
from styleganxl import PSI, R, T, fill, moved, place, save

CODE = "stylegan-human/StyleGAN-Human@a6a162a"
# name: z, w, height, layers of the mapping network, settings
CASES = {
    "human_t_32": (8, 10, 32, 2, T | dict(num_layers=5, channel_base=64, channel_max=7)),
    "human_r_64": (7, 8, 64, 3, R | dict(num_layers=6, channel_base=128, channel_max=6)),
}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--official", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--pickles")
    a = a.parse_args()
    sys.path.insert(0, os.path.abspath(a.official))     # the modules that both of its training codes share
    nets = official(os.path.join(a.official, "training_scripts", "sg3"), "networks_stylegan3")
    for name, (z_dim, w_dim, side, layers, kw) in CASES.items():
        torch.manual_seed(int(rng(name + ".freqs").randint(1 << 30)))
        g = fill(nets.Generator(z_dim=z_dim, c_dim=0, w_dim=w_dim, img_resolution=side, img_channels=3, square=False,
                                mapping_kwargs=dict(num_layers=layers), **kw), name)
        z = torch.from_numpy(rng(name + ".inputs").standard_normal((2, z_dim))).float().requires_grad_(True)
        c = torch.zeros(2, 0)
        last = getattr(g.synthesis, g.synthesis.layer_names[-1])
        with torch.no_grad():
            peak = g(z, c).abs().max()
            last.weight.mul_(1.3 / peak)
            last.bias.mul_(1.3 / peak)
            truncated = g.mapping(z, c, truncation_psi=PSI)
        weights = {k: v.clone() for k, v in g.state_dict().items()}
        transform = place(g, moved())
        ws = g.mapping(z, c)
        ws.retain_grad()
        image = g.synthesis(ws)
        loss = wave_loss(image)
        loss.backward()
        numbers = {"z": z, "ws": ws, "w": ws[:, 0], "image": image, "loss": loss.reshape(1), "grad.z": z.grad,
                   "grad.ws": ws.grad, "grad.w": ws.grad.sum(1), "psi": torch.tensor([PSI]), "truncated": truncated,
                   "transform": transform[None], "grad.transform": transform.grad[None]}
        names = g.synthesis.layer_names
        probes = [f"synthesis.{n}.weight" for n in (names[0], names[-2], names[-1])] + ["synthesis.input.weight"]
        numbers |= {"grad.weight." + k: g.get_parameter(k).grad for k in probes}
        spec = dict(width=side // 2, height=side, channels=3, z_dim=z_dim, w_dim=w_dim, c_dim=0, num_ws=g.num_ws)
        print(name, names)
        write_case(a.out, name, weights, numbers, {"code": CODE, "family": "stylegan3", "noise": "none", "spec": spec})
        if a.pickles:
            g.requires_grad_(False)
            del g.synthesis.input.transform
            g.synthesis.input.register_buffer("transform", torch.eye(3))
            save(g, os.path.join(a.pickles, name + ".pkl"))


if __name__ == "__main__":
    main()
