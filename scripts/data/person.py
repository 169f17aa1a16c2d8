"""One person and one photograph as numbers: every random draw that a picture is made from.

The order of the draws is part of the data set: a seed gives the same picture for ever. Two streams
are used, as the pictures of `data/faces` were made: `seed` for the face and the pose,
`seed + 10,000,000` for textures, colours and light.
"""

import dataclasses

import numpy as np

STREAM = 10_000_000
RACES = ("african", "asian", "caucasian")
SHAPES = 64  # drawn; IDENTITY of them are used by the head shape
IDENTITY = 37
EYES_BROWN = {"african": 0.97, "asian": 0.93, "caucasian": 0.3}
HAIR_BASE = np.array(
    [
        [0.05, 0.04, 0.035],
        [0.16, 0.09, 0.05],
        [0.35, 0.2, 0.09],
        [0.62, 0.45, 0.2],
        [0.45, 0.12, 0.04],
    ]
)
HAIR_BASE_ODDS = {
    "caucasian": (0.4, 0.25, 0.15, 0.12, 0.08),
    "other": (0.85, 0.12, 0.02, 0.005, 0.005),
}
MALE_HAIR = ("bald", "short01", "short02", "short03", "short04", "short02", "short04")
FEMALE_HAIR = ("bob01", "bob02", "long01", "ponytail01", "braid01") + (
    "long01",
    "long01",
    "ponytail01",
    "braid01",
)


@dataclasses.dataclass
class Catalogue:
    """How many textures there are to choose from: the odds of a draw depend on it."""

    skins: dict  # name of a skin -> number of its textures
    eyes: tuple  # names of the eye colours, in order
    brows: int

    def eye_odds(self, race):
        """The probability of each eye colour, in the order of `eyes`; sum 1."""
        brown = EYES_BROWN[race]
        other = (1 - brown) / max(1, len(self.eyes) - 2)
        odds = np.array([brown if name.startswith("brown") else other for name in self.eyes])
        return odds / odds.sum()


@dataclasses.dataclass
class Person:
    """A face, its pose, its light and its dress: first what makes the face, then what is put on.

    Angles in radians, colours linear RGB. A `*_draw` is a random number that other attributes turn
    into what is seen.
    """

    male: bool  # chooses skin and hair; the form of the head goes by gender
    gender: float  # 0 female to 1 male
    age: float  # 0 to 1: 20 to 80 years
    race: dict  # share of each of RACES, sum 1
    weight: float  # 0 thin, 0.5 average, 1 heavy
    smile: float  # 0 to 1
    mouth_open: float  # 0 to 0.8
    yaw: float
    pitch: float
    roll: float
    brow: float  # below 0 a frown, above 0 raised; 1 is full
    eye_closure: float  # 0 open
    glasses: bool
    light: float  # azimuth of the sun
    shape: np.ndarray  # [SHAPES]
    mirrored: bool
    background: np.ndarray = None  # [3], at the top
    background_fall: float = 0.0  # 0 to 1: the bottom has 45 % to 85 % of the top's light
    light_height: float = 0.0  # 0 to 1
    warmth: float = 0.0  # of the sun's colour; normal
    light_power: float = 0.0  # 0 to 1
    skin: str = ""  # a name of the catalogue
    skin_index: int = 0  # which of its textures
    tint: tuple = ()  # lightness and warmth of the skin; normal
    shirt_draw: np.ndarray = None  # [3], 0 to 1
    eye: int = 0  # index into the catalogue's eye colours
    grey_draw: float = 0.0
    greys: bool = True  # False: hair never turns grey
    hair_base: int = 0  # index into HAIR_BASE
    brow_style: int = 0  # index into the catalogue's brows
    hair_index: int = 0  # index into `hair_styles`
    glasses_draws: tuple = ()  # height, squareness, thickness: 0 to 1
    glasses_colour: int = 0  # index into the frames' colours
    sunglasses: bool = False

    @property
    def main_race(self):
        """The one with the largest share: it chooses skin, eyes and hair."""
        return max(self.race, key=self.race.get)

    @property
    def hair_styles(self):
        """The styles that this person's is drawn from, each as likely."""
        african = self.main_race == "african"
        if self.male:
            return (*MALE_HAIR, "afro01" if african else "short03")
        return (*FEMALE_HAIR, "afro01" if african else "bob02", "short03")

    @property
    def hair(self):
        """The name of the hair style, or `bald`."""
        return self.hair_styles[self.hair_index]

    @property
    def hair_colour(self):
        """Linear RGB [3]: the base colour, greyer with age."""
        grey = np.clip((self.age - 0.55) * 2.4 + self.grey_draw * 0.12, 0, 1) * self.greys
        return HAIR_BASE[self.hair_base] * (1 - grey) + np.array([0.6, 0.6, 0.6]) * grey

    @property
    def shirt(self):
        """Linear RGB [3] f32: the precision that it is drawn and labelled in."""
        return (self.shirt_draw**1.5 * 0.75 + 0.03).astype(np.float32)


