"""Faces that gannet finds in photographs, against dlib. Usage: alignment.py FOLDER GANNET"""

import pathlib
import sys

import numpy as np

from common import Dlib, objects, picture, text

# Where dlib sees the five points of a face, from where the labels of the rendered faces have them, in distances of the eyes
# along their line and below it: medians over the 240 held-out people of the rendered set in whose base picture, enlarged to
# 512 pixels, dlib finds one face. The two do not mean the same points: dlib's eyes are the middle of the lids.
MEANT = np.array([[-0.015, 0.031], [0.015, 0.031], [0.0, -0.071], [0.035, -0.010], [-0.035, -0.010]])
LANDMARKS = ["left eye", "right eye", "nose", "left corner of the mouth", "right corner"]


def rows(gannet, path):
    """The faces that gannet finds."""
    found, _ = objects(gannet, "eval", f"faces({text(path)})")
    return [row for one in found if one.get("type") == "Table" for row in one["rows"]]


def landmarks(gannet, path):
    """The five landmarks of the face that gannet takes, `[5, 2]`; `None` without one."""
    found, _ = objects(gannet, "eval", f"image({text(path)})")
    photographs = [p for one in found for p in one.get("photographs", [])]
    points = photographs[0]["landmarks"] if photographs else None
    return None if points is None else np.array(points)


def five(points):
    """dlib's 68 points as eyes, nose and corners of the mouth."""
    return np.array([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])


def as_dlib(points):
    """gannet's five landmarks where dlib would see them."""
    along = points[1] - points[0]
    return points + MEANT @ np.array([along, [-along[1], along[0]]])


def main(folder, gannet):
    dlib, hits, seen, sides, turns, errors = Dlib(), 0, 0, [], [], []
    for path in sorted((folder / "people").iterdir()):
        faces, own, both = dlib.faces(picture(path)), rows(gannet, path), 0
        for points in faces:
            left, right = points[36:42].mean(0), points[42:48].mean(0)
            middle, apart = (left + right) / 2, np.linalg.norm(right - left)
            near = [r for r in own if np.hypot(r["x"] - middle[0], r["y"] - middle[1]) < r["side"] / 2]
            if near:
                both += 1
                best = min(near, key=lambda r: np.hypot(r["x"] - middle[0], r["y"] - middle[1]))
                sides.append(best["side"] / apart)
                turns.append(np.degrees(np.arctan2(*(right - left)[::-1])) - best["turn"])
        if len(faces) == 1 == len(own):
            mine, theirs = landmarks(gannet, path), five(faces[0])
            if mine is not None:
                apart = np.linalg.norm(theirs[1] - theirs[0])
                off = [100 * np.linalg.norm(points - theirs, axis=1) / apart for points in (mine, as_dlib(mine))]
                errors.append(off)
        if len(faces):
            seen, hits = seen + 1, hits + bool(both)
        print(f"{path.name:40} dlib {len(faces)} gannet {len(own)} both {both}", flush=True)
    print(f"pictures with a face that dlib sees: {seen}, found: {hits} ({100 * hits / max(seen, 1):.0f} %)")
    print(f"side {np.median(sides):.2f} eye distances (from {min(sides):.2f} to {max(sides):.2f})")
    print(f"turn {np.median(np.abs(turns)):.1f}° off, at most {np.max(np.abs(turns)):.1f}°")
    for what, own in zip(("as they are", "without what the two mean differently"), np.swapaxes(errors, 0, 1)):
        each = ", ".join(f"{name} {value:.1f}" for name, value in zip(LANDMARKS, np.median(own, 0)))
        print(
            f"landmarks of {len(own)} faces {what}, distance from dlib's in % of the eye distance, medians: {each}; "
            f"all {np.median(np.mean(own, 1)):.1f}"
        )
    alarms = [path.name for path in sorted((folder / "others").iterdir()) if rows(gannet, path)]
    print(f"false alarms: {len(alarms)} {alarms}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
