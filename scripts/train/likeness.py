"""How near a code and its picture are to what they should be: the encoder's losses."""

import torch
import torch.nn.functional as F

EPS = 1e-10
SAMPLES = 4000

SIZES = (1, 2, 4, 8)  # the pixel loss compares pictures averaged over squares of these sides


def pixel_loss(made, truth):
    """Mean absolute difference, averaged over the picture at several sizes."""
    difference = made - truth
    return sum(F.avg_pool2d(difference, k).abs().mean() for k in SIZES) / len(SIZES)


def layers_of(generator):
    """The affine maps that read each row of a W+ code: the row's convolutions and toRGB."""
    rows = [[] for _ in range(generator.synthesis.num_ws)]
    for block, start in generator.synthesis.blocks():
        layers = [block.conv1] if block.first else [block.conv0, block.conv1]
        for i, layer in enumerate([*layers, block.torgb]):
            rows[start + i].append(layer.affine)
    return rows


class CodeDistance:
    """Squared distance of W+ codes where it matters: in the styles that the layers take from them.

    Every style counts in units of its own variance over the prior, so the mean of w has distance 1
    to a typical code, and 1 - distance is a share of variance explained. Some of it is taken in
    w itself, which keeps the directions that no layer reads.
    """

    def __init__(self, generator, plain=0.1, seed=3):
        rng = torch.Generator().manual_seed(seed)
        z = torch.randn(SAMPLES, generator.config["z_dim"], generator=rng)
        w = generator.mapping(z.to(generator.mapping.w_avg.device))
        self.spread, self.plain, self.rows = w.std(0), plain, []
        self.sigma = (w - w.mean(0)).square().sum(1).mean().sqrt()  # as the Rust side's
        for affines in layers_of(generator):
            weight = torch.cat([a.weight * a.weight_gain for a in affines])  # [SD]
            spread = (w @ weight.t()).std(0)  # a style that hardly moves must not count the most
            self.rows.append(weight / spread.clamp(min=0.1 * spread.median())[:, None])

    def __call__(self, difference):  # [NLD] -> [N]
        d = difference.unbind(1)
        styles = torch.stack([(x @ a.t()).square().mean(1) for x, a in zip(d, self.rows)])
        plain = (difference / self.spread).square().mean((1, 2))
        return (1 - self.plain) * styles.mean(0) + self.plain * plain


class Likeness:
    """Perceptual distance and identity in the attribute network, as gannet measures them."""

    def __init__(self, net, outputs):
        self.net = net
        self.identity = [i for i, o in enumerate(outputs) if o.get("group") == "identity"]
        if not self.identity:
            raise SystemExit("the attribute network has no outputs of the group `identity`")

    def look(self, x):
        """Unit-length features of every layer but the first, and the identity vector."""
        taps = self.net.taps(x)
        unit = [t * torch.rsqrt(t.square().sum(1, keepdim=True) + EPS) for t in taps[1:]]
        return unit, self.net.read(taps[-1])[:, self.identity]

    def compare(self, a, b):
        """Two results of `look` -> perceptual distance [N], cosine of the identities [N]."""
        distances = [(x - y).square().sum(1).mean((1, 2)) for x, y in zip(a[0], b[0])]
        cosine = F.cosine_similarity(a[1].float(), b[1].float())
        return torch.stack(distances).mean(0).float(), cosine
