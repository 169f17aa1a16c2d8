"""What the measurements share: gannet as a command, dlib's faces."""

import json
import os
import pathlib
import subprocess

import dlib
import numpy as np
import skimage.io

import face_recognition_models as models


def objects(gannet, *args):
    """The JSON objects that a command of gannet prints, and what it writes to standard error."""
    run = subprocess.run([os.fspath(gannet), *args, "--json", "--quiet"], capture_output=True, text=True)
    return read(run.stdout), run.stderr


def read(printed):
    """The JSON objects in what gannet printed."""
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


def text(path):
    """A path as a text of the language."""
    return json.dumps(os.fspath(pathlib.Path(path).resolve()))


def picture(path):
    """A picture as dlib reads it, `[H, W, 3]`."""
    data = skimage.io.imread(path)
    data = np.stack([data] * 3, -1) if data.ndim == 2 else data[..., :3]
    return np.ascontiguousarray(data)


class Dlib:
    """dlib's detector, its 68 points and its recogniser."""

    def __init__(self):
        self.detector = dlib.get_frontal_face_detector()
        self.points = dlib.shape_predictor(models.pose_predictor_model_location())
        self.network = dlib.face_recognition_model_v1(models.face_recognition_model_location())

    def faces(self, data):
        """The 68 points of every face, `[N, 68, 2]`."""
        shapes = [self.points(data, box) for box in self.detector(data, 1)]
        return np.array([[[p.x, p.y] for p in shape.parts()] for shape in shapes], float).reshape(-1, 68, 2)

    def identity(self, data):
        """The vector of the largest face; of the whole picture where none is found."""
        boxes = self.detector(data, 1)
        box = max(boxes, key=lambda b: b.area()) if boxes else dlib.rectangle(0, 0, data.shape[1], data.shape[0])
        return np.array(self.network.compute_face_descriptor(data, self.points(data, box), 5)), bool(boxes)
