"""One camera for both the picture and its landmarks: turning head, perspective, pixels."""

import dataclasses

import numpy as np

SIDE = 128  # pixels of a finished picture
OVERSAMPLING = 3  # fine pixels a side of each
FOCAL = 14.0  # distance of the camera from the point it looks at, decimetres
FRAME = 2.35  # the picture shows so many times the height of eyes to crown
PIVOT_DROP = 0.2  # the head turns about a point below the eyes, as share of that height
TARGET_DROP = 0.16  # and the picture's middle lies here
DEPTH = 0.9  # decimetres behind the eyes, for both points
MIRRORED_ORDER = [1, 0, 2, 4, 3]  # of the landmarks, to keep image-left first


def turn(yaw, pitch, roll):
    """The rotation [3, 3] f32 of a head: yaw first, then pitch, then roll; radians."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    about_y = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    cos, sin = np.cos(pitch), np.sin(pitch)
    about_x = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    cos, sin = np.cos(roll), np.sin(roll)
    about_z = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return (about_z @ about_x @ about_y).astype(np.float32)


@dataclasses.dataclass
class Camera:
    """Where a head's points fall in the fine picture of `side` pixels."""

    rotation: np.ndarray  # [3, 3] f32
    pivot: np.ndarray  # [3] f32, stays in place when the head turns
    target: np.ndarray  # [3] f32, falls on the picture's middle
    scale: np.float32  # pixels a decimetre at the target's distance
    side: int = SIDE * OVERSAMPLING

    @classmethod
    def on(cls, person, head, side=SIDE * OVERSAMPLING):
        """The camera that frames a head by its eyes and crown, whatever its size."""
        _, y, z = head.eye_centre
        pivot = np.array([0, y - PIVOT_DROP * head.height, z - DEPTH], np.float32)
        target = np.array([0, y - TARGET_DROP * head.height, z - DEPTH], np.float32)
        rotation = turn(person.yaw, person.pitch, person.roll)
        return cls(rotation, pivot, target, side / (head.height * FRAME), side)

    def project(self, points):
        """Points [N, 3] to [N, 3] f32: x, y in fine pixels, y down; z, nearer is larger."""
        turned = (points - self.pivot) @ self.rotation.T + self.pivot - self.target
        nearness = FOCAL / (FOCAL - turned[:, 2])
        x = self.side / 2 + turned[:, 0] * nearness * self.scale
        y = self.side * 0.5 - turned[:, 1] * nearness * self.scale
        return np.stack([x, y, turned[:, 2]], 1).astype(np.float32, order="C")

    def turn_normals(self, normals):
        """Normals [N, 3] of the head as the camera sees them, f32."""
        return (normals @ self.rotation.T).astype(np.float32)


def landmarks(camera, points, mirrored):
    """Five points [5, 3] in pixels [5, 2] of the finished, perhaps mirrored picture."""
    pixels = camera.project(points)[:, :2] / OVERSAMPLING
    if mirrored:
        pixels[:, 0] = camera.side // OVERSAMPLING - pixels[:, 0]
        pixels = pixels[MIRRORED_ORDER]
    return pixels
