"""A head on the attribute network's maps: the part that every pixel shows, and where five points are.

The maps of the attribute network stay as they are. Each is brought to one width, enlarged to the
side of the first, and added; two convolutions later there is a logit for every class, and one for
every landmark. DatasetGAN (Zhang et al. 2021) reads segments and points off a generator's maps in
the same way.
"""

import torch
import torch.nn.functional as F
from torch import nn

LEAK = 0.2
CLASSES = ("background", "skin", "clothes", "eye", "teeth", "brow", "hair", "glasses")
TAPS = (0, 2, 4, 6, 8)  # of the attribute network's convolutions: the last of every side
WIDTH = 32
POINTS = 5


class Parts(nn.Module):
    """Maps of the attribute network -> logits [N, classes + points, S, S], S the first map's side."""

    def __init__(self, channels, width=WIDTH, outputs=len(CLASSES) + POINTS):
        super().__init__()
        for i, n in enumerate(channels):
            setattr(self, f"tap{i}", nn.Conv2d(n, width, 1, bias=False))
        self.bias = nn.Parameter(torch.zeros(width))
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Conv2d(width, outputs, 1)
        self.taps = len(channels)

    def forward(self, maps):
        side = maps[0].shape[2:]
        x = 0
        for i, m in enumerate(maps):
            y = getattr(self, f"tap{i}")(m)
            x = x + F.interpolate(y, size=side, mode="bilinear", align_corners=False)
        x = F.leaky_relu(x + self.bias[:, None, None], LEAK)
        return self.out(F.leaky_relu(self.mix(x), LEAK))


def places(logits):
    """Where the landmarks are, [N, points, 2] in shares of the side: the mean place of a softmax."""
    n, k, side, _ = logits.shape
    shares = logits.flatten(2).softmax(2).view(n, k, side, side)
    line = (torch.arange(side) + 0.5) / side
    return torch.stack([shares.sum(2) @ line, shares.sum(3) @ line], 2)
