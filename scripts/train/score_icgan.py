"""Scores of an invertible conditional GAN on held-out renders and on fresh samples; its sheets.

Pictures are measured by the attribute network, scaled up to its 128 pixels. A change of class keeps
z: "crossed" is the share of pictures whose attribute lies on the class's side before and after.
"""

import io

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from attributes import NAMES, load_attributes
from common import to_tensor, write_atomically
from icgan import BITS, CLASSES, HELD_FROM, SMILE, one_hot, small, with_bit

SAMPLES = 1000
SEED = 5
READ = {"male": ("gender", 0.5), "glasses": ("glasses", 0.5), "smiling": ("smile", SMILE)}
SHEET_CODES = 6
SHEET_FACES = (0, 3, 6, 12, 15, 17, 21, 24)  # held-out rows


class Scorer:
    """G, the encoders and the attribute network."""

    def __init__(self, generator, encoders, attributes):
        self.generator, self.encoders = generator, encoders
        self.net, self.outputs = load_attributes(attributes)

    @torch.no_grad()
    def pictures(self, z, classes, batch=100):
        parts = zip(z.split(batch), one_hot(classes).split(batch))
        return torch.cat([small(self.generator(*part).clamp(-1, 1)) for part in parts])

    @torch.no_grad()
    def encode(self, x, batch=100):
        """Codes [N, D] and classes [N]."""
        parts = [self.encoders(part) for part in x.split(batch)]
        return torch.cat([z for z, _ in parts]), torch.cat([y for _, y in parts]).argmax(1)

    @torch.no_grad()
    def measure(self, x, batch=100):
        """Name of an attribute -> its values [N]."""
        wide = (F.interpolate(p, scale_factor=2, mode="bilinear") for p in x.split(batch))
        raw = torch.cat([self.net(p) for p in wide])
        found = {}
        for bit, (name, _) in READ.items():
            i = NAMES.index(name)
            output = self.outputs[i]
            probability = output["kind"] == "probability"
            values = raw[:, i]
            found[bit] = (
                values.sigmoid() if probability else values * output["std"] + output["mean"]
            )
        return found

    def changes(self, z, classes):
        """Every attribute set and cleared in the pictures that have it otherwise."""
        before, found = self.measure(self.pictures(z, classes)), {}
        for name, (_, threshold) in READ.items():
            for on in (True, False):
                rows = ((classes & BITS[name]) > 0) != on
                after = self.measure(self.pictures(z[rows], with_bit(classes[rows], name, on)))
                a, b = before[name][rows], after[name]
                crossed = ((a > threshold) != on) & ((b > threshold) == on)
                found[f"{name}_{'on' if on else 'off'}"] = {
                    "pictures": int(rows.sum()),
                    "before": number(a.mean()),
                    "after": number(b.mean()),
                    "right_after": number(((b > threshold) == on).float().mean()),
                    "crossed": number(crossed.float().mean()),
                }
        return found

    def stays(self, z, classes):
        """How E_z of a changed picture agrees with E_z of the picture, an attribute at a time."""
        plain, _ = self.encode(self.pictures(z, classes))
        found = {}
        for name, bit in BITS.items():
            moved, _ = self.encode(self.pictures(z, classes ^ bit))
            found[name] = number(correlations(moved, plain).mean())
        return found

    def all(self, data):
        """The scores, of JSON's kinds."""
        x, z, classes = held_out(data)
        rng = np.random.default_rng(SEED)
        fresh = torch.from_numpy(rng.standard_normal((SAMPLES, z.shape[1])).astype(np.float32))
        drawn = torch.arange(SAMPLES) % len(CLASSES)
        samples = self.pictures(fresh, drawn)
        scores = {"pictures": len(x), "samples": SAMPLES}
        for name, (pictures, codes, truth) in {
            "on_renders": (x, z, classes),
            "on_samples": (samples, fresh, drawn),
        }.items():
            found, guessed = self.encode(pictures)
            right = guessed == truth
            each = correlations(found, codes)
            best = each.sort(descending=True).values[: len(each) // 2]
            measured = self.measure(pictures)
            scores[name] = {
                "accuracy": number(right.float().mean()),
                "accuracy_by_class": [
                    number(right[truth == c].float().mean()) for c in range(len(CLASSES))
                ],
                "z_correlation": number(each.mean()),
                "z_correlation_best_half": number(best.mean()),
                "psnr": number(decibels(self.pictures(found, guessed), pictures).mean()),
                "psnr_true_code": number(decibels(self.pictures(codes, truth), pictures).mean()),
                "measured_as_class": {
                    bit: number(agreement(measured[bit], READ[bit][1], truth & BITS[bit]))
                    for bit in BITS
                },
            }
            if name == "on_samples":
                del scores[name]["psnr_true_code"]
        found, guessed = self.encode(x)
        scores["changes"] = self.changes(found, guessed)
        scores["z_stays"] = self.stays(fresh, drawn)
        return scores


def held_out(data):
    """Pictures [N, 3, R, R], codes [N, D] and classes [N] that nothing is trained on."""
    rows = np.arange(HELD_FROM, len(data.images))
    z = data.codes.draw(rows, np.zeros(len(rows), bool), np.random.default_rng(SEED))
    classes = torch.from_numpy(data.codes.classes[rows])
    return to_tensor(data.images[rows]), torch.from_numpy(z), classes


def number(value):
    return round(float(value), 4)


def agreement(values, threshold, bits):
    """Share of the pictures that lie on their class's side."""
    return ((values > threshold) == (bits > 0)).float().mean()


def correlations(a, b):
    """Of every dimension, over the pictures: [N, D], [N, D] -> [D]."""
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).mean(0) / (a.square().mean(0) * b.square().mean(0)).sqrt().clamp(min=1e-8)


