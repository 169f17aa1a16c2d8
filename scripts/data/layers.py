"""The layers of a picture, each a function that draws itself on a stage."""

import numpy as np

import geometry
from formats import Mesh
from raster import Material

PARTS = ("background", "skin", "clothes", "eye", "teeth", "brow", "hair", "glasses")
SKIN, CLOTHES, EYE, TEETH, BROW, HAIR, GLASSES = range(1, len(PARTS))
WHITE = np.ones(3, np.float32)
TEETH_TINT = np.array([0.72, 0.69, 0.64], np.float32)
FRAME_COLOURS = (
    (0.02, 0.02, 0.02),
    (0.12, 0.05, 0.02),
    (0.45, 0.32, 0.12),
    (0.3, 0.02, 0.03),
    (0.02, 0.05, 0.25),
)
CLEAR_LENS = (0.9, 0.95, 1, 0.10)  # linear RGB, alpha
DARK_LENS = (0.03, 0.03, 0.03, 0.85)
CLOTH = 0.06  # decimetres between skin and shirt
NECK = 1.24  # head heights from the eyes down to the neck
COLLAR = 0.36  # head heights that the collar dips in front
CHEEKS = (slice(60, 200), slice(180, 330), slice(3))  # of a skin texture, to measure its luminance


def skin_tint(person):
    """What multiplies the skin's texture [3] f32: lighter or darker, warmer or colder."""
    lightness, warmth = person.tint
    tint = np.ones(3) * (1 + 0.10 * lightness) + np.array([0.03, 0, -0.03]) * warmth
    return tint.astype(np.float32)


def skin_luminance(person, assets):
    """The mean of linear r, g, b on the cheeks of the tinted texture."""
    texture = assets.skin(person.skin, person.skin_index)
    return float((texture[CHEEKS].mean((0, 1)) * skin_tint(person)).mean())


def draw_skin(stage):
    """The body."""
    person, base, seen = stage.person, stage.assets.base, stage.in_view
    mesh = base._replace(faces=base.faces[seen], uv_faces=base.uv_faces[seen])
    texture = stage.assets.skin(person.skin, person.skin_index)
    material = Material(SKIN, texture, 0.06, skin_tint(person), False, True)
    stage.draw(stage.head.vertices, mesh, material)


def collar(head):
    """The height [V] that the shirt ends at, for each vertex: lower in front than at the neck."""
    x, _, z = head.vertices.T
    neck = head.eye_centre[1] - NECK * head.height
    sideways = np.clip(1.15 - np.abs(x) / (0.8 * head.height), 0, 1)
    forward = np.clip((z - (head.eye_centre[2] - 2.1)) / 0.4, 0, 1)
    return neck - COLLAR * head.height * sideways * forward


def shirt_texture(colour):
    """RGBA f32 [2, 128, 4]: from nothing, left, to opaque; u is how far below the collar."""
    texture = np.ones((2, 128, 4), np.float32)
    texture[..., :3] = colour
    texture[:, :63, 3] = 0
    texture[:, 63, 3] = 0.5
    return texture


def draw_shirt(stage):
    """The body again, a little thicker, from the collar down."""
    head, faces = stage.head, stage.assets.base.faces
    outward = geometry.normals(head.vertices, faces)
    vertices = (head.vertices + outward * CLOTH).astype(np.float32)
    below = collar(head) - head.vertices[:, 1]
    u = np.clip(0.5 + below * 0.8, 0.02, 0.98)
    uv = np.stack([u, np.full(len(u), 0.5)], 1).astype(np.float32)
    faces = faces[stage.in_view & (below[faces].max(1) > -0.2)]
    material = Material(CLOTHES, shirt_texture(stage.person.shirt), 0.0, WHITE, True, True)
    stage.draw(vertices, Mesh(vertices, uv, faces, faces), material)


def draw_eyes(stage):
    """Both eyeballs."""
    texture = stage.assets.eye(stage.person.eye)
    material = Material(EYE, texture, 0.35, WHITE, True, False)
    stage.draw(stage.head.eyes, stage.assets.eyes.mesh, material, back_to_front=True)


def draw_teeth(stage):
    """Both rows; an open mouth shows them."""
    teeth = stage.assets.teeth
    material = Material(TEETH, stage.assets.teeth_texture, 0.0, TEETH_TINT, False, False)
    stage.draw(teeth.fit(stage.head.vertices), teeth.mesh, material)


def draw_brows(stage):
    """Eyebrows, a shade darker than the hair."""
    proxy, texture = stage.assets.brow(stage.person.brow_style)
    texture = texture.copy()
    texture[..., :3] = stage.person.hair_colour * 0.7
    material = Material(BROW, texture, 0.0, WHITE, True, False)
    stage.draw(proxy.fit(stage.head.vertices), proxy.mesh, material, back_to_front=True)


def dyed(brightness, alpha, colour):
    """RGBA f32 [H, W, 4] of strands [H, W] in a linear colour [3], none lighter than 0.8."""
    texture = np.empty((*alpha.shape, 4), np.float32)
    for channel in range(3):
        texture[..., channel] = np.minimum(0.8, colour[channel] * brightness)
    texture[..., 3] = alpha
    return texture


def draw_hair(stage):
    """The hair, if any."""
    if stage.person.hair == "bald":
        return
    proxy, (brightness, alpha) = stage.assets.hair(stage.person.hair)
    texture = dyed(brightness, alpha, stage.person.hair_colour)
    material = Material(HAIR, texture, 0.03, WHITE, True, False)
    stage.draw(proxy.fit(stage.head.vertices), proxy.mesh, material, back_to_front=True)


def plain_texture(*colour):
    """RGBA f32 [2, 2, 4] of one colour."""
    return np.ones((2, 2, 4), np.float32) * np.array(colour, np.float32)


def draw_glasses(stage):
    """Lenses, then frames, if worn."""
    person = stage.person
    if not person.glasses:
        return
    glasses = geometry.Glasses(stage.head, person.glasses_draws)
    lens = plain_texture(*(DARK_LENS if person.sunglasses else CLEAR_LENS))
    frame = plain_texture(*FRAME_COLOURS[person.glasses_colour], 1)
    draw_pieces(stage, glasses.lenses(), Material(GLASSES, lens, 0.5, WHITE, True, False))
    draw_pieces(stage, glasses.frames(), Material(GLASSES, frame, 0.25, WHITE, False, False))


def draw_pieces(stage, pieces, material):
    """Draw (vertices, faces) after each other, all of one colour."""
    uv = np.zeros((1, 2), np.float32)
    for vertices, faces in pieces:
        stage.draw(vertices, Mesh(vertices, uv, faces, np.zeros_like(faces)), material)
