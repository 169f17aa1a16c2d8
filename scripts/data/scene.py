"""One picture of one person."""

import dataclasses

import numpy as np

import layers
from camera import landmarks
from stage import Stage, develop

LAYERS = (
    layers.draw_skin,
    layers.draw_shirt,
    layers.draw_eyes,
    layers.draw_teeth,
    layers.draw_brows,
    layers.draw_hair,
    layers.draw_glasses,
)


@dataclasses.dataclass
class Picture:
    """A finished picture and what is measured in it."""

    rgb: np.ndarray  # u8 [128, 128, 3], sRGB
    parts: np.ndarray  # u8 [128, 128], indices into `layers.PARTS`
    landmarks: np.ndarray  # f32 [5, 2] pixels: eye, eye, nose tip, mouth corners; image-left first
    skin_luminance: float  # linear, before any light


def photograph(person, assets):
    """The `Picture` of a person, mirrored where the person says so."""
    stage = Stage(person, assets)
    for layer in LAYERS:
        layer(stage)
    rgb, parts = develop(stage.frame)
    if person.mirrored:
        rgb, parts = rgb[:, ::-1], parts[:, ::-1]
    points = landmarks(stage.camera, stage.head.points(), person.mirrored)
    luminance = layers.skin_luminance(person, assets)
    return Picture(np.ascontiguousarray(rgb), np.ascontiguousarray(parts), points, luminance)
