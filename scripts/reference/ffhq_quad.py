"""Frames of FFHQ by the formula of its official script (ffhq-dataset, recreate_aligned_images), for
src/face/framing.rs. Five landmarks stand for its 68: the middles of the eyes and the corners of the
mouth are what the formula reads. Writes tests/reference/ffhq/quads.json.

    python scripts/reference/ffhq_quad.py
"""

import json
import pathlib

import numpy as np

FACES = [
    [[410.0, 420.0], [610.0, 420.0], [510.0, 540.0], [430.0, 630.0], [590.0, 630.0]],
    [[120.5, 80.25], [180.0, 110.0], [140.0, 130.0], [95.0, 140.5], [150.0, 170.75]],
    [[900.0, 300.0], [880.0, 360.0], [850.0, 320.0], [820.0, 290.0], [805.0, 335.0]],
    [[50.0, 50.0], [58.0, 50.0], [60.0, 70.0], [52.0, 95.0], [60.0, 96.0]],
]


def quad(points):
    left, right, _, mouth_left, mouth_right = np.asarray(points)
    eye_avg = (left + right) * 0.5
    eye_to_eye = right - left
    mouth_avg = (mouth_left + mouth_right) * 0.5
    eye_to_mouth = mouth_avg - eye_avg
    x = eye_to_eye - np.flipud(eye_to_mouth) * [-1, 1]
    x /= np.hypot(*x)
    x *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
    y = np.flipud(x) * [-1, 1]
    c = eye_avg + eye_to_mouth * 0.1
    return np.stack([c - x - y, c - x + y, c + x + y, c + x - y])


out = pathlib.Path(__file__).parents[2] / "tests/reference/ffhq/quads.json"
rows = [{"points": face, "quad": quad(face).tolist()} for face in FACES]
out.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
