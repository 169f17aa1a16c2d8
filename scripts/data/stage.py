"""What the layers of one picture share: head, camera, light and the frame they are drawn into."""

import numpy as np

import body
import geometry
from camera import OVERSAMPLING, SIDE, Camera
from raster import FAR, Frame, Light, Surface, draw

BUST = 3.2  # head heights below the eyes where the body is cut off
SUN_LIFT = 0.25  # of the sun's height that is drawn; 0.45 is the least


class Stage:
    """A person before the camera, ready to be drawn layer by layer."""

    def __init__(self, person, assets):
        self.person, self.assets = person, assets
        self.head = body.head(person, assets)
        self.camera = Camera.on(person, self.head)
        self.light = light_of(person)
        self.frame = empty_frame(person, self.camera.side)
        self.in_view = faces_in_view(self.head, assets.base.faces)

    def draw(self, vertices, mesh, material, back_to_front=False):
        """Draw `mesh` with its vertices put at [V, 3] f32; blending needs `back_to_front`."""
        points = self.camera.project(vertices)
        normals = self.camera.turn_normals(geometry.normals(vertices, mesh.faces))
        faces, uv_faces = mesh.faces, mesh.uv_faces
        if back_to_front:
            order = np.argsort(points[:, 2][faces].mean(1))
            faces, uv_faces = faces[order], uv_faces[order]
        draw(Surface(points, normals, mesh.uv, faces, uv_faces), material, self.light, self.frame)


def faces_in_view(head, faces):
    """bool [F]: the faces of the base mesh that the picture may show."""
    lowest = head.vertices[:, 1][faces].min(1)
    return lowest > head.eye_centre[1] - head.height * BUST


def direction(x, y, z):
    """A vector [3] f32 of length 1."""
    vector = np.array([x, y, z])
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def light_of(person):
    """The sun at the person's azimuth, and a dim light on the side that it leaves dark."""
    height = 0.45 + SUN_LIFT * person.light_height
    sun = direction(np.sin(person.light), height, np.cos(person.light) + 0.15)
    warmth = person.warmth * 0.06
    power = 0.72 + 0.25 * person.light_power
    colour = np.array([1 + warmth, 1, 1 - warmth]) * power
    fill = direction(-sun[0], 0.1, 0.5)
    fill_colour, ambient = np.full(3, 0.18, np.float32), np.full(3, 0.34, np.float32)
    return Light(sun, colour.astype(np.float32), fill, fill_colour, ambient)


def empty_frame(person, side):
    """A frame of `side` fine pixels with the background: one colour, darker towards the bottom."""
    top = person.background
    bottom = top * (0.45 + 0.4 * person.background_fall)
    down = np.linspace(0, 1, side)[:, None, None]
    colour = np.broadcast_to(top * (1 - down) + bottom * down, (side, side, 3))
    depth = np.full((side, side), FAR, np.float32)
    return Frame(depth, colour.astype(np.float32, order="C"), np.zeros((side, side), np.uint8))


def develop(frame):
    """The finished picture: (sRGB u8 [SIDE, SIDE, 3], parts u8 [SIDE, SIDE])."""
    blocks = frame.colour.reshape(SIDE, OVERSAMPLING, SIDE, OVERSAMPLING, 3)
    linear = blocks.mean((1, 3))
    rgb = (np.clip(linear, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
    middle = slice(OVERSAMPLING // 2, None, OVERSAMPLING)
    return rgb, frame.parts[middle, middle]
