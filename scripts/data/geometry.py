"""Normals, and the few meshes that are made here: the frames and lenses of glasses."""

import numpy as np

RING = 28  # points around a lens
TUBE = 6  # points around a tube
AXIS = np.array([0.31, 0.87, 0.37])  # any direction that no tube follows


def normals(vertices, faces):
    """Vertex normals [V, 3] f32 of length 1, faces weighted by their area."""
    corners = [vertices[faces[:, k]] for k in range(3)]
    of_faces = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    total = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(total, faces[:, k], of_faces)
    return unit(total)


def unit(vectors):
    """Vectors [N, 3] scaled to length 1; zero stays zero."""
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9)


def tube(path, radius, closed):
    """(vertices [N * TUBE, 3] f32, faces [F, 3] i32) of a tube along path [N, 3]."""
    if closed:
        along = np.roll(path, -1, 0) - np.roll(path, 1, 0)
    else:
        along = np.gradient(path, axis=0)
    along = unit(along)
    side = unit(np.cross(along, AXIS))
    other = np.cross(along, side)
    angle = (np.arange(TUBE) * 2 * np.pi / TUBE)[None, :, None]
    around = np.cos(angle) * side[:, None] + np.sin(angle) * other[:, None]
    vertices = (path[:, None] + radius * around).reshape(-1, 3).astype(np.float32)
    return vertices, tube_faces(len(path), closed)


def tube_faces(count, closed):
    """The triangles [F, 3] i32 of a tube over `count` rings of TUBE points."""
    faces = []
    for ring in range(count if closed else count - 1):
        here, there = ring * TUBE, (ring + 1) % count * TUBE
        for point in range(TUBE):
            after = (point + 1) % TUBE
            faces.append([here + point, there + point, there + after])
            faces.append([here + point, there + after, here + after])
    return np.array(faces, np.int32)


class Glasses:
    """Frames and lenses for a pair of eyes; draws (height, squareness, thickness) are 0 to 1."""

    def __init__(self, head, draws):
        height, squareness, thickness = draws
        self.left, self.right = head.eye(+1), head.eye(-1)  # +x: the person's left
        self.distance = self.left[0] - self.right[0]
        self.width = self.distance * 0.40
        self.height = self.distance * (0.27 + 0.1 * height)
        self.exponent = 2.0 + 1.6 * squareness  # of a superellipse: 2 is round
        self.front = head.eyes[:, 2].max() + 0.10 * self.distance
        self.thickness = self.distance * (0.022 + 0.022 * thickness)

    def rims(self):
        """The outlines [RING, 3] f32 of both lenses, each with its side (+1, -1) and eye."""
        eyes = ((self.left, 1), (self.right, -1))
        return [(self.rim(eye, side), side, eye) for eye, side in eyes]

    def rim(self, eye, side):
        """A superellipse before an eye, bent back at its outer end."""
        angle = np.linspace(0, 2 * np.pi, RING, endpoint=False)
        cos, sin = np.cos(angle), np.sin(angle)
        x = eye[0] + np.sign(cos) * abs(cos) ** (2 / self.exponent) * self.width
        y = np.sign(sin) * abs(sin) ** (2 / self.exponent) * self.height
        y = eye[1] - 0.05 * self.distance + y
        z = self.front - 0.10 * np.maximum(0, x * side - self.distance * 0.5)
        return np.stack([x, y, z], 1).astype(np.float32)

    def temple(self, eye, side):
        """The path [3, 3] f32 from a rim back to the ear."""
        x = eye[0] + side * self.width
        unit = self.distance
        path = [
            [x, eye[1], self.front - 0.08 * unit],
            [x + side * unit * 0.16, eye[1] + 0.03, self.front - 0.5 * unit],
            [x + side * unit * 0.2, eye[1] + 0.04, self.front - 1.6 * unit],
        ]
        return np.array(path, np.float32)

    def bridge(self):
        """The path [3, 3] f32 over the nose."""
        y, unit = self.left[1], self.distance
        path = [
            [self.right[0] + self.width, y + 0.03 * unit, self.front],
            [0, y + 0.08 * unit, self.front + 0.04 * unit],
            [self.left[0] - self.width, y + 0.03 * unit, self.front],
        ]
        return np.array(path, np.float32)

    def frames(self):
        """(vertices, faces) of all tubes."""
        tubes = []
        for rim, side, eye in self.rims():
            tubes.append(tube(rim, self.thickness, True))
            tubes.append(tube(self.temple(eye, side), self.thickness, False))
        return [*tubes, tube(self.bridge(), self.thickness, False)]

    def lenses(self):
        """(vertices, faces) of both, each a fan around its middle."""
        faces = [[point, (point + 1) % RING, RING] for point in range(RING)]
        faces = np.array(faces, np.int32)
        return [(np.vstack([rim, rim.mean(0)[None]]), faces) for rim, _, _ in self.rims()]
