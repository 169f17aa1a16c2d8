"""Train the feature-residual branch of a generator on true edits, and write its model file.

    python train_residual.py --pairs WORK/pairs_fit --data WORK/data --models models/faces \\
        --out WORK/residual --model models/faces/residual.safetensors --minutes 50

Only the generator's layers from the map on are passed backwards.
"""

import torch

import beside
from attributes import load_tensors
from residual import UP, Branch, finished, reached, settings, stored

SAMPLES = 64  # that say how far the map's channels spread


def parse_arguments():
    options = beside.parser(__doc__.split("\n")[0])
    options.add_argument("--side", type=int, default=32, choices=sorted(UP), help="of the map")
    return options.parse_args()


class Trainer(beside.Trainer):
    """The branch, its optimiser, and the pictures."""

    family = "residual"

    @torch.no_grad()
    def fresh(self):
        side, bench = self.args.side, self.bench
        known, _ = load_tensors(self.paths["encoder"])
        ws = bench.lift(("Z", bench.sample(SAMPLES, self.args.seed)), "W+")
        spread = reached(self.synthesis, ws, side)[0].float().std((0, 2, 3))
        widths = [len(known[f"conv{i}.bias"]) for i in range(7)]
        net = Branch(widths, UP[side], len(spread))
        net.grow_from(known)
        net.spread.copy_(spread)
        return net.to(memory_format=torch.channels_last)

    def drawn(self, net, batch):
        x, y, of, codes, _ = batch
        with torch.no_grad():
            feature, img = reached(self.synthesis, codes, self.args.side)
        with torch.autocast("cpu", torch.bfloat16):
            residual = net(x, y)
        feature = feature + residual.to(feature.dtype)[of]
        return finished(self.synthesis, feature, img, codes, self.args.side)

    def scaled(self, share):
        self.ema.spread.mul_(share)

    def stored(self):
        return stored(self.ema)

    def settings(self, resolution, generator_sha256):
        return settings(self.ema, resolution, self.args.side, generator_sha256)


if __name__ == "__main__":
    beside.run(Trainer, parse_arguments(), __file__)
