"""lightweight-gan by its official code, on small random networks.

    python lightweight.py --official CHECKOUT --out ../../tests/reference/lightweight_gan

CHECKOUT is lucidrains/lightweight-gan (commit efbec45). Needs einops and kornia; what it imports for training alone is
replaced by empty modules.
"""
import argparse
import os

import common
import torch
import waves


# Name, side, antialias, settings of the generator, stride of the stored picture.
CASES = [
    ("plain_32", 32, False, {}, 1),
    ("plain_128", 128, False, {}, 4),
    ("frequency_128", 128, True, {"freq_chan_attn": True, "transparent": True, "fmap_inverse_coef": 7}, 8),
    ("attention_32", 32, True, {"attn_res_layers": [8], "greyscale": True}, 1),
    ("attention_64", 64, False, {"attn_res_layers": [16], "transparent": True}, 2),
    ("plain_512", 512, False, {}, 16),
]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--official", required=True)
    p.add_argument("--out", required=True)
    args = p.parse_args()
    os.makedirs(args.out, exist_ok=True)
    code = waves.lucidrains(args.official, "lightweight_gan")
    blur = code.Blur
    for name, side, antialias, settings, stride in CASES:
        code.Blur = blur if antialias else torch.nn.Identity
        z_dim = 4 if "attention" in name else 6
        fmap_max = 16 if settings.get("freq_chan_attn") else 4
        net = code.Generator(image_size=side, latent_dim=z_dim, fmap_max=fmap_max, **settings)
        noisy = {k for k, p in net.named_parameters() if p.shape == (1,) and k.startswith("layers.") and ".0.3." in k}
        normal = waves.fill(name, net, [lambda k: k in noisy])
        for k, p in net.named_parameters():
            if k.endswith((".norm.g", ".norm.b")):
                normal(p, 1 if k.endswith("g") else 0, 0.3)
        z, many, _ = waves.codes(name, z_dim)
        waves.statistics(net, normal, lambda: net(many))

        def run(z):
            with waves.drawn_as_waves():
                return net(z) * 2 - 1

        with torch.no_grad():
            scale = 0.5 / run(z).abs().max()
            net.out_conv.weight *= scale
            net.out_conv.bias.copy_(net.out_conv.bias * scale + 0.4)
        params = dict(net.named_parameters())
        last = len(net.layers) - 1
        names = ["initial_conv.0.weight", "initial_conv.0.bias", "layers.0.0.0.net.0.weight", "layers.0.0.2.1.weight",
                 "layers.1.0.2.1.bias", "layers.0.0.3.weight", "layers.1.0.4.bias", f"layers.{last}.0.2.1.weight",
                 "out_conv.weight"]
        names += [k for k in params if k.endswith(".1.to_k.weight") or k.endswith(".1.net.0.weight")]
        names += [k for k in params if k.endswith(("norm.g", "to_lin_kv.net.0.weight", "to_kv.weight", "to_out.bias"))]
        found = waves.numbers(z, run, {k: params[k] for k in names}, stride)
        reference = waves.reference("lucidrains/lightweight-gan@efbec45", "lightweight-gan", stride, side,
                                    net.out_conv.weight.shape[0], z_dim)
        common.write_case(args.out, name, waves.stored(net, "GAN.GE."), found, reference)


if __name__ == "__main__":
    main()
