"""Pictures and labels as files: what a number means in each mode, and the writing of both."""

import functools
import gzip
import io
import json
import math
import multiprocessing
import os
import tarfile
from typing import NamedTuple

from PIL import Image

import assets
from labels import label
from person import draw
from scene import photograph

JPEG = {"format": "JPEG", "subsampling": 0}
PNG = {"format": "PNG", "optimize": True}
TRAIN_QUALITY, PAIRS_QUALITY = 92, 95
BATCH = 8  # numbers that a process takes at a time

# What is set before anything is drawn for the look; all else of the person stays.
EDITS = {
    "base": {},
    "smile_0": {"smile": 0.0},
    "smile_1": {"smile": 1.0},
    "glasses_off": {"glasses": False},
    "glasses_on": {"glasses": True},
    "yaw_m25": {"yaw": math.radians(-25)},
    "yaw_p25": {"yaw": math.radians(25)},
    "yaw_0": {"yaw": 0.0},
    "light_m40": {"light": math.radians(-40)},
    "light_p40": {"light": math.radians(40)},
    "brow_up": {"brow": 1.0},
    "brow_down": {"brow": -1.0},
    "heavier": {"weight": 0.9},
    "lighter": {"weight": 0.15},
}


class Entry(NamedTuple):
    """One file of the tar, and its line of labels where the mode has them."""

    name: str
    data: bytes
    line: str | None


def encode(pixels, **options):
    """The bytes of an image file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **options)
    return file.getvalue()


def train(number, everything):
    """A picture to train on."""
    person = draw(number, everything.catalogue)
    picture = photograph(person, everything)
    data = encode(picture.rgb, quality=TRAIN_QUALITY, **JPEG)
    return [Entry(f"{number:06d}.jpg", data, json.dumps(label(number, person, picture)))]


def pairs(number, everything):
    """One person in every version of `EDITS`."""
    entries = []
    for edit, changes in EDITS.items():
        person = draw(number, everything.catalogue, **changes)
        picture = photograph(person, everything)
        name = f"{number:06d}_{edit}.jpg"
        labels = label(number, person, picture, edit=edit, file=name)
        data = encode(picture.rgb, quality=PAIRS_QUALITY, **JPEG)
        entries.append(Entry(name, data, json.dumps(labels)))
    return entries


def parts(number, everything):
    """The index map of a training picture, or of a base picture of `pairs`."""
    picture = photograph(draw(number, everything.catalogue), everything)
    return [Entry(f"{number:06d}.png", encode(picture.parts, **PNG), None)]


MODES = {"train": train, "pairs": pairs, "parts": parts}


def render_one(number, mode, root):
    """The entries of a number; the assets are read once a process."""
    return MODES[mode](number, assets.shared(root))


def render(mode, numbers, root, workers=1):
    """Yield the entries of each number, in order, whatever the number of processes."""
    job = functools.partial(render_one, mode=mode, root=root)
    if workers == 1:
        yield from map(job, numbers)
        return
    with multiprocessing.Pool(workers) as pool:
        yield from pool.imap(job, numbers, BATCH)


class Writer:
    """A tar of pictures and a .jsonl.gz of labels; they get their names when both are whole.

    Neither holds a time or an owner: the same pictures give the same bytes.
    """

    def __init__(self, stem, has_labels):
        self.paths = [f"{stem}.tar"] + [f"{stem}.jsonl.gz"] * has_labels
        self.files = [open(path + ".partial", "wb") for path in self.paths]
        self.tar = tarfile.open(fileobj=self.files[0], mode="w")
        self.lines = gzip.GzipFile("", "wb", 9, self.files[1], mtime=0) if has_labels else None

    def __enter__(self):
        return self

    def add(self, entry):
        """Append a picture and its line."""
        information = tarfile.TarInfo(entry.name)
        information.size = len(entry.data)
        self.tar.addfile(information, io.BytesIO(entry.data))
        if self.lines:
            self.lines.write(entry.line.encode() + b"\n")

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.tar.close()
        if self.lines:
            self.lines.close()
        for file, path in zip(self.files, self.paths):
            file.close()
            if kind is None:
                os.replace(file.name, path)
            else:
                os.unlink(file.name)
