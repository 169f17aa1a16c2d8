"""Write a training checkpoint's averaged generator as a gannet model file.

    python export.py --checkpoint WORK/run/last.pt --out models/faces/generator.safetensors

Weights are stored as f16 under the names of the stylegan2-ada-pytorch format. `w_avg` is the
mean of 20,000 mapped latents, not the moving average of training.
"""

import argparse

import torch

from common import save_model
from networks import Generator

W_AVG_SAMPLES = 20_000


@torch.no_grad()
def settle(generator, seed=0):
    """Scale w to unit variance, averaged over its coordinates, and set `w_avg` to its mean.

    Pictures stay the same: the leaky ReLU that ends the mapping passes a positive factor on, and
    the affine layers divide by it. Steps and distances in W then mean what they mean elsewhere.
    """
    mapping = generator.mapping
    rng = torch.Generator().manual_seed(seed)
    w = mapping(torch.randn(W_AVG_SAMPLES, generator.config["z_dim"], generator=rng))
    factor = 1 / w.var(0).mean().sqrt()
    last = getattr(mapping, f"fc{mapping.layers - 1}")
    last.weight.mul_(factor)
    last.bias.mul_(factor)
    for name, weight in generator.synthesis.named_parameters():
        if name.endswith("affine.weight"):
            weight.div_(factor)
    mapping.w_avg.copy_(w.mean(0) * factor)


def describe(generator, name):
    """The `config` of the model file."""
    made = generator.config
    return {
        "name": name,
        "z_dim": made["z_dim"],
        "c_dim": 0,
        "w_dim": made["w_dim"],
        "img_resolution": max(made["channels"]),
        "img_channels": 3,
        "num_ws": generator.synthesis.num_ws,
        "mapping_layers": made["mapping_layers"],
        "mapping_lr_multiplier": 0.01,
        "architecture": "skip",
        "resample_filter": [1, 3, 3, 1],
        "conv_clamp": None,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--name", default="faces")
    parser.add_argument("--seed", type=int, default=1, help="the training's seed, for the record")
    parser.add_argument(
        "--images-before", type=int, default=0, help="pictures seen before the run's own count"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    state = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
    generator = Generator(**state["config"]).eval()
    generator.load_state_dict(state["ema"])
    settle(generator)
    tensors = {name: t.half() for name, t in generator.state_dict().items()}
    for name, t in tensors.items():
        if not t.isfinite().all():
            raise SystemExit(f"{name} does not fit f16")
    provenance = {
        "data": "20,000 rendered faces (CC0 1.0 assets), mirrored at random",
        "images_seen": state["seen"] + args.images_before,
        "script": "scripts/train/train_generator.py",
        "seed": args.seed,
        "licence": "MIT OR Apache-2.0",
    }
    config = describe(generator, args.name)
    save_model(
        args.out, tensors, {"family": "stylegan2", "config": config, "provenance": provenance}
    )
    print(f"{args.out}: {len(tensors)} tensors, {state['seen']} pictures seen")


if __name__ == "__main__":
    main()
