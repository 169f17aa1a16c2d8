"""FastGAN and the generator of projected GAN by their official code, on small random networks.

    python fastgan.py --fastgan CHECKOUT --projected CHECKOUT --out ../../tests/reference/fastgan

The official FastGAN repository was emptied in 2025; its last commit with code is 1a848e5, which forks keep.
"""
import argparse
import importlib
import os
import sys

import common
import torch
import waves

CODE = "odegeasslbc/FastGAN-pytorch@1a848e5"


class Table:
    """Stands for `ngf`: the official code multiplies it by its table of factors and gets these channels."""

    def __init__(self, channels):
        self.channels = channels

    def __rmul__(self, factor):
        return self.channels[factor]

    __mul__ = __rmul__


def fit(conv, image):
    """Makes the picture fill [-1, 1]: the last layer's σ is u·W·v, whatever the length of u."""
    conv.weight_u.mul_(float(image.detach().abs().max()) / 0.9)


def weights_of(net, names, outer=""):
    """Parameters by gannet's names, which lack projected GAN's outer `synthesis.`"""
    params = dict(net.named_parameters())
    return {n: params[outer + n] for n in names}


def original(models, name, table, side, channels, z_dim):
    """A network of the official FastGAN, codes, a run that draws its noise as waves, and the generator of the codes."""
    net = models.Generator(ngf=table, nz=z_dim, nc=channels, im_size=side)
    strengths = {k for k, p in net.named_parameters()
                 if p.shape == (1,) and k.startswith("feat_") and k.endswith((".2.weight", ".6.weight"))}
    normal = waves.fill(name, net, [lambda k: k in strengths])
    z, many, r = waves.codes(name, z_dim)
    waves.statistics(net, normal, lambda: net(many))

    def run(z):
        with waves.drawn_as_waves():
            return net(z)[0]

    fit(net.to_big, run(z))
    return net, z, run, r


def fastgan(models, out):
    wide = Table({16: 12, 8: 8, 4: 6, 2: 4, 1: 3, 0.5: 3, 0.25: 2, 0.125: 2})
    z_dim, channels = 6, 3
    for name, side, stride in [("original_256", 256, 8), ("original_1024", 1024, 32)]:
        net, z, run, _ = original(models, name, wide, side, channels, z_dim)
        names = ["init.init.0.weight_orig", "init.init.1.weight", "feat_8.1.weight_orig", "feat_8.2.weight",
                 "feat_16.2.bias", "feat_32.7.weight", "se_64.main.1.weight_orig", "se_256.main.3.weight_orig",
                 "feat_256.1.weight_orig", "to_big.weight_orig"]
        found = waves.numbers(z, run, weights_of(net, names), stride)
        reference = waves.reference(CODE, "fastgan", stride, side, channels, z_dim)
        common.write_case(out, name, waves.stored(net, "g_ema."), found, reference)


def training(models, out):
    """`all_N.pth` as train.py saves it: the averages are a list, everything else is the trained network's."""
    name, side, channels, z_dim, stride = "training_256", 256, 3, 5, 8
    narrow = Table({16: 6, 8: 4, 4: 4, 2: 3, 1: 2, 0.5: 2, 0.25: 2, 0.125: 2})
    net, z, run, r = original(models, name, narrow, side, channels, z_dim)
    averages = [p.data.clone() for p in net.parameters()]
    names = ["init.init.0.weight_orig", "init.init.1.weight", "feat_8.1.weight_orig", "feat_16.2.bias",
             "se_64.main.1.weight_orig", "feat_256.1.weight_orig", "to_big.weight_orig"]
    found = waves.numbers(z, run, weights_of(net, names), stride)
    # The trained parameters are others.
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.from_numpy(0.3 * r.standard_normal(tuple(p.shape))).float())
    d = torch.nn.Conv2d(3, 2, 1)
    with torch.no_grad():
        for p in d.parameters():
            p.copy_(torch.from_numpy(r.standard_normal(tuple(p.shape))).float())
    opt_g = torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(d.parameters(), lr=2e-4, betas=(0.5, 0.999))
    d(torch.ones(1, 3, 2, 2)).sum().backward()
    opt_d.step()
    path = os.path.join(out, name + ".pth")
    torch.save({"g": net.state_dict(), "d": d.state_dict(), "g_ema": averages, "opt_g": opt_g.state_dict(),
                "opt_d": opt_d.state_dict()}, path)
    os.chmod(path, 0o644)
    reference = waves.reference(CODE, "fastgan", stride, side, channels, z_dim)
    common.write_tensors(os.path.join(out, name + ".ref.safetensors"), found, {"reference": reference})
    print(os.path.getsize(path), path)


