"""Train the hypernetwork of a generator on true edits, and write its model file.

    python train_hyper.py --pairs WORK/pairs_fit --data WORK/data --models models/faces \\
        --out WORK/hyper --model models/faces/hyper.safetensors --minutes 50
"""

import torch

import beside
from attributes import load_tensors
from hyper import Hyper, convolutions, finished, settings, stored


class Trainer(beside.Trainer):
    """The hypernetwork, its optimiser, and the pictures."""

    family = "hyper"

    def fresh(self):
        known, _ = load_tensors(self.paths["encoder"])
        widths = [len(known[f"conv{i}.bias"]) for i in range(7)]
        shapes = [layer.weight.shape[:2] for _, layer in convolutions(self.synthesis)]
        net = Hyper(widths, shapes)
        net.grow_from(known)
        return net.to(memory_format=torch.channels_last)

    def drawn(self, net, batch):
        x, y, of, codes, _ = batch
        with torch.autocast("cpu", torch.bfloat16):
            factors = net(x, y)
        return finished(self.synthesis, codes, [(a[of], b[of]) for a, b in factors])

    def scaled(self, share):
        self.ema.pace.mul_(share)

    def stored(self):
        return stored(self.ema)

    def settings(self, resolution, generator_sha256):
        names = [name for name, _ in convolutions(self.synthesis)]
        return settings(self.ema, resolution, names, generator_sha256)


if __name__ == "__main__":
    beside.run(Trainer, beside.parser(__doc__.split("\n")[0]).parse_args(), __file__)
