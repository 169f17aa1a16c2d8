"""StyleGAN-XL parity: official stems and superresolution generators on small random networks, pictures and gradients.

    python styleganxl.py --official CHECKOUT --out tests/reference/styleganxl [--pickles DIR]

CHECKOUT is a clone of autonomousvision/stylegan-xl, kept outside this repository. Its mapping network reads the table
of the classes from a file of its working folder, and a superresolution generator its stem from a pickle: both are made
here, the table with random numbers. The official code takes the row of the largest label; `grad.labels` is that of a
product of labels and table, which is the same for one-hot labels. With --pickles the official generators are pickled
into DIR, their source inside: never commit one.
"""
import argparse
import copy
import os
import pickle
import tempfile

import numpy as np
import torch

from common import fill_stylegan3, lengths, official, rng, wave_loss, write_case

CODE = "autonomousvision/stylegan-xl@4241ff9"
PSI = 0.7
R = dict(conv_kernel=1, use_radial_filters=True)
T = dict(conv_kernel=3, use_radial_filters=False)
ROWS, SIZE = 6, 5            # of the table
# name: z, classes, w, side of the stem, its settings, (factor, layers) of each head, whether the picture is moved
CASES = {
    "xl_t_16":    (8, 0, 10, 16, T | dict(num_layers=4, channel_base=64, channel_max=7), [], True),
    "xl_r_16_c4": (9, 4, 8, 16, R | dict(num_layers=5, channel_base=96, channel_max=9), [], False),
    "xl_t_32_c6": (8, 6, 8, 32, T | dict(num_layers=4, channel_base=64, channel_max=6), [], True),
    "xl_t_32":    (8, 0, 8, 16, T | dict(num_layers=4, channel_base=64, channel_max=6), [(2, 3)], True),
    "xl_r_32_c3": (8, 3, 10, 16, R | dict(num_layers=4, channel_base=64, channel_max=8), [(2, 4)], True),
    "xl_t_64_c2": (7, 2, 8, 16, T | dict(num_layers=4, channel_base=96, channel_max=5), [(2, 4), (2, 3)], False),
    "xl_r_64":    (8, 0, 9, 16, R | dict(num_layers=4, channel_base=96, channel_max=6), [(4, 4)], False),
}


def fill(g, name):
    fill_stylegan3(g, rng(name), lambda t, x: x * (lengths(t.numpy()) / lengths(x)))
    return g.eval()


def save(g, path):
    with open(path, "wb") as f:
        pickle.dump(dict(G=copy.deepcopy(g), D=None, G_ema=copy.deepcopy(g), training_set_kwargs=None), f)


def build(nets, name, folder):
    """The official generator, made as its training does: a stem, and on its pickle one head after another."""
    z, classes, w, side, kw, heads, _ = CASES[name]
    torch.manual_seed(int(rng(name + ".freqs").randint(1 << 30)))
    g = nets.Generator(z_dim=z, c_dim=classes, w_dim=w, img_resolution=side, img_channels=3, mapping_kwargs={}, **kw)
    for factor, layers in heads:
        path = os.path.join(folder, "stem.pkl")
        save(g, path)
        side *= factor
        g = nets.SuperresGenerator(img_resolution=side, path_stem=path, head_layers=layers, up_factor=factor)
    return fill(g, name)


def moved():
    a = np.deg2rad(20.0)
    move = np.array([[np.cos(a), np.sin(a), 0.1], [-np.sin(a), np.cos(a), -0.05], [0, 0, 1]])
    return torch.from_numpy(np.linalg.inv(move)).float()


def place(g, transform):
    """Makes the transform of the picture an unknown."""
    del g.synthesis.input._buffers["transform"]
    g.synthesis.input.transform = transform.requires_grad_(True)
    return transform


