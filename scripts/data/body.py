"""From parameters to a mesh: the base mesh plus weighted morph targets.

The weights of shape are f64 and those of expression f32, and targets are added in one fixed order:
sums in f32 depend on both, and the bytes of the data set on the sums.
"""

import dataclasses

import numpy as np

SKIN_VERTICES = 13380  # the first ones of the base mesh; helpers for clothes follow
NOSE_TIP = 297  # of those near the middle at the nose's height, the one farthest in front
MOUTH_CORNERS = (369, 7129)
EXPRESSION = "expression/units/caucasian"

# One coefficient of the shape each, in order: the target for a negative and for a positive one.
DETAILS = (
    ("head/head-scale-horiz-decr", "head/head-scale-horiz-incr"),
    ("head/head-scale-vert-decr", "head/head-scale-vert-incr"),
    ("nose/nose-scale-horiz-decr", "nose/nose-scale-horiz-incr"),
    ("nose/nose-scale-vert-decr", "nose/nose-scale-vert-incr"),
    ("nose/nose-scale-depth-decr", "nose/nose-scale-depth-incr"),
    ("nose/nose-hump-decr", "nose/nose-hump-incr"),
    ("mouth/mouth-scale-horiz-decr", "mouth/mouth-scale-horiz-incr"),
    ("mouth/mouth-upperlip-volume-decr", "mouth/mouth-upperlip-volume-incr"),
    ("mouth/mouth-lowerlip-volume-decr", "mouth/mouth-lowerlip-volume-incr"),
    ("chin/chin-width-decr", "chin/chin-width-incr"),
    ("chin/chin-height-decr", "chin/chin-height-incr"),
    ("chin/chin-prominent-decr", "chin/chin-prominent-incr"),
    ("forehead/forehead-scale-vert-decr", "forehead/forehead-scale-vert-incr"),
    ("eyes/l-eye-scale-decr", "eyes/l-eye-scale-incr"),
    ("eyebrows/eyebrows-trans-down", "eyebrows/eyebrows-trans-up"),
)
DETAIL_GAIN = 1.6

# Forms of the head: the coefficients from FIRST_FORM on, where positive.
FORMS = ("oval", "round", "square", "rectangular", "triangular", "diamond", "invertedtriangular")
FIRST_FORM = 30
FORM_GAIN = 1.2


def morphs(person):
    """Yield (target, weight) of everything that makes this face, in the order of addition."""
    yield from origin(person)
    yield from build(person)
    yield from details(person)
    yield from forms(person)
    yield from expression(person)


def shares(person):
    """((sex, age, share)...): the four corners that sex and age are blended from; sum 1."""
    sexes = {"male": person.gender, "female": 1 - person.gender}
    ages = {"young": 1 - person.age, "old": person.age}
    return [(sex, age, sexes[sex], ages[age]) for sex in sexes for age in ages]


def origin(person):
    """The head of each race, sex and age by its share."""
    for race, of_race in person.race.items():
        for sex, age, of_sex, of_age in shares(person):
            yield f"macrodetails/{race}-{sex}-{age}", np.float64(of_race) * of_sex * of_age


def build(person):
    """Thin to heavy: 0 is all thin, 0.5 average, 1 heavy."""
    heavier = np.float64(2 * person.weight - 1)
    weights = {"min": max(0, -heavier), "average": 1 - abs(heavier), "max": max(0, heavier)}
    for sex, age, of_sex, of_age in shares(person):
        for name, share in weights.items():
            target = f"macrodetails/universal-{sex}-{age}-averagemuscle-{name}weight"
            yield target, of_sex * of_age * share


def details(person):
    """Features of the face, one coefficient each; the eyes' size goes for both eyes."""
    for value, (negative, positive) in zip(person.shape * DETAIL_GAIN, DETAILS):
        target = negative if value < 0 else positive
        yield target, min(1, abs(value))
        if target.startswith("eyes/l-"):
            yield target.replace("l-", "r-", 1), min(1, abs(value))


def forms(person):
    """The head's outline."""
    for value, name in zip(person.shape[FIRST_FORM:] * FORM_GAIN, FORMS):
        yield f"head/head-{name}", max(0, value)


def expression(person):
    """Smile, mouth, eyes and brows, as f32."""
    smile = person.smile
    weights = [
        ("mouth-corner-puller", smile * 0.9),
        ("mouth-part-later", person.mouth_open * 0.35 + 0.12 * smile),
        ("mouth-open", person.mouth_open * 0.4),
    ]
    brows = "up" if person.brow > 0 else "down"
    for side in ("left", "right"):
        weights += [
            (f"eye-{side}-slit", min(1, 0.35 * smile)),
            (f"eye-{side}-closure", min(0.8, person.eye_closure)),
            (f"eyebrows-{side}-{brows}", min(1, abs(person.brow))),
        ]
    for name, weight in weights:
        yield f"{EXPRESSION}/{name}", np.float32(weight)


def shape(person, assets):
    """The vertices [V, 3] f32 of this person, helpers included."""
    vertices = assets.base.vertices.copy()
    for name, weight in morphs(person):
        if weight:
            indices, offsets = assets.target(name)
            vertices[indices] += weight * offsets
    return vertices


@dataclasses.dataclass
class Head:
    """A shaped head and the measures that camera, light and clothes are set by."""

    vertices: np.ndarray  # [V, 3] f32
    eyes: np.ndarray  # [E, 3] f32, both eyeballs
    eye_centre: np.ndarray  # [3] f32, between the eyes
    height: np.float32  # from the eyes to the crown

    @classmethod
    def of(cls, vertices, eyes):
        """Measure a head."""
        centre = eyes.mean(0)
        return cls(vertices, eyes, centre, vertices[:SKIN_VERTICES, 1].max() - centre[1])

    def eye(self, side):
        """The middle [3] of the eye on one side: -1 of x below 0, +1 above."""
        return self.eyes[side * self.eyes[:, 0] > 0].mean(0)

    def points(self):
        """The landmarks [5, 3] f32: eye, eye, nose tip, mouth corner, mouth corner; -x first."""
        spots = (NOSE_TIP, *MOUTH_CORNERS)
        return np.stack([self.eye(-1), self.eye(+1), *(self.vertices[spot] for spot in spots)])


def head(person, assets):
    """The head of a person."""
    vertices = shape(person, assets)
    return Head.of(vertices, assets.eyes.fit(vertices))
