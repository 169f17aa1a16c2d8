"""stylegan2-pytorch of lucidrains by its official code, on small random networks.

    python lucidrains_stylegan2.py --official CHECKOUT --out ../../tests/reference/lucidrains_stylegan2

CHECKOUT is lucidrains/stylegan2-pytorch (commit ce7f830). Needs einops and kornia; what it imports for training alone
is replaced by empty modules.
"""
import argparse
import os

import common
import torch
import waves

# Name, side, settings of the generator, layers of the mapping network, its multiplier, stride.
CASES = [
    ("plain_16", 16, {}, 8, 0.1, 1),
    ("plain_64", 64, {"network_capacity": 1, "fmap_max": 12}, 2, 0.2, 2),
    ("transparent_32", 32, {"transparent": True, "network_capacity": 1}, 3, 0.1, 1),
    ("attention_16", 16, {"attn_layers": [1]}, 2, 0.1, 1),
    ("no_const_32", 32, {"no_const": True, "network_capacity": 1, "transparent": True}, 2, 0.1, 1),
]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--official", required=True)
    p.add_argument("--out", required=True)
    args = p.parse_args()
    os.makedirs(args.out, exist_ok=True)
    code = waves.lucidrains(args.official, "stylegan2_pytorch")
    for name, side, settings, depth, multiplier, stride in CASES:
        dim = 6
        mapping = code.StyleVectorizer(dim, depth, lr_mul=multiplier)
        net = code.Generator(side, dim, **{"network_capacity": 2, **settings})
        normal = waves.fill(name, net)
        for layer in mapping.net:
            if hasattr(layer, "weight"):
                normal(layer.weight, 0, 1.7 / (multiplier * dim ** 0.5))
                normal(layer.bias, 0, 0.1 / multiplier)
        for k, p in net.named_parameters():
            if k == "initial_block":
                normal(p, 0, 1)
            elif "to_noise" in k:
                normal(p, 0, 0.2)
            elif k.endswith((".norm.g", ".norm.b")):
                normal(p, 1 if k.endswith("g") else 0, 0.3)
        z, _, _ = waves.codes(name, dim)
        noise = waves.wave(0, (1, side, side, 1)).expand(2, side, side, 1)
        seen = {}

        def run(z):
            w = mapping(z)
            ws = code.styles_def_to_tensor([(w, net.num_layers)])
            for key, t in [("w", w), ("ws", ws)]:
                t.retain_grad()
                seen[key] = t
            return net(ws, noise) * 2 - 1

        with torch.no_grad():
            scale = 0.5 / run_plain(code, mapping, net, z, noise).abs().max()
            for block in net.blocks:
                block.to_rgb.conv.weight *= scale
        last = len(net.blocks) - 1
        names = ["initial_conv.weight", "initial_conv.bias", "blocks.0.conv1.weight", "blocks.0.to_style1.bias",
                 f"blocks.{last}.conv2.weight", f"blocks.{last}.to_noise2.weight", "blocks.1.to_noise1.bias",
                 "blocks.1.to_rgb.conv.weight", "blocks.1.to_rgb.to_style.weight"]
        names.append("to_initial_block.weight" if settings.get("no_const") else "initial_block")
        params = dict(net.named_parameters())
        names += [k for k in params if k.startswith("attns.") and k.endswith(("norm.g", "net.0.weight", "fn.0.weight"))]
        weights = {"synthesis." + k: params[k] for k in names}
        weights["mapping.fc0.weight"] = mapping.net[0].weight
        weights[f"mapping.fc{depth - 1}.bias"] = mapping.net[2 * (depth - 1)].bias
        found = waves.numbers(z, run, weights, stride)
        common.wave_loss(run(z)).backward()
        found.update({"w": seen["w"].detach(), "ws": seen["ws"].detach(), "grad.w": seen["w"].grad,
                      "grad.ws": seen["ws"].grad})
        channels = 4 if settings.get("transparent") else 3
        reference = waves.reference("lucidrains/stylegan2-pytorch@ce7f830", "lucidrains-stylegan2", stride, side,
                                    channels, dim, num_ws=len(net.blocks))
        stored = {f"GAN.{part}.{k}": v for part, m in [("SE", mapping), ("GE", net)] for k, v in m.state_dict().items()}
        common.write_case(args.out, name, stored, found, reference, {"lr_mlp": multiplier, "image_size": side})


def run_plain(code, mapping, net, z, noise):
    return net(code.styles_def_to_tensor([(mapping(z), net.num_layers)]), noise)


if __name__ == "__main__":
    main()