def schemes(g):
    """Filters of two more sampling schemes beside those in use, as some published files have them."""
    for layer in g.synthesis.layer_names[1:3]:
        layer = getattr(g.synthesis, layer)
        kept = {k: getattr(layer, k) for k in ("in_sampling_rate", "out_sampling_rate", "in_cutoff", "out_cutoff",
                                               "in_half_width", "out_half_width")}
        for suffix in ("4", "16"):
            layer.init_upfirdn(*kept.values(), layer.in_size, layer.out_size, filt_suff=suffix)


def case(nets, name, folder, out, pickles):
    g = build(nets, name, folder)
    r = rng(name + ".inputs")
    z = torch.from_numpy(r.standard_normal((2, g.z_dim))).float().requires_grad_(True)
    c = torch.eye(g.c_dim)[[g.c_dim - 1, 0]] if g.c_dim else torch.zeros(2, 0)
    if name in ("xl_t_32", "xl_r_16_c4"):
        schemes(g)
    weights = {k: v.clone() for k, v in g.state_dict().items()}
    transform = place(g, moved() if CASES[name][6] else torch.eye(3))
    with torch.no_grad():
        # The picture is linear in the last layer: it reaches 1.3.
        peak = g(z, c).abs().max()
        last = "synthesis." + g.synthesis.layer_names[-1]
        for part in ("weight", "bias"):
            g.get_parameter(f"{last}.{part}").mul_(1.3 / peak)
            weights[f"{last}.{part}"] = g.get_parameter(f"{last}.{part}").clone()
        truncated = g.mapping(z, c, truncation_psi=PSI)
    rows = []
    if g.c_dim:
        def keep(module, inputs, output):
            output.retain_grad()
            rows.append(output)
        g.mapping.embed.register_forward_hook(keep)
    ws = g.mapping(z, c)
    ws.retain_grad()
    image = g.synthesis(ws)
    loss = wave_loss(image)
    loss.backward()
    numbers = {"z": z, "ws": ws, "w": ws[:, 0], "image": image, "loss": loss.reshape(1), "grad.z": z.grad,
               "grad.ws": ws.grad, "grad.w": ws.grad.sum(1), "psi": torch.tensor([PSI]), "truncated": truncated}
    if CASES[name][6]:
        numbers |= {"transform": transform[None], "grad.transform": transform.grad[None]}
    if g.c_dim:
        table = g.mapping.embed.weight[:g.c_dim]
        numbers |= {"labels": c, "grad.labels": rows[0].grad @ table.t()}
    names = g.synthesis.layer_names
    probed = [f"synthesis.{n}" for n in (names[0], names[-2], names[-1])]
    probes = [f"{n}.{p}" for n in probed for p in ("weight", "bias", "affine.weight")]
    probes += ["synthesis.input.weight", "mapping.fc0.weight", "mapping.fc1.bias"]
    probes += ["mapping.embed.weight", "mapping.embed_proj.weight"] if g.c_dim else []
    numbers |= {"grad.weight." + k: g.get_parameter(k).grad for k in probes}
    side = g.img_resolution
    spec = dict(width=side, height=side, channels=3, z_dim=g.z_dim, w_dim=g.w_dim, c_dim=g.c_dim, num_ws=g.num_ws)
    print(name, names)
    write_case(out, name, weights, numbers, {"code": CODE, "family": "stylegan3", "noise": "none", "spec": spec})
    if pickles:
        g.mapping.embed._forward_hooks.clear()
        g.requires_grad_(False)
        del g.synthesis.input.transform
        g.synthesis.input.register_buffer("transform", torch.eye(3))
        save(g, os.path.join(pickles, name + ".pkl"))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--official", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--pickles")
    a = a.parse_args()
    out, pickles = os.path.abspath(a.out), a.pickles and os.path.abspath(a.pickles)
    if pickles:
        os.makedirs(pickles, exist_ok=True)
    nets = official(a.official, "networks_stylegan3_resetting")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.mkdir("in_embeddings")
        with open("in_embeddings/tf_efficientnet_lite0.pkl", "wb") as f:
            pickle.dump(dict(embed=torch.nn.Embedding(ROWS, SIZE)), f)
        for name in CASES:
            case(nets, name, folder, out, pickles)


if __name__ == "__main__":
    main()