def projected(networks, out):
    code = "autonomousvision/projected-gan@e1c246b"
    table = Table({16: 10, 8: 8, 4: 6, 2: 4, 1: 3, 0.5: 2, 0.25: 2, 0.125: 2})
    cases = [
        ("projected_full_128", 128, 3, False, 0, 4), ("projected_full_256", 256, 1, False, 0, 8),
        ("projected_lite_128", 128, 3, True, 0, 4), ("projected_lite_512", 512, 3, True, 0, 16),
        ("projected_cond_128", 128, 3, False, 3, 4), ("projected_cond_256", 256, 1, False, 2, 8),
        ("projected_cond_lite_128", 128, 1, True, 2, 4),
    ]
    for name, side, channels, lite, classes, stride in cases:
        z_dim = 5
        # The table of classes has more rows than there are classes.
        more = {"num_classes": classes + 2} if classes else {}
        net = networks.Generator(z_dim=z_dim, c_dim=classes, img_resolution=side, img_channels=channels, ngf=table,
                                 cond=classes > 0, synthesis_kwargs=dict(lite=lite, **more))
        scalar = {k for k, p in net.named_parameters() if p.shape == (1,)}
        normal = waves.fill(name, net, [lambda k: k in scalar])
        z, many, _ = waves.codes(name, z_dim)
        label = lambda n: torch.eye(classes)[torch.arange(n) % classes] if classes else None
        waves.statistics(net, normal, lambda: net(many, label(4)))

        def run(z):
            with waves.drawn_as_waves():
                return net(z, label(len(z)))

        fit(net.synthesis.to_big, run(z))
        names = ["init.init.0.weight_orig", "init.init.1.bias", "se_64.main.1.weight_orig", "to_big.weight_orig",
                 "to_big.bias"]
        if not classes:
            names += ["feat_8.1.weight_orig", "feat_8.2.weight", "feat_64.1.weight_orig"]
        elif lite:
            names += ["embed.weight", "feat_8.conv.weight_orig", "feat_8.bn.gain.weight_orig", "feat_16.bn.bias.bias"]
        else:
            names += ["embed.weight", "feat_8.conv1.weight_orig", "feat_8.noise.weight", "feat_16.bn1.gain.weight_orig",
                      "feat_32.bn2.bias.weight_orig"]
        extra = {"labels": label(2)} if classes else {}
        found = waves.numbers(z, run, weights_of(net, names, "synthesis."), stride, extra)
        reference = waves.reference(code, "fastgan", stride, side, channels, z_dim, classes)
        config = {"z_dim": z_dim, "c_dim": classes, "img_resolution": side, "img_channels": channels}
        common.write_case(out, name, waves.stored(net), found, reference, config)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--fastgan", required=True)
    p.add_argument("--projected", required=True)
    p.add_argument("--out", required=True)
    args = p.parse_args()
    os.makedirs(args.out, exist_ok=True)
    sys.path.insert(0, os.path.abspath(args.fastgan))
    models = importlib.import_module("models")
    fastgan(models, args.out)
    training(models, args.out)
    sys.path.insert(0, os.path.abspath(args.projected))
    projected(importlib.import_module("pg_modules.networks_fastgan"), args.out)


if __name__ == "__main__":
    main()