def draw_face(rs):
    """The first stream: who it is and how the head is held."""
    male = bool(rs.rand() < 0.5)
    gender = float(np.clip(male + rs.choice([-1, 1]) * abs(rs.randn()) * 0.12, 0, 1))
    age = rs.rand() ** 1.3
    race = dict(zip(RACES, rs.dirichlet([0.45, 0.45, 0.45])))
    weight = np.clip(0.5 + 0.17 * rs.randn(), 0.1, 0.95)
    smile = float(rs.rand() < 0.55) * rs.rand()
    mouth_open = max(0, min(0.8, rs.randn() * 0.3 - 0.1))
    yaw = np.clip(rs.randn() * 0.24, -0.6, 0.6)
    pitch, roll = rs.randn() * 0.06, rs.randn() * 0.04
    brow = rs.randn() * 0.5
    eye_closure = max(0, rs.randn() * 0.25 - 0.1)
    glasses = bool(rs.rand() < 0.2 + 0.15 * (age > 0.6))
    light = rs.randn() * 0.7
    shape = rs.randn(SHAPES) * 0.17
    mirrored = bool(rs.rand() < 0.5)
    return Person(
        male, gender, age, race, weight, smile, mouth_open, yaw, pitch, roll, brow, eye_closure,
        glasses, light, shape, mirrored,
    )  # fmt: skip


def skin_key(person, catalogue):
    """The skin by age, race and sex; the nearest that exists."""
    sex = "male" if person.male else "female"
    age = "young" if person.age < 0.33 else "middleage" if person.age < 0.62 else "old"
    names = [f"{a}_{person.main_race}_{sex}" for a in (age, "young", "middleage")]
    return next(name for name in names if name in catalogue.skins)


def draw_look(person, rs, catalogue):
    """The second stream: colours, light, textures, dress."""
    p, race = person, person.main_race
    p.background = rs.rand(3) * 0.5 + 0.08
    p.background_fall = rs.rand()
    p.light_height = rs.rand()
    p.warmth = rs.randn()
    p.light_power = rs.rand()
    p.skin = skin_key(p, catalogue)
    p.skin_index = rs.randint(catalogue.skins[p.skin])
    p.tint = (rs.randn(), rs.randn())
    p.shirt_draw = rs.rand(3)
    p.eye = int(rs.choice(len(catalogue.eyes), p=catalogue.eye_odds(race)))
    p.grey_draw = rs.randn()
    p.greys = bool(rs.rand() < 0.85)
    odds = HAIR_BASE_ODDS["caucasian" if race == "caucasian" else "other"]
    p.hair_base = int(rs.choice(5, p=odds))
    p.brow_style = rs.randint(catalogue.brows)
    p.hair_index = rs.randint(len(p.hair_styles))
    if p.glasses:
        p.glasses_draws = (rs.rand(), rs.rand(), rs.rand())
        p.glasses_colour = rs.randint(5)
        p.sunglasses = bool(rs.rand() < 0.12)
    return p


def draw(seed, catalogue, **changes):
    """The person of `seed`; `changes` replaces attributes of the face before the look is drawn."""
    person = draw_face(np.random.RandomState(seed))
    for name, value in changes.items():
        setattr(person, name, value)
    return draw_look(person, np.random.RandomState(seed + STREAM), catalogue)
