"""Windows on the training pictures: turned, scaled, moved, lit and spoilt, labels with them.

A window is the similarity p -> F + t + s A (p - F) in shares of the side: F the mean landmark
position, s the scale of the face in the window, A a turn (positive against the clock, as
`roll_deg`), t the shift.
"""

import math

import torch
import torch.nn.functional as F

from attributes import LANDMARKS, NAMES, mirror_labels

CENTRE = (0.5, 0.545)  # F
SHARES = {"plain": 0.28, "near": 0.25, "wide": 0.32, "far": 0.15}  # of a batch
FACE, ROLL = NAMES.index("face"), NAMES.index("roll_deg")
COLOURS = [NAMES.index(f"{g}_{c}") for g in ("hair", "shirt", "background") for c in "rgb"]
COLOURS.append(NAMES.index("skin_luminance"))


def draw_windows(n, rng):
    """Scale [n], turn [n] in degrees and shift [n, 2] of `n` windows, kinds as in SHARES."""

    def uniform(*shape):
        return torch.rand(*shape, generator=rng) * 2 - 1

    plain, near, wide, _ = (round(n * share) for share in SHARES.values())
    scale, turn, shift = torch.ones(n), torch.zeros(n), torch.zeros(n, 2)
    k = slice(plain, plain + near)
    scale[k], turn[k] = (0.1 * uniform(near)).exp(), 7 * uniform(near)
    shift[k] = 0.05 * uniform(near, 2)
    k = slice(plain + near, plain + near + wide)
    scale[k] = (math.log(1.6) * uniform(wide)).exp()
    turn[k], shift[k] = 40 * uniform(wide), 0.2 * uniform(wide, 2)
    k = slice(plain + near + wide, n)
    far = len(scale[k])
    scale[k] = (math.log(3.5) * uniform(far)).exp()
    turn[k] = uniform(far) * torch.where(uniform(far) > 0, 40, 180)
    shift[k] = 0.55 * uniform(far, 2)
    return scale, turn, shift


def turned(points, degrees):
    """[n, k, 2] points about 0, y downwards, turned against the clock as one sees it."""
    a = torch.deg2rad(degrees)[:, None]
    x, y = points[..., 0], points[..., 1]
    return torch.stack([a.cos() * x + a.sin() * y, a.cos() * y - a.sin() * x], -1)


def move_points(points, scale, turn, shift):
    """Where the window puts points [n, k, 2] (shares of the side)."""
    centre = torch.tensor(CENTRE)
    moved = turned(points - centre, turn) * scale[:, None, None]
    return moved + centre + shift[:, None]


def sampling_grid(scale, turn, shift, size):
    """Where each pixel of each window lies in its picture, as `grid_sample` wants it."""
    line = (torch.arange(size) + 0.5) / size
    y, x = torch.meshgrid(line, line, indexing="ij")
    pixels = torch.stack([x, y], -1).reshape(1, -1, 2)
    centre = torch.tensor(CENTRE)
    back = turned(pixels - centre - shift[:, None], -turn) / scale[:, None, None]
    return ((back + centre) * 2 - 1).reshape(-1, size, size, 2)


def grainy(x, rng, share, most):
    """Noise of up to `most` on a `share` of the pictures (in place)."""
    chosen = torch.rand(len(x), generator=rng) < share
    level = most * torch.rand(int(chosen.sum()), 1, 1, 1, generator=rng)
    x[chosen] += level * torch.randn(len(level), *x.shape[1:], generator=rng)
    return x


def backgrounds(x, rng):
    """What lies outside the pictures: colours, ramps, noise or blown-up corners of others."""
    n, size = len(x), x.shape[2]
    colour = torch.rand(n, 3, 2, 2, generator=rng) * 2 - 1
    flat = torch.rand(n, 1, 1, 1, generator=rng) < 0.5
    colour = torch.where(flat, colour[:, :, :1, :1], colour)
    plain = F.interpolate(colour, size=(size, size), mode="bilinear", align_corners=True)
    k = size // 4
    corner = x[torch.randperm(n, generator=rng), :, :k, :k]
    corner = F.interpolate(corner, size=(size, size), mode="bilinear")
    out = torch.where(torch.rand(n, 1, 1, 1, generator=rng) < 0.4, corner, plain)
    return grainy(out, rng, 0.4, 0.4)


