"""A z-buffered triangle rasteriser with soft light, for numba.

All arithmetic stands in the order that the data set was made with: `fastmath` lets the compiler
reorder sums, so a change here is checked against stored pictures (`check.py`).
"""

from typing import NamedTuple

import numpy as np
from numba import njit

FAR = -1e9  # depth of an empty pixel
OUTSIDE = -1e-4  # how far a pixel's centre may lie outside of a triangle, in barycentric units
FLAT = 1e-9  # triangles of less area (square pixels, doubled) are left out
INVISIBLE = 0.03  # alpha below which a blended pixel is left out
OWNS_PART = 0.5  # alpha above which a blended pixel changes the index map
OWNS_DEPTH = 0.7  # and the depth


class Surface(NamedTuple):
    """Triangles as the camera sees them."""

    points: np.ndarray  # [V, 3] f32: x, y in fine pixels, z nearer is larger
    normals: np.ndarray  # [V, 3] f32, towards the camera is +z
    uv: np.ndarray  # [T, 2] f32
    faces: np.ndarray  # [F, 3] i32
    uv_faces: np.ndarray  # [F, 3] i32


class Material(NamedTuple):
    """How a surface looks."""

    part: int  # its index in the map of parts
    texture: np.ndarray  # [H, W, 4] f32, linear
    specular: float
    tint: np.ndarray  # [3] f32, multiplies the texture
    blended: bool  # mixed by its alpha, seen from both sides; else opaque
    culled: bool  # faces that look away are left out


class Light(NamedTuple):
    """Sun, a weaker light from the other side, and sky; linear colours, directions of length 1."""

    direction: np.ndarray  # [3] f32
    colour: np.ndarray
    fill: np.ndarray
    fill_colour: np.ndarray
    ambient: np.ndarray


class Frame(NamedTuple):
    """What is drawn into, [side, side] fine pixels."""

    depth: np.ndarray  # f32
    colour: np.ndarray  # [side, side, 3] f32, linear
    parts: np.ndarray  # u8


class Triangle(NamedTuple):
    """One face in the picture."""

    x: tuple  # three corners, fine pixels
    y: tuple
    area: float  # doubled; positive where the face looks away


class Fragment(NamedTuple):
    """One pixel of one face."""

    x: int
    y: int
    weights: tuple  # barycentric coordinates, three
    corners: tuple  # indices of vertices, three
    uv_corners: tuple  # indices of texture coordinates, three


@njit(inline="always")
def corners_of(faces, face):
    """The three indices of a face."""
    return faces[face, 0], faces[face, 1], faces[face, 2]


@njit(inline="always")
def triangle_of(surface, corners):
    """The face over these corners."""
    a, b, c = corners
    points = surface.points
    x0, x1, x2 = points[a, 0], points[b, 0], points[c, 0]
    y0, y1, y2 = points[a, 1], points[b, 1], points[c, 1]
    area = (y1 - y2) * (x0 - x2) + (x2 - x1) * (y0 - y2)
    return Triangle((x0, x1, x2), (y0, y1, y2), area)


@njit(inline="always")
def span(values, size):
    """The pixels from the least to the greatest of three values, of a frame of `size`."""
    a, b, c = values
    first = max(0, int(np.floor(min(a, b, c))))
    last = min(size - 1, int(np.ceil(max(a, b, c))))
    return range(first, last + 1)


@njit(inline="always")
def barycentric(triangle, x, y):
    """The weights of the three corners at a pixel's middle; all positive inside."""
    x0, x1, x2 = triangle.x
    y0, y1, y2 = triangle.y
    px = x + 0.5
    py = y + 0.5
    l0 = ((y1 - y2) * (px - x2) + (x2 - x1) * (py - y2)) / triangle.area
    l1 = ((y2 - y0) * (px - x2) + (x0 - x2) * (py - y2)) / triangle.area
    return l0, l1, 1 - l0 - l1


@njit(inline="always")
def inside(weights):
    """Whether a pixel belongs to the triangle."""
    return weights[0] >= OUTSIDE and weights[1] >= OUTSIDE and weights[2] >= OUTSIDE


@njit(inline="always")
def interpolate(weights, table, column, corners):
    """A column of what the vertices or texture coordinates hold, at a pixel."""
    l0, l1, l2 = weights
    a, b, c = corners
    return l0 * table[a, column] + l1 * table[b, column] + l2 * table[c, column]


@njit(inline="always")
def mixed(texture, place, weights, channel):
    """One channel of four neighbours: upper left, upper right, lower left, lower right."""
    y, y1, x, x1 = place
    w00, w10, w01, w11 = weights
    upper = texture[y, x, channel] * w00 + texture[y, x1, channel] * w10
    return upper + texture[y1, x, channel] * w01 + texture[y1, x1, channel] * w11


