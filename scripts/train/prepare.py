"""Turn the rendered data set (tars of JPEGs, labels) into arrays for training.

    python prepare.py --source DATA/faces --out WORK/data --size 128

writes images.npy (uint8 [N, size, size, 3], area-averaged) and labels.npz (one array a label,
in the same order, and `ids`). With `--pattern "pairs_*" --only _base` it does the same for the
held-out people's base pictures.
"""

import argparse
import glob
import gzip
import io
import json
import os
import tarfile

import numpy as np
from PIL import Image

RENDERED = 128  # pixels; the side that the labelled landmarks are measured in
HAIR_STYLES = (
    ("afro01", "bald", "bob01", "bob02", "braid01", "long01")
    + ("ponytail01", "short01", "short02", "short03", "short04")
)


def read_labels(pattern):
    """{picture's name: its label object} for all .jsonl.gz files of the pattern."""
    labels = {}
    for path in sorted(glob.glob(pattern + ".jsonl.gz")):
        with gzip.open(path, "rt") as f:
            for row in map(json.loads, f):
                labels[row.get("file", f"{row['id']:06d}.jpg").removesuffix(".jpg")] = row
    return labels


def column(rows, key):
    """One label of all pictures: f32 [N] or [N, k]; hair as the index of its style."""
    values = [row[key] for row in rows]
    if key == "hair":
        return np.array([HAIR_STYLES.index(v) for v in values], np.int64)
    if key == "landmarks":  # pixels -> shares of the side, x and y in turn
        return np.array(values, np.float32).reshape(len(rows), -1) / RENDERED
    return np.array(values, np.int64 if key == "eye_colour" else np.float32)


def read_pictures(path, size):
    """Yield (name, uint8 [size, size, 3]) for every JPEG of one tar."""
    with tarfile.open(path) as tar:
        for member in tar:
            if not member.name.endswith(".jpg"):
                continue
            data = tar.extractfile(member).read()
            a = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.uint32)
            k = a.shape[0] // size
            a = a.reshape(size, k, size, k, 3).sum((1, 3))
            yield member.name.removesuffix(".jpg"), ((a + k * k // 2) // (k * k)).astype(np.uint8)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", required=True, help="folder with the tars and .jsonl.gz")
    parser.add_argument("--out", required=True)
    parser.add_argument("--size", type=int, default=RENDERED, help="a divisor of 128")
    parser.add_argument("--pattern", default="train_*", help="files' names without endings")
    parser.add_argument("--only", default="", help="ending of the pictures' names to keep")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)

    pattern = os.path.join(args.source, args.pattern)
    labels, names, images = read_labels(pattern), [], []
    for path in sorted(glob.glob(pattern + ".tar")):
        for name, image in read_pictures(path, args.size):
            if name.endswith(args.only):
                names.append(name)
                images.append(image)
    np.save(os.path.join(args.out, "images.npy"), np.stack(images))
    rows = [labels[name] for name in names]
    keys = [key for key in rows[0] if key not in ("id", "edit", "file")]
    columns = {key: column(rows, key) for key in keys}
    np.savez(os.path.join(args.out, "labels.npz"), ids=np.array(names), **columns)
    print(f"{len(names)} pictures of {args.size} x {args.size} px in {args.out}")


if __name__ == "__main__":
    main()
