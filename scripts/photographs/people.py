"""Portraits inverted, edited, pasted back and recognised. `people.py --help` lists the options."""

import argparse
import os
import pathlib
import subprocess
import time

import numpy as np
import skimage.io
import skimage.transform

from common import Dlib, picture, read, text

PORTRAITS = "astronaut obama obama2 biden audrey cage ajb franck_01829 bieber_small obama4_crop".split()
# Options of invert behind the method.
METHODS = {
    "hybrid": "method: hybrid",
    "wplus": "method: optimize, space: W+",
    "f": "space: F",
    "dhr": "method: dhr",
    "pti": "method: pti",
}
NUMBERS = ["psnr", "ssim", "perceptual"]
# Side of a picture in the sheet.
SIDE = 256


def number(found, name):
    """A number of an inversion; NaN where it has none."""
    each = [n["value"] for one in found for n in one.get("numbers", []) if n.get("name") == name]
    return each[0] if each else float("nan")


def run(a, program, out):
    """What a program prints as JSON, its errors, its seconds and its peak memory in MB."""
    source = out / "people.gnt"
    source.write_text(program)
    command = [os.fspath(a.gannet), "run", os.fspath(source), "--model", a.model, "--out", os.fspath(out), "--json", "--quiet"]
    start = time.time()
    with open(out / "stdout", "w+") as stdout, open(out / "stderr", "w+") as stderr:
        child = subprocess.Popen(command, stdout=stdout, stderr=stderr)
        _, _, usage = os.wait4(child.pid, 0)
        stdout.seek(0)
        stderr.seek(0)
        return read(stdout.read()), stderr.read(), time.time() - start, usage.ru_maxrss / 1000


def one(a, path, options, files):
    """One portrait inverted with these options, edited and pasted back into the three files."""
    found, edited, pasted = (file.name for file in files)
    program = (
        f"x = image({text(path)})\nr = invert(x, {options})\nr\ne = r + {a.edit}\n"
        f'save(r, "{found}")\nsave(render(e), "{edited}")\nsave(paste(e, into: x), "{pasted}")\n'
    )
    result = run(a, program, files[0].parent)
    if not all(file.exists() for file in files):
        print(f"{path.stem}: {result[1].strip()[-300:]}", flush=True)
        return None
    return result


def nearest(dlib, own, file):
    """Whose portrait has the nearest vector, and how far that of each is."""
    vector, _ = dlib.identity(picture(file))
    apart = {name: float(np.linalg.norm(own[name] - vector)) for name in own}
    return min(apart, key=apart.get), apart


def tile(file):
    """A picture of the sheet."""
    data = skimage.transform.resize(picture(file), (SIDE, SIDE), anti_aliasing=True)
    return (255 * data).astype(np.uint8)


def measure(a, dlib, paths, own):
    out = a.folder / "out"
    out.mkdir(exist_ok=True)
    rows = {name: [tile(paths[name])] for name in a.portraits}
    for method in a.methods:
        name, _, options = method.partition("=")
        table = []
        for person in a.portraits:
            files = [out / f"{person}-{name}-{what}.png" for what in ("found", "edited", "pasted")]
            result = one(a, paths[person], options or METHODS[name], files)
            if result is None:
                continue
            found, _, seconds, memory = result
            who = [nearest(dlib, own, file) for file in files]
            right = [best == person for best, _ in who]
            row = (*(number(found, n) for n in NUMBERS), seconds, memory, *right)
            table.append(row)
            rows[person] += [tile(file) for file in files]
            print(
                f"{person:14} {name:8} {row[0]:.2f} dB, SSIM {row[1]:.3f}, perceptual {row[2]:.4f}, {seconds:.0f} s, "
                f"{memory:.0f} MB, dlib {who[0][1][person]:.2f} and {who[1][1][person]:.2f}, recognised {right}",
                flush=True,
            )
        if table:
            mean, least = np.array(table, float).mean(0), np.array(table, float).min(0)
            count = np.array(table, float)[:, 5:].sum(0).astype(int)
            print(
                f"{name}: {mean[0]:.2f} dB (least {least[0]:.2f}), SSIM {mean[1]:.3f}, perceptual {mean[2]:.4f}, "
                f"{mean[3]:.0f} s, {mean[4]:.0f} MB; of {len(table)} recognised {count[0]}, edited {count[1]}, pasted {count[2]}",
                flush=True,
            )
    wide = max(len(row) for row in rows.values())
    blank = np.full((SIDE, SIDE, 3), 255, np.uint8)
    lines = [np.concatenate(row + [blank] * (wide - len(row)), 1) for row in rows.values()]
    skimage.io.imsave(out / "sheet.png", np.concatenate(lines, 0), check_contrast=False)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("folder", type=pathlib.Path, help="what fetch.py wrote")
    p.add_argument("gannet", type=pathlib.Path)
    p.add_argument("--model", default="faces")
    p.add_argument("--methods", nargs="+", default=list(METHODS), help="names, or NAME=OPTIONS OF INVERT")
    p.add_argument("--edit", default='2*direction("age")', help="what is added to every code")
    p.add_argument("--portraits", nargs="+", default=PORTRAITS)
    a = p.parse_args()
    dlib = Dlib()
    paths = {path.stem: path for path in (a.folder / "people").iterdir()}
    own = {name: dlib.identity(picture(paths[name]))[0] for name in PORTRAITS}
    measure(a, dlib, paths, own)


if __name__ == "__main__":
    main()
