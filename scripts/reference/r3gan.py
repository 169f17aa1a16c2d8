"""R3GAN parity: the official generator on small random networks, its pictures and its gradients.

    python r3gan.py --official CHECKOUT --out tests/reference/r3gan [--pickles DIR]

CHECKOUT is a clone of brownvc/R3GAN, kept outside this repository. The networks run in f32: the bfloat16 flags of the
stages change the picture by rounding alone. A case's file has the names of a training snapshot, `G_ema.Model.…`, with
a weight of a discriminator beside them, and one case another generator under `G.`: nothing may take these. With
--pickles the official modules are pickled into DIR as its training loop does it (plain pickles of whole modules,
optimizer states beside them), with bfloat16 flags; never commit one.
"""
import argparse
import copy
import os
import pickle

import torch

from common import official, rng, wave_loss, write_case

CODE = "brownvc/R3GAN@19a7ddf"
# name: z, classes, size of their embedding, widths, groups, blocks, factor of the inner width, the filter
CASES = {
    "r3gan_8":     (12, 0, 0, [16, 12], [2, 3], [2, 1], 2, [1, 2, 1]),
    "r3gan_32":    (10, 0, 0, [12, 12, 8, 8], [3, 4, 2, 1], [1, 2, 1, 1], 2, [1, 2, 1]),
    "r3gan_8_c3":  (9, 3, 6, [12, 12], [2, 3], [1, 1], 1, [1, 4, 6, 4, 1]),
    "r3gan_16_c5": (8, 5, 7, [15, 12, 12], [5, 4, 2], [2, 1, 1], 2, [1, 2, 1]),
}


def settings(name):
    z, classes, size, widths, groups, blocks, factor, kernel = CASES[name]
    kw = dict(NoiseDimension=z, WidthPerStage=widths, CardinalityPerStage=groups, BlocksPerStage=blocks,
              ExpansionFactor=factor, ResamplingFilter=kernel, c_dim=classes, img_resolution=4 << (len(widths) - 1))
    return kw | (dict(ConditionEmbeddingDimension=size) if classes else {})


def fill(g, r):
    """Random numbers everywhere: the official start has last layers and biases of zero."""
    with torch.no_grad():
        for key, t in g.named_parameters():
            x = torch.from_numpy(r.standard_normal(tuple(t.shape))).float()
            fan = t[0].numel() if t.dim() > 1 else 1
            t.copy_(x * 0.2 if key.endswith("Bias") else x if key.endswith("Basis") else x / fan ** 0.5)
    return g


def probes(g):
    """Official and our names of the weights whose gradients are stored."""
    pairs = [("MainLayers.0.Layers.0.Basis", "stages.0.basis"),
             ("MainLayers.0.Layers.0.LinearLayer.weight", "stages.0.linear.weight"),
             ("MainLayers.0.Layers.1.LinearLayer2.Layer.weight", "stages.0.blocks.0.conv2.weight"),
             ("MainLayers.1.Layers.1.LinearLayer1.Layer.weight", "stages.1.blocks.0.conv1.weight"),
             ("MainLayers.1.Layers.1.LinearLayer3.Layer.weight", "stages.1.blocks.0.conv3.weight"),
             ("MainLayers.1.Layers.1.NonLinearity1.Bias", "stages.1.blocks.0.bias1"),
             ("MainLayers.1.Layers.1.NonLinearity2.Bias", "stages.1.blocks.0.bias2"),
             ("MainLayers.1.Layers.0.LinearLayer.Layer.weight", "stages.1.conv.weight"),
             ("AggregationLayer.Layer.weight", "rgb.weight"), ("EmbeddingLayer.weight", "embed.weight")]
    known = dict(g.Model.named_parameters())
    return [(known[a], b) for a, b in pairs if a in known]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--official", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--pickles")
    a = a.parse_args()
    nets = official(a.official)
    for name in CASES:
        r = rng(name)
        kw = settings(name)
        make = lambda flags=(): fill(nets.Generator(**kw, FP16Stages=list(flags)), r)
        g, other = make(), make()
        z = torch.from_numpy(r.standard_normal((2, g.z_dim))).float().requires_grad_(True)
        labels = torch.zeros(2, 0)
        if g.c_dim:
            labels = torch.from_numpy(r.uniform(-1, 1, (2, g.c_dim))).float()   # the second label is dense
            labels[0] = torch.eye(g.c_dim)[1]
        labels.requires_grad_(True)
        with torch.no_grad():
            g.Model.AggregationLayer.Layer.weight.mul_(1.3 / g(z, labels).abs().max())
        image = g(z, labels)
        loss = wave_loss(image)
        loss.backward()
        numbers = {"z": z, "image": image, "loss": loss.reshape(1), "grad.z": z.grad}
        numbers |= {"labels": labels, "grad.labels": labels.grad} if g.c_dim else {}
        numbers |= {"grad.weight." + ours: p.grad for p, ours in probes(g)}
        side = kw["img_resolution"]
        spec = dict(width=side, height=side, channels=3, z_dim=g.z_dim, w_dim=g.z_dim, c_dim=g.c_dim, num_ws=0)
        stages = {k: kw[k][::-1] for k in ("WidthPerStage", "CardinalityPerStage", "BlocksPerStage")}
        critic = fill(nets.Discriminator(**stages, ExpansionFactor=kw["ExpansionFactor"], c_dim=0, img_resolution=side,
                                         FP16Stages=[]), r)
        weights = {"G_ema." + k: v for k, v in g.state_dict().items()}
        weights |= {"G." + k: v for k, v in other.state_dict().items() if name == "r3gan_8_c3"}
        weights["D.Model.ExtractionLayer.Layer.weight"] = critic.Model.ExtractionLayer.Layer.weight
        write_case(a.out, name, weights, numbers,
                   {"code": CODE, "family": "r3gan", "noise": "none", "spec": spec})
        if a.pickles:
            os.makedirs(a.pickles, exist_ok=True)
            ema = copy.deepcopy(g).eval().requires_grad_(False)
            for stage in ema.Model.MainLayers[1:]:
                stage.DataType = torch.bfloat16
            opt = torch.optim.Adam(g.parameters(), lr=1e-3)
            g.zero_grad()
            wave_loss(g(z, labels)).backward()
            opt.step()
            data = dict(G=other, D=critic, G_ema=ema, cur_nimg=1000, G_opt_state=opt.state_dict(),
                        training_set_kwargs=dict(path="x.zip", use_labels=g.c_dim > 0, resolution=side))
            with open(os.path.join(a.pickles, name + ".pkl"), "wb") as f:
                pickle.dump(data, f)


if __name__ == "__main__":
    main()
