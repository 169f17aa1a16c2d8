"""The latent code of every rendered picture: its random draws as independent normal numbers.

A rendered face is made from about seventy independent draws (scripts/data/person.py). Each is put
through its own distribution function and the inverse of the normal one, so that the codes of the
data are distributed as a generator's prior, z ~ N(0, I), and a picture and its code can be trained
on as a pair. A draw that chose among a few (a hair style, glasses or none) is known only up to an
interval; a fresh point of it is taken at every visit. Coordinates that stand for nothing are
filled at random such that |z|^2 = dim, which the mapping network's normalisation leaves alone.

    python codes.py --assets DIR --ids 0 20000 --out WORK/data
"""

import argparse
import glob
import os
import sys

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import beta

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data"))
import person as persons  # noqa: E402

HAIR_BASE_ORDER = (0, 1, 4, 2, 3)  # from black over red to blond
FRAME_ORDER = (2, 3, 1, 0, 4)  # gold, red, brown, black, blue
EYE_ORDER = ("brown", "brownlight", "green", "bluegreen", "grey", "blue", "lightblue", "ice")
EYE_ORDER = (*EYE_ORDER, "deepblue")
SHAPES_USED = (*range(15), *range(30, 37))
HAIR_SLOTS = 11
MIRRORED = ("yaw", "roll", "light", "mirror")  # negated when a picture is mirrored
EDGE = 1e-5  # keeps the normal numbers finite


def cumulative(odds, order, chosen):
    """The interval of [0, 1] that stands for `chosen` when the choices lie in `order`."""
    place = order.index(chosen)
    shares = [odds[i] for i in order]
    return sum(shares[:place]), sum(shares[: place + 1])


def point(normal):
    """The interval of a draw that is known exactly, from its normal number."""
    u = float(ndtr(normal))
    return u, u


def clipped(normal, low=None, high=None):
    """The same for a draw that was cut off below `low` or above `high`."""
    if low is not None and normal <= low + 1e-9:
        return 0.0, float(ndtr(low))
    if high is not None and normal >= high - 1e-9:
        return float(ndtr(high)), 1.0
    return point(normal)


def half(upper):
    return (0.5, 1.0) if upper else (0.0, 0.5)


def face_intervals(p):
    """Name -> interval of [0, 1] for the draws of the face and the pose, in the picture's frame."""
    side = -1 if p.mirrored else 1
    deviation = (p.gender - p.male) / 0.12
    first = p.race["african"]
    rest = p.race["asian"] / max(1e-12, 1 - first)
    odds = 0.2 + 0.15 * (p.age > 0.6)
    intervals = {
        "male": half(p.male),
        "gender": clipped(deviation, high=0) if p.male else clipped(deviation, low=0),
        "age": (p.age ** (1 / 1.3),) * 2,
        "african": (beta.cdf(first, 0.45, 0.9),) * 2,
        "asian": (beta.cdf(rest, 0.45, 0.45),) * 2,
        "weight": point((p.weight - 0.5) / 0.17),
        "smile": (0.45 + 0.55 * p.smile,) * 2 if p.smile > 0 else (0.0, 0.45),
        "mouth_open": clipped((p.mouth_open + 0.1) / 0.3, low=1 / 3, high=3),
        "yaw": point(p.yaw / 0.24 * side),
        "pitch": point(p.pitch / 0.06),
        "roll": point(p.roll / 0.04 * side),
        "brow": point(p.brow / 0.5),
        "eye_closure": clipped((p.eye_closure + 0.1) / 0.25, low=0.4),
        "glasses": (1 - odds, 1.0) if p.glasses else (0.0, 1 - odds),
        "light": point(p.light / 0.7 * side),
        "mirror": half(p.mirrored),
    }
    shapes = {f"shape{i:02d}": point(p.shape[i] / 0.17) for i in SHAPES_USED}
    return intervals | shapes


