"""The label object of a picture: what a JSON line holds, keys in the data set's order."""

import numpy as np

from person import IDENTITY


def rounded(value):
    """Four decimals."""
    return round(float(value), 4)


def label(number, person, picture, **names):
    """The labels of picture `number`; angles in degrees, turned with a mirrored picture.

    `names` are further keys, as the edit and the file of a pair; they stand before the landmarks.
    """
    sign = -1 if person.mirrored else 1
    return {
        "id": number,
        "gender": rounded(person.gender),
        "age": rounded(20 + 60 * person.age),
        **{race: rounded(share) for race, share in person.race.items()},
        "weight": rounded(person.weight),
        "smile": rounded(person.smile),
        "mouth_open": rounded(person.mouth_open),
        "yaw_deg": rounded(np.degrees(person.yaw) * sign),
        "pitch_deg": rounded(np.degrees(person.pitch)),
        "roll_deg": rounded(np.degrees(person.roll) * sign),
        "brow": rounded(person.brow),
        "eye_closure": rounded(person.eye_closure),
        "light_deg": rounded(np.degrees(person.light) * sign),
        "glasses": int(person.glasses),
        "sunglasses": int(person.sunglasses),
        "hair": person.hair,
        "hair_rgb": [rounded(value) for value in person.hair_colour],
        "eye_colour": person.eye,
        "shirt_rgb": [rounded(value) for value in person.shirt],
        "background_rgb": [rounded(value) for value in person.background],
        "skin_luminance": rounded(picture.skin_luminance),
        "identity": [rounded(value) for value in person.shape[:IDENTITY]],
        **names,
        "landmarks": [[round(float(value), 2) for value in point] for point in picture.landmarks],
    }