def cut(x, scale, turn, shift, rng):
    """The windows of pictures [n, 3, R, R]; beyond the edge a background or a reflection."""
    grid = sampling_grid(scale, turn, shift, x.shape[2])
    y = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    outside = (grid.abs() > 1).any(-1)[:, None]
    reflect = torch.rand(len(x), 1, 1, 1, generator=rng) < 0.3
    empty = scale <= 0.37  # too small to be a face that anyone looks for: often none at all
    outside = outside | empty[:, None, None, None]
    return torch.where(outside & ~(reflect & ~empty[:, None, None, None]), backgrounds(x, rng), y)


def nearness(scale, turn, shift):
    """1 for windows near the training framing, 0 for far ones, a ramp between."""
    distance = torch.stack(
        [
            scale.log().abs() / math.log(1.33),
            shift.norm(dim=1) / 0.12,
            1 + (turn.abs() - 35) / 20,
        ]
    ).amax(0)
    return (2 - distance).clamp(0, 1)


def move_labels(y, scale, turn, shift):
    """Labels [n, rows] of the windows, and how much each counts [n, rows].

    Landmarks are exact and the turn adds to the roll; a face mostly outside teaches nothing.
    """
    y, n = y.clone(), len(y)
    points = move_points(y[:, LANDMARKS].reshape(n, 5, 2), scale, turn, shift)
    y[:, LANDMARKS] = points.reshape(n, 10)
    y[:, ROLL] += turn
    y[:, FACE] = nearness(scale, turn, shift)
    inside = ((points > 0.02) & (points < 0.98)).all(2).sum(1)
    sized = (scale > 0.5) & (scale < 2) & (turn.abs() < 46)
    whole = (sized & (inside == 5)).float()
    changed = (scale.log().abs() > 0.2) | (turn.abs() > 15) | (shift.norm(dim=1) > 0.1)
    counts = (whole * torch.where(changed, 0.4, 1.0))[:, None].repeat(1, y.shape[1])
    counts[:, [ROLL, *LANDMARKS]] = (sized & (inside >= 4)).float()[:, None]
    counts[:, FACE] = 1
    return y, counts


def light(x, rng):
    """Another exposure, contrast and cast, a little as cameras differ."""

    def normal(scale, channels=1):
        return scale * torch.randn(len(x), channels, 1, 1, generator=rng)

    gain, cast = normal(0.22).exp(), normal(0.07, 3).exp()
    x = ((x + 1) * gain * cast - 1 + normal(0.08)).clamp(-1, 1)
    grey = torch.rand(len(x), 1, 1, 1, generator=rng) < 0.15
    return torch.where(grey, x.mean(1, keepdim=True).expand_as(x), x)


def blurred(x, rng):
    """Half the pixels, or a third: what an enlarged small face looks like."""
    size = x.shape[2]
    side = round(size * (0.3 + 0.4 * torch.rand((), generator=rng).item()))
    small = F.interpolate(x, size=(side, side), mode="bilinear", antialias=True)
    return F.interpolate(small, size=(size, size), mode="bilinear")


def compressed(x, rng):
    """8 x 8 cosine blocks, rounded as JPEG does."""
    n, c, size, _ = x.shape
    k = torch.arange(8.0)
    basis = torch.cos(math.pi / 8 * (k[None] + 0.5) * k[:, None]) / 2
    basis[0] /= math.sqrt(2)
    step = (0.02 + 0.06 * torch.rand(n, 1, 1, 1, 1, 1, generator=rng)) * (1 + k + k[:, None])
    blocks = x.reshape(n, c, size // 8, 8, size // 8, 8).transpose(3, 4)
    spectrum = basis @ blocks @ basis.T
    blocks = basis.T @ (torch.round(spectrum / step) * step) @ basis
    return blocks.transpose(3, 4).reshape(x.shape).clamp(-1, 1)


def spoil(x, counts, rng, share=0.12):
    """Light, blur, blocks and grain, each on its own `share` of the pictures (in place).

    Colours are not asked for where the light was changed.
    """
    for change in (light, blurred, compressed):
        chosen = torch.rand(len(x), generator=rng) < share
        if chosen.any():
            x[chosen] = change(x[chosen], rng)
        if change is light:
            counts[chosen.nonzero(), torch.tensor(COLOURS)] = 0
    return grainy(x, rng, 0.3, 0.04)


def augment(x, y, rng):
    """Pictures [n, 3, R, R] and labels [n, rows] -> windows, their labels, what counts."""
    flip = torch.rand(len(x), generator=rng) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    y = torch.where(flip[:, None], mirror_labels(y), y)
    window = draw_windows(len(x), rng)
    y, counts = move_labels(y, *window)
    k = round(len(x) * SHARES["plain"])
    cuts = cut(x[k:], *(w[k:] for w in window), rng)
    return spoil(torch.cat([x[:k], cuts]), counts, rng), y, counts
