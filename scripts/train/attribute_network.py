"""The attribute network: plain 3x3 convolutions, a coarse grid of means, one linear layer.

While it is trained every convolution is followed by batch normalisation (Ioffe and Szegedy,
2015). `folded` multiplies that into the convolutions, so a stored network is convolutions only.
"""

import torch
import torch.nn.functional as F
from torch import nn

LEAK = 0.2
# (channels, stride): 128 -> 64, 32, 32, 16, 16, 8, 8, 4, 4 pixels; 1.1 M weights, 100 M products
PLAN = ((24, 2), (48, 2), (48, 1), (96, 2), (96, 1), (160, 2), (160, 1), (192, 2), (192, 1))
GRID = 4


class AttributeNet(nn.Module):
    """[N, 3, R, R] in [-1, 1] -> [N, outputs]: standardised values, or logits.

    The last map is averaged to `grid` x `grid` and flattened channel by channel; where things
    are in the picture reaches the head only through that grid.
    """

    def __init__(self, outputs, plan=PLAN, grid=GRID, normalise=False):
        super().__init__()
        self.plan, self.grid, self.normalise = tuple(map(tuple, plan)), grid, normalise
        n_in = 3
        for i, (n_out, stride) in enumerate(plan):
            conv = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=not normalise)
            nn.init.kaiming_normal_(conv.weight, a=LEAK)
            setattr(self, f"conv{i}", conv)
            if normalise:
                setattr(self, f"norm{i}", nn.BatchNorm2d(n_out, momentum=0.01))
            n_in = n_out
        self.head = nn.Linear(n_in * grid * grid, outputs)

    def taps(self, x):
        """The output of every convolution, after its activation."""
        out = []
        for i in range(len(self.plan)):
            x = getattr(self, f"conv{i}")(x)
            if self.normalise:
                x = getattr(self, f"norm{i}")(x)
            x = F.leaky_relu(x, LEAK)
            out.append(x)
        return out

    def read(self, last):
        """The head's outputs for the last tap."""
        return self.head(F.adaptive_avg_pool2d(last, self.grid).flatten(1))

    def forward(self, x):
        return self.read(self.taps(x)[-1])


@torch.no_grad()
def folded(net):
    """The same function as `net` in evaluation mode, without batch normalisation."""
    plain = AttributeNet(net.head.out_features, net.plan, net.grid)
    for i in range(len(net.plan)):
        conv, norm = getattr(net, f"conv{i}"), getattr(net, f"norm{i}")
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        target = getattr(plain, f"conv{i}")
        target.weight.copy_(conv.weight * gain[:, None, None, None])
        target.bias.copy_(norm.bias - norm.running_mean * gain)
    plain.head.load_state_dict(net.head.state_dict())
    return plain.eval().requires_grad_(False)
