"""The encoder: from a picture, and what a code makes now, to a correction of that code.

After e4e (Tov et al. 2021): a base vector for all rows of a W+ code plus small offsets a row, so
that codes stay near W; refined as in ReStyle (Alaluf et al. 2021): w <- w + net(x, G(w)) from the
mean of w on. The trunk starts as the attribute network with more channels: what that one knows of
faces is there at once, the new channels learn to compare picture and reconstruction.
"""

import json

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import nn

LEAK = 0.2
# (channels, stride), the strides of the attribute network: 128 -> 64, 32, 32, 16, 16, 8, 8, 4, 4
PLAN = ((40, 2), (72, 2), (72, 1), (128, 2), (128, 1), (208, 2), (208, 1), (256, 2), (256, 1))
GRID = 4


class Encoder(nn.Module):
    """Pictures x, y [N, 3, R, R] in [-1, 1] -> corrections [N, L, D] of codes that make y.

    `spread` [D] is the standard deviation of w: the heads work in its units. `stored` folds it in.
    """

    def __init__(self, num_ws, w_dim, plan=PLAN, grid=GRID):
        super().__init__()
        self.num_ws, self.w_dim, self.plan, self.grid = num_ws, w_dim, plan, grid
        n_in = 6
        for i, (n_out, stride) in enumerate(plan):
            conv = nn.Conv2d(n_in, n_out, 3, stride, padding=1)
            nn.init.kaiming_normal_(conv.weight, a=LEAK)
            nn.init.zeros_(conv.bias)
            setattr(self, f"conv{i}", conv)
            n_in = n_out
        self.base = nn.Linear(n_in * grid * grid, w_dim)
        self.offsets = nn.Linear(n_in, num_ws * w_dim)
        for head in (self.base, self.offsets):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        self.register_buffer("spread", torch.ones(w_dim))

    def heads(self, x, y):
        """base [N, D] and offsets [N, L, D], in units of `spread`."""
        x = torch.cat([x.clamp(-1, 1), y.clamp(-1, 1)], 1)
        for i in range(len(self.plan)):
            x = F.leaky_relu(getattr(self, f"conv{i}")(x), LEAK)
        base = self.base(F.adaptive_avg_pool2d(x, self.grid).flatten(1))
        offsets = self.offsets(x.mean((2, 3)))
        return base.float(), offsets.float().unflatten(1, (self.num_ws, self.w_dim))

    def forward(self, x, y):
        base, offsets = self.heads(x, y)
        return (base[:, None] + offsets) * self.spread

    @torch.no_grad()
    def grow_from(self, tensors):
        """Take the convolutions of a narrower trunk that reads x alone.

        Its channels come first and do at the start exactly what they did; the others are new.
        """
        for i, (_, stride) in enumerate(self.plan):
            conv, known = getattr(self, f"conv{i}"), tensors[f"conv{i}.weight"]
            n_out, n_in = known.shape[:2]
            conv.weight[:n_out] = 0
            conv.weight[:n_out, :n_in] = known
            conv.bias[:n_out] = tensors[f"conv{i}.bias"]


def stored(net):
    """The tensors of a model file: `spread` folded into the heads, in f16."""
    tensors = {k: t.detach().clone() for k, t in net.state_dict().items() if k != "spread"}
    for name, repeats in (("base", 1), ("offsets", net.num_ws)):
        scale = net.spread.repeat(repeats)
        tensors[f"{name}.weight"] *= scale[:, None]
        tensors[f"{name}.bias"] *= scale
    return {k: t.half() for k, t in tensors.items()}


def settings(net, resolution, generator_sha256, steps):
    """The `config` of a model file."""
    return {
        "input_resolution": resolution,
        "strides": [stride for _, stride in net.plan],
        "leaky": LEAK,
        "grid": net.grid,
        "num_ws": net.num_ws,
        "w_dim": net.w_dim,
        "generator_sha256": generator_sha256,
        "steps": steps,
    }


def load_encoder(path):
    """The network of an `encoder` file, and its settings."""
    with safe_open(path, "pt") as f:
        config = json.loads(f.metadata()["gannet"])["config"]
        tensors = {name: f.get_tensor(name).float() for name in f.keys()}
    plan = [(len(tensors[f"conv{i}.bias"]), s) for i, s in enumerate(config["strides"])]
    net = Encoder(config["num_ws"], config["w_dim"], plan, config["grid"])
    net.load_state_dict(tensors | {"spread": torch.ones(config["w_dim"])})
    return net.eval(), config


@torch.no_grad()
def refine(net, generator, x, steps, dtype=torch.float32):
    """The codes [N, L, D] and the pictures they make after each of `steps` passes on x."""
    ws = generator.broadcast(generator.mapping.w_avg[None]).expand(len(x), -1, -1)
    y, codes, pictures = generator.synthesis(ws[:1], "const", dtype).expand_as(x), [], []
    for _ in range(steps):
        ws = ws + net(x, y)
        y = generator.synthesis(ws, "const", dtype)
        codes.append(ws)
        pictures.append(y)
    return codes, pictures
