"""Readers of the MakeHuman asset files: meshes (obj), morph targets, proxies (mhclo), textures."""

import dataclasses
import os
from typing import NamedTuple

import numpy as np
from PIL import Image

GAMMA = np.array([2.2, 2.2, 2.2, 1], np.float32)  # sRGB to linear, alpha as it is
AXES = {"x_scale": 0, "y_scale": 1, "z_scale": 2}
AFTER_VERTICES = ("weights", "delete_verts", "special_pose")


class Mesh(NamedTuple):
    """Triangles over vertices, and over texture coordinates of their own."""

    vertices: np.ndarray  # [V, 3] f32, decimetres, y up, z towards the camera
    uv: np.ndarray  # [T, 2] f32, 0 to 1, origin at the texture's lower left
    faces: np.ndarray  # [F, 3] i32 into vertices
    uv_faces: np.ndarray  # [F, 3] i32 into uv


def read_obj(path, group=None):
    """The mesh of a Wavefront file, polygons cut into fans; of one `group` only where named."""
    vertices, uv, faces, uv_faces = [], [], [], []
    current = None
    with open(path) as file:
        for words in map(str.split, file):
            kind = words[0] if words else ""
            if kind == "v":
                vertices.append([float(word) for word in words[1:4]])
            elif kind == "vt":
                uv.append([float(word) for word in words[1:3]])
            elif kind == "g":
                current = words[1]
            elif kind == "f" and group in (None, current):
                corners = [corner_indices(word) for word in words[1:]]
                faces += fan([vertex for vertex, _ in corners])
                uv_faces += fan([texture for _, texture in corners])
    return Mesh(
        np.array(vertices, np.float32),
        np.array(uv or [[0, 0]], np.float32),
        np.array(faces, np.int32),
        np.array(uv_faces, np.int32),
    )


def corner_indices(word):
    """`7/9` to (6, 8): indices of vertex and texture coordinate, from 0; a missing one is 0."""
    vertex, _, rest = word.partition("/")
    texture = rest.split("/")[0]
    return int(vertex) - 1, int(texture) - 1 if texture else 0


def fan(polygon):
    """The triangles of a convex polygon, all from its first corner."""
    return [[polygon[0], polygon[k], polygon[k + 1]] for k in range(1, len(polygon) - 1)]


def read_target(path):
    """A morph: (indices [K] int, offsets [K, 3] f32) to add to the base mesh."""
    with open(path) as file:
        rows = [line.split()[:4] for line in file if line.strip() and not line.startswith("#")]
    table = np.array(rows, np.float64).reshape(-1, 4)
    return table[:, 0].astype(int), table[:, 1:].astype(np.float32)


def read_texture(path):
    """RGBA f32 [H, W, 4], 0 to 1, colours linear."""
    with Image.open(path) as image:
        return (np.array(image.convert("RGBA")).astype(np.float32) / 255) ** GAMMA


def read_strands(path):
    """(brightness, alpha), f32 [H, W] each, of a hair texture; brightness 1 is its mean."""
    texture = read_texture(path)
    luminance = texture[..., :3].mean(-1, keepdims=True)
    alpha = texture[..., 3:]
    mean = (luminance * alpha).sum() / (alpha.sum() + 1e-6)
    brightness = np.clip(luminance / (mean + 1e-4), 0.35, 1.7)
    return brightness[..., 0].copy(), alpha[..., 0].copy()


@dataclasses.dataclass
class Proxy:
    """A mesh bound to the base mesh: each vertex hangs on three of the body's (mhclo format)."""

    mesh: Mesh
    references: np.ndarray  # [V, 3] int into the body's vertices
    weights: np.ndarray  # [V, 3] f32
    offsets: np.ndarray  # [V, 3] f32, in units of the scales
    scales: dict  # axis -> (vertex, vertex, distance of the two in the unscaled body)

    def fit(self, body):
        """The proxy's vertices [V, 3] f32 on a body [B, 3] f32."""
        scale = np.ones(3, np.float32)
        for axis, (first, second, distance) in self.scales.items():
            scale[axis] = abs(body[first, axis] - body[second, axis]) / distance
        return (body[self.references] * self.weights[:, :, None]).sum(1) + self.offsets * scale


def read_proxy(path):
    """The proxy of a .mhclo file and of the mesh that it names."""
    scales, bindings, mesh, listing = {}, [], None, False
    with open(path) as file:
        for words in filter(None, map(str.split, file)):
            key = words[0]
            if key == "obj_file":
                mesh = read_obj(os.path.join(os.path.dirname(path), words[1]))
            elif key in AXES:
                scales[AXES[key]] = (int(words[1]), int(words[2]), float(words[3]))
            elif key == "verts":
                listing = True
            elif key in AFTER_VERTICES:
                listing = False
            elif listing and key.isdigit():
                bindings.append(read_binding(words))
    references, weights, offsets = zip(*bindings)
    weights, offsets = np.array(weights, np.float32), np.array(offsets, np.float32)
    return Proxy(mesh, np.array(references), weights, offsets, scales)


def read_binding(words):
    """(references, weights, offsets), three each, of one line: one vertex alone, or three."""
    if len(words) == 1:
        return [int(words[0])] * 3, [1, 0, 0], [0, 0, 0]
    numbers = [float(word) for word in words[3:9]]
    return [int(word) for word in words[:3]], numbers[:3], numbers[3:] or [0, 0, 0]