def decibels(made, truth):
    """PSNR of pictures in [-1, 1]: [N]."""
    return 10 * torch.log10(4 / (made - truth).square().mean((1, 2, 3)))


def save_jpeg(path, x, columns, zoom=2, quality=90):
    """A JPEG sheet of pictures [N, 3, R, R] in [-1, 1]; N fills whole rows."""
    x = ((x.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    n, h, w, c = x.shape
    x = x.reshape(n // columns, columns, h, w, c).swapaxes(1, 2)
    sheet = Image.fromarray(x.reshape(n // columns * h, columns * w, c))
    size = (sheet.width * zoom, sheet.height * zoom)
    buffer = io.BytesIO()
    sheet.resize(size, Image.Resampling.BICUBIC).save(buffer, "jpeg", quality=quality)
    write_atomically(path, buffer.getvalue())


@torch.no_grad()
def draw_samples(generator, path):
    """A row a code, a column a class."""
    rng = np.random.default_rng(SEED)
    z = rng.standard_normal((SHEET_CODES, generator.z_dim)).astype(np.float32)
    z = torch.from_numpy(z).repeat_interleave(len(CLASSES), 0)
    y = one_hot(torch.arange(len(CLASSES)).repeat(SHEET_CODES))
    save_jpeg(path, generator(z, y), len(CLASSES), zoom=1)


def draw_inversions(scorer, data, path):
    """A row a held-out render: it, what is made of its code, glasses, smile and sex changed."""
    x, _, _ = held_out(data)
    x = x[list(SHEET_FACES)]
    z, classes = scorer.encode(x)
    changed = [scorer.pictures(z, classes ^ BITS[bit]) for bit in ("glasses", "smiling", "male")]
    columns = [x, scorer.pictures(z, classes), *changed]
    save_jpeg(path, torch.stack(columns, 1).flatten(0, 1), len(columns))


def table(scores):
    """The scores as text."""
    lines = []
    for name in ("on_renders", "on_samples"):
        row = dict(scores[name])
        row["accuracy_by_class"] = " ".join(f"{a:.3f}" for a in row["accuracy_by_class"])
        lines += [f"{name:12} {key:24} {value}" for key, value in row.items()]
    for name, row in scores["changes"].items():
        lines.append(f"{name:12} " + "  ".join(f"{key} {value}" for key, value in row.items()))
    lines += [f"z stays      {name:24} {value}" for name, value in scores["z_stays"].items()]
    return "\n".join(lines)
