"""Render stored pictures again and compare: bytes of the files, and of the lines of labels.

    MAKEHUMAN_ASSETS=DIR python check.py DATA [--train N] [--pairs N] [--parts N] [--workers N]

takes the first N numbers of every MODE_START.tar in DATA. Ends with status 1 if anything differs.
"""

import argparse
import glob
import gzip
import io
import itertools
import json
import os
import sys
import tarfile

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: --workers is the parallelism

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

import assets  # noqa: E402
import dataset  # noqa: E402

COUNTS = {"train": 20, "pairs": 2, "parts": 20}


def stored_numbers(tar, limit):
    """The first `limit` numbers of a tar, in its order."""
    numbers = dict.fromkeys(int(name[:6]) for name in tar.getnames())
    return list(itertools.islice(numbers, limit))


def stored_lines(path):
    """{(number, edit): line} of the labels beside a tar; None where there are none."""
    path = path.removesuffix(".tar") + ".jsonl.gz"
    if not os.path.exists(path):
        return None
    with gzip.open(path, "rt") as file:
        lines = [line.rstrip("\n") for line in file]
    return {key_of(line): line for line in lines}


def key_of(line):
    """What tells a line of labels from the others."""
    values = json.loads(line)
    return values["id"], values.get("edit")


def pixel_difference(ours, theirs):
    """(largest difference, share of values that differ) of two image files."""
    ours, theirs = (np.asarray(Image.open(io.BytesIO(data))).astype(int) for data in (ours, theirs))
    if ours.shape != theirs.shape:
        return 255, 1.0
    return abs(ours - theirs).max(), (ours != theirs).mean()


def differing_keys(ours, theirs):
    """The labels that two lines do not agree on."""
    ours, theirs = json.loads(ours), json.loads(theirs or "{}")
    keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    return keys or ["only the order or the spelling"]


def compare(path, limit, root, workers):
    """Print what is the same in a tar and what is not; True if all is."""
    mode = os.path.basename(path).split("_")[0]
    lines = stored_lines(path)
    pictures, differences, wrong_lines = 0, [], []
    with tarfile.open(path) as tar:
        numbers = stored_numbers(tar, limit)
        for entry in itertools.chain(*dataset.render(mode, numbers, root, workers)):
            pictures += 1
            theirs = tar.extractfile(entry.name).read()
            if entry.data != theirs:
                differences.append((entry.name, *pixel_difference(entry.data, theirs)))
            if lines is not None and entry.line:
                theirs = lines.get(key_of(entry.line))
                if entry.line != theirs:
                    wrong_lines.append((entry.name, differing_keys(entry.line, theirs)))
    report(path, pictures, differences, None if lines is None else wrong_lines)
    return not differences and not wrong_lines


def report(path, pictures, differences, wrong_lines):
    """One line for the pictures and one for the labels, and the worst of what differs."""
    print(f"{os.path.basename(path)}: {pictures - len(differences)} of {pictures} files the same")
    if differences:
        name, largest, _ = max(differences, key=lambda row: row[1])
        share = np.mean([row[2] for row in differences])
        print(f"  the others differ in {share:.2%} of values, by at most {largest} of 255 ({name})")
    if wrong_lines is not None:
        print(f"  {pictures - len(wrong_lines)} of {pictures} lines of labels the same")
    for name, keys in (wrong_lines or [])[:5]:
        print(f"  {name}: {', '.join(keys)}")


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="a folder with MODE_START.tar and MODE_START.jsonl.gz")
    for mode, count in COUNTS.items():
        text = f"numbers of each {mode} tar (default {count})"
        parser.add_argument(f"--{mode}", type=int, default=count, metavar="N", help=text)
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    return parser.parse_args()


def main():
    """Compare every tar of the folder."""
    arguments = parse_arguments()
    patterns = [os.path.join(arguments.data, f"{mode}_*.tar") for mode in COUNTS]
    found = [path for pattern in patterns for path in sorted(glob.glob(pattern))]
    if not found:
        sys.exit(f"check.py: no train_*.tar, pairs_*.tar or parts_*.tar in {arguments.data}")
    same = True
    for path in found:
        limit = getattr(arguments, os.path.basename(path).split("_")[0])
        same &= compare(path, limit, assets.folder(), arguments.workers)
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    try:
        main()
    except assets.MissingAssets as error:
        sys.exit(f"check.py: {error}")
