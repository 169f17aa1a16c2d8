"""Turn the rendered data set (tars of JPEGs, labels) into arrays for training.

    python prepare.py --source DATA/faces --out WORK/data --size 64

writes images.npy (uint8 [N, size, size, 3], area-averaged) and labels.npz (one array a label,
in the same order, and `ids`).
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

LABELS = ("gender", "age", "weight", "smile", "mouth_open", "yaw_deg", "pitch_deg", "roll_deg") + (
    "brow",
    "eye_closure",
    "light_deg",
    "glasses",
    "sunglasses",
    "skin_luminance",
)


def read_pictures(path, size):
    """Yield (id, uint8 [size, size, 3]) for every JPEG of one tar."""
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
    parser.add_argument("--source", required=True, help="folder with train_*.tar and .jsonl.gz")
    parser.add_argument("--out", required=True)
    parser.add_argument("--size", type=int, default=64)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)

    labels = {}
    for path in sorted(glob.glob(os.path.join(args.source, "train_*.jsonl.gz"))):
        with gzip.open(path, "rt") as f:
            labels.update((f"{row['id']:06d}", row) for row in map(json.loads, f))
    ids, images = [], []
    for path in sorted(glob.glob(os.path.join(args.source, "train_*.tar"))):
        for name, image in read_pictures(path, args.size):
            ids.append(name)
            images.append(image)
    np.save(os.path.join(args.out, "images.npy"), np.stack(images))
    columns = {k: np.array([labels[i][k] for i in ids], np.float32) for k in LABELS}
    np.savez(os.path.join(args.out, "labels.npz"), ids=np.array(ids), **columns)
    print(f"{len(ids)} pictures of {args.size} x {args.size} px in {args.out}")


if __name__ == "__main__":
    main()