def look_intervals(p, catalogue):
    """The same for textures, colours and dress; hair styles apart."""
    race = p.main_race
    base_odds = persons.HAIR_BASE_ODDS["caucasian" if race == "caucasian" else "other"]
    eyes = [catalogue.eyes.index(name) for name in EYE_ORDER]
    skins, brows = catalogue.skins[p.skin], catalogue.brows
    intervals = {
        "fall": (p.background_fall,) * 2,
        "light_height": (p.light_height,) * 2,
        "warmth": point(p.warmth),
        "light_power": (p.light_power,) * 2,
        "skin": (p.skin_index / skins, (p.skin_index + 1) / skins),
        "tint0": point(p.tint[0]),
        "tint1": point(p.tint[1]),
        "eye": cumulative(catalogue.eye_odds(race), eyes, p.eye),
        "grey": point(p.grey_draw),
        "greys": (0.15, 1.0) if p.greys else (0.0, 0.15),
        "hair_base": cumulative(base_odds, HAIR_BASE_ORDER, p.hair_base),
        "brow_style": (p.brow_style / brows, (p.brow_style + 1) / brows),
    }
    for i in range(3):
        intervals[f"background{i}"] = ((p.background[i] - 0.08) / 0.5,) * 2
        intervals[f"shirt{i}"] = (p.shirt_draw[i],) * 2
    draws = [(u, u) for u in p.glasses_draws] or [(0.0, 1.0)] * 3
    intervals |= dict(zip(("frame_height", "frame_squareness", "frame_thickness"), draws))
    colour, dark = (0.0, 1.0), (0.0, 1.0)
    if p.glasses:
        colour = cumulative([0.2] * 5, FRAME_ORDER, p.glasses_colour)
        dark = (0.88, 1.0) if p.sunglasses else (0.0, 0.88)
    return intervals | {"frame_colour": colour, "dark": dark}


def read_catalogue(assets):
    """What there is to choose from, by the files of the asset folder."""
    textures = sorted(glob.glob(os.path.join(assets, "public/data/skins/*/textures/*diffuse*.png")))
    skins = {}
    for path in textures:
        name = path.split(os.sep)[-3]
        skins[name] = skins.get(name, 0) + 1
    eyes = glob.glob(os.path.join(assets, "public/data/proxies/eyes/HighPolyEyes/textures/*.png"))
    eyes = tuple(os.path.basename(path).split("_")[0] for path in sorted(eyes))
    brows = len(glob.glob(os.path.join(assets, "assets/base/eyebrows/eyebrow0*")))
    return persons.Catalogue(skins, eyes, brows)


def tabulate(ids, catalogue):
    """names [A], intervals [N, A, 2], hair (chosen, count) [N, 2] of the pictures `ids`."""
    names, rows, hair = None, [], []
    for seed in ids:
        p = persons.draw(seed, catalogue)
        intervals = face_intervals(p) | look_intervals(p, catalogue)
        names = names or list(intervals)
        rows.append([intervals[name] for name in names])
        hair.append((p.hair_index, len(p.hair_styles)))
    return np.array(names), np.array(rows, np.float64), np.array(hair, np.int64)


class Codes:
    """Draws z for pictures by their place in the table."""

    def __init__(self, path, dim):
        with np.load(path) as f:
            self.names, self.intervals, self.hair = list(f["names"]), f["intervals"], f["hair"]
        self.dim, self.known = dim, len(self.names) + HAIR_SLOTS
        if self.known > dim:
            raise ValueError(f"{self.known} draws do not fit a code of {dim}")
        self.signs = np.ones(len(self.names))
        self.signs[[self.names.index(name) for name in MIRRORED]] = -1

    def draw(self, chosen, mirrored, rng):
        """Codes [n, dim] of the pictures `chosen` [n], those of `mirrored` [n] as mirror images."""
        low, high = self.intervals[chosen].transpose(2, 0, 1)
        u = low + (high - low) * rng.random(low.shape)
        normals = ndtri(u.clip(EDGE, 1 - EDGE))
        normals *= np.where(mirrored[:, None], self.signs, 1)
        known = np.concatenate([normals, self.draw_hair(chosen, rng)], 1)
        if self.known == self.dim:
            return known.astype(np.float32)
        free = rng.standard_normal((len(chosen), self.dim - self.known))
        left = np.maximum(1.0, self.dim - np.square(known).sum(1, keepdims=True))
        free *= np.sqrt(left / np.square(free).sum(1, keepdims=True))
        return np.concatenate([known, free], 1).astype(np.float32)

    def draw_hair(self, chosen, rng):
        """Slots [n, 11]: the style is the greatest of the first `count`, each as likely."""
        slots = rng.standard_normal((len(chosen), HAIR_SLOTS))
        for row, (style, count) in zip(slots, self.hair[chosen]):
            greatest = row[:count].argmax()
            row[[greatest, style]] = row[[style, greatest]]
        return slots


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--assets", required=True, help="the unpacked assets of the renderer")
    parser.add_argument("--ids", type=int, nargs=2, default=(0, 20_000), help="first, one past last")
    parser.add_argument("--out", required=True, help="folder; writes codes.npz")
    args = parser.parse_args()
    names, intervals, hair = tabulate(range(*args.ids), read_catalogue(args.assets))
    os.makedirs(args.out, exist_ok=True)
    np.savez(os.path.join(args.out, "codes.npz"), names=names, intervals=intervals, hair=hair)
    print(f"{len(intervals)} codes of {len(names) + HAIR_SLOTS} draws in {args.out}")


if __name__ == "__main__":
    main()