@njit(inline="always")
def sample(texture, u, v):
    """Bilinear r, g, b, alpha of a texture that repeats; v counts from below."""
    height, width = texture.shape[0], texture.shape[1]
    fx = (u - np.floor(u)) * (width - 1)
    fy = (1 - (v - np.floor(v))) * (height - 1)
    ix = int(fx)
    iy = int(fy)
    ix1 = min(ix + 1, width - 1)
    iy1 = min(iy + 1, height - 1)
    ax = fx - ix
    ay = fy - iy
    w00 = (1 - ax) * (1 - ay)
    w10 = ax * (1 - ay)
    w01 = (1 - ax) * ay
    w11 = ax * ay
    place = (iy, iy1, ix, ix1)
    weights = (w00, w10, w01, w11)
    red = mixed(texture, place, weights, 0)
    green = mixed(texture, place, weights, 1)
    blue = mixed(texture, place, weights, 2)
    return red, green, blue, mixed(texture, place, weights, 3)


@njit(inline="always")
def normal_at(surface, material, fragment):
    """The normal at a pixel, of any length; that of a blended surface faces the camera."""
    normals, weights, corners = surface.normals, fragment.weights, fragment.corners
    nx = interpolate(weights, normals, 0, corners)
    ny = interpolate(weights, normals, 1, corners)
    nz = interpolate(weights, normals, 2, corners)
    if nz < 0 and material.blended:
        nx = -nx
        ny = -ny
        nz = -nz
    return nx, ny, nz


@njit(inline="always")
def illuminate(light, material, normal):
    """(sun, fill, sky, shine) that a normal of any length receives, each a share of its light."""
    nx, ny, nz = normal
    length = (nx * nx + ny * ny + nz * nz) ** 0.5 + 1e-9
    nx /= length
    ny /= length
    nz /= length
    sun = nx * light.direction[0] + ny * light.direction[1] + nz * light.direction[2]
    sun = max(0.0, (sun + 0.25) / 1.25)
    fill = max(0.0, nx * light.fill[0] + ny * light.fill[1] + nz * light.fill[2])
    sky = 0.5 + 0.5 * ny
    hx = light.direction[0]
    hy = light.direction[1]
    hz = light.direction[2] + 1
    half = (hx * hx + hy * hy + hz * hz) ** 0.5
    shine = max(0.0, (nx * hx + ny * hy + nz * hz) / half) ** 24 * material.specular
    return sun, fill, sky, shine


@njit(inline="always")
def lit(value, channel, light, material, received):
    """The colour of one channel of a texture in the light that it receives."""
    sun, fill, sky, shine = received
    ambient = light.ambient[channel] * (0.6 + 0.4 * sky)
    sunlight = ambient + sun * light.colour[channel] + fill * light.fill_colour[channel]
    return (value * material.tint[channel]) * sunlight + shine


@njit(inline="always")
def cover(frame, fragment, z, colour, part):
    """Replace a pixel by an opaque one."""
    x, y = fragment.x, fragment.y
    frame.depth[y, x] = z
    frame.colour[y, x, 0] = colour[0]
    frame.colour[y, x, 1] = colour[1]
    frame.colour[y, x, 2] = colour[2]
    frame.parts[y, x] = part


@njit(inline="always")
def blend(frame, fragment, z, colour, part):
    """Mix r, g, b, alpha into a pixel."""
    x, y, alpha = fragment.x, fragment.y, colour[3]
    frame.colour[y, x, 0] = frame.colour[y, x, 0] * (1 - alpha) + colour[0] * alpha
    frame.colour[y, x, 1] = frame.colour[y, x, 1] * (1 - alpha) + colour[1] * alpha
    frame.colour[y, x, 2] = frame.colour[y, x, 2] * (1 - alpha) + colour[2] * alpha
    if alpha > OWNS_PART:
        frame.parts[y, x] = part
    if alpha > OWNS_DEPTH:
        frame.depth[y, x] = z


@njit(inline="always")
def shade(surface, material, light, frame, fragment):
    """Colour a pixel where the surface is the nearest so far."""
    z = interpolate(fragment.weights, surface.points, 2, fragment.corners)
    if z <= frame.depth[fragment.y, fragment.x]:
        return
    u = interpolate(fragment.weights, surface.uv, 0, fragment.uv_corners)
    v = interpolate(fragment.weights, surface.uv, 1, fragment.uv_corners)
    red, green, blue, alpha = sample(material.texture, u, v)
    if material.blended and alpha < INVISIBLE:
        return
    received = illuminate(light, material, normal_at(surface, material, fragment))
    red = lit(red, 0, light, material, received)
    green = lit(green, 1, light, material, received)
    blue = lit(blue, 2, light, material, received)
    if material.blended:
        blend(frame, fragment, z, (red, green, blue, alpha), material.part)
    else:
        cover(frame, fragment, z, (red, green, blue, alpha), material.part)


@njit(cache=True, fastmath=True)
def draw(surface, material, light, frame):
    """Draw the surface into the frame, face by face in their order."""
    height, width = frame.depth.shape
    for face in range(surface.faces.shape[0]):
        corners = corners_of(surface.faces, face)
        triangle = triangle_of(surface, corners)
        if abs(triangle.area) < FLAT or (material.culled and triangle.area > 0):
            continue
        uv_corners = corners_of(surface.uv_faces, face)
        for y in span(triangle.y, height):
            for x in span(triangle.x, width):
                weights = barycentric(triangle, x, y)
                if inside(weights):
                    fragment = Fragment(x, y, weights, corners, uv_corners)
                    shade(surface, material, light, frame, fragment)
