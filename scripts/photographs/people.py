"""Portraits inverted, edited and recognised. Usage: people.py FOLDER GANNET [MODEL] [METHOD,METHOD]"""

import pathlib
import sys
import time

import numpy as np

from common import Dlib, objects, picture, text

PORTRAITS = "astronaut obama obama2 biden audrey cage ajb franck_01829 bieber_small obama4_crop".split()
# Options of invert behind the method.
METHODS = {
    "hybrid": "method: hybrid",
    "wplus": "method: optimize, space: W+",
    "f": "space: F",
    "dhr": "method: dhr",
    "pti": "method: pti",
}


def number(found, name):
    """A number of an inversion."""
    each = [n for one in found for n in one.get("numbers", []) if n.get("name") == name]
    return each[0]["value"] if each else float("nan")


def main(folder, gannet, model, names):
    dlib, out = Dlib(), folder / "out"
    out.mkdir(exist_ok=True)
    paths = {p.stem: p for p in (folder / "people").iterdir()}
    own = {name: dlib.identity(picture(paths[name]))[0] for name in PORTRAITS}
    for method in names:
        table = []
        for name in PORTRAITS:
            start, files = time.time(), [out / f"{name}-{method}-{what}.png" for what in ("found", "older")]
            program = (
                f"x = image({text(paths[name])})\nr = invert(x, {METHODS[method]})\nr\n"
                f"save(r, \"{files[0].name}\")\nsave(render(r + 2*direction(\"age\")), \"{files[1].name}\")\n"
            )
            source = out / "people.gnt"
            source.write_text(program)
            found, errors = objects(gannet, "run", str(source), "--model", model, "--out", str(out))
            seconds = time.time() - start
            if not all(f.exists() for f in files):
                print(f"{name} {method}: {errors.strip()[-300:]}", flush=True)
                continue
            nearest = []
            for file in files:
                vector, _ = dlib.identity(picture(file))
                nearest.append(min(own, key=lambda n: np.linalg.norm(own[n] - vector)) == name)
            row = (number(found, "psnr"), number(found, "ssim"), seconds, *nearest)
            table.append(row)
            print(f"{name:16} {method:8} {row[0]:.2f} dB, SSIM {row[1]:.3f}, {seconds:.0f} s, recognised {nearest}", flush=True)
        if table:
            psnr, ssim, seconds, before, after = (np.array(column, float) for column in zip(*table))
            print(
                f"{method}: {psnr.mean():.2f} dB (least {psnr.min():.2f}), SSIM {ssim.mean():.3f}, {seconds.mean():.0f} s, "
                f"recognised {int(before.sum())} of {len(table)}, after the edit {int(after.sum())}",
                flush=True,
            )


if __name__ == "__main__":
    model = sys.argv[3] if len(sys.argv) > 3 else "faces"
    names = sys.argv[4].split(",") if len(sys.argv) > 4 else list(METHODS)
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), model, names)
