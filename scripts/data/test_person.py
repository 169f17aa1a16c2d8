"""The random draws, against labels of stored pictures: their order is the data set. No assets."""

import unittest

import numpy as np

import body
import person

EYES = ("blue", "bluegreen", "brown", "brownlight", "deepblue", "green", "grey", "ice", "lightblue")
AGES, RACES, SEXES = ("middleage", "old", "young"), person.RACES, ("female", "male")
SKINS = {f"{age}_{race}_{sex}": 1 for age in AGES for race in RACES for sex in SEXES}
CATALOGUE = person.Catalogue(
    SKINS | {"young_caucasian_female": 2, "young_caucasian_male": 2}, EYES, brows=12
)


class Draws(unittest.TestCase):
    def test_picture_0_has_its_stored_labels(self):
        drawn = person.draw(0, CATALOGUE)
        self.assertEqual(round(drawn.gender, 4), 0.0142)
        self.assertEqual(round(20 + 60 * drawn.age, 4), 68.369)
        self.assertEqual(round(drawn.race["caucasian"], 4), 0.6794)
        self.assertEqual(round(drawn.smile, 4), 0.8361)
        self.assertEqual([round(value, 4) for value in drawn.shape[34:37]], [0.194, 0.2566, 0.1815])
        self.assertEqual((drawn.hair, drawn.eye, drawn.glasses), ("bob02", 3, False))
        self.assertEqual([round(v, 4) for v in drawn.hair_colour], [0.4351, 0.4089, 0.3939])
        self.assertEqual([round(float(v), 4) for v in drawn.shirt], [0.6802, 0.0329, 0.0384])
        self.assertEqual([round(v, 4) for v in drawn.background], [0.1491, 0.3608, 0.1463])
        self.assertEqual(drawn.skin, "old_caucasian_female")

    def test_the_last_draw_of_the_look_is_right_too(self):
        drawn = person.draw(19, CATALOGUE)
        self.assertTrue(drawn.glasses and drawn.sunglasses)
        self.assertEqual(sum(person.draw(n, CATALOGUE).sunglasses for n in range(20)), 1)

    def test_a_change_keeps_everything_else(self):
        for seed in (0, 2, 900_000):
            base = vars(person.draw(seed, CATALOGUE))
            changed = vars(person.draw(seed, CATALOGUE, yaw=0.3, smile=1.0))
            differing = {key for key in base if not np.array_equal(base[key], changed[key])}
            self.assertEqual(differing, {"yaw", "smile"})

    def test_glasses_put_on_change_nothing_but_the_glasses(self):
        base = vars(person.draw(0, CATALOGUE))
        changed = vars(person.draw(0, CATALOGUE, glasses=True))
        differing = {key for key in base if not np.array_equal(base[key], changed[key])}
        self.assertLessEqual({"glasses", "glasses_draws"}, differing)
        self.assertTrue(all("glasses" in key for key in differing), differing)


class Rules(unittest.TestCase):
    def test_hair_depends_on_sex(self):
        for seed in range(300):
            drawn = person.draw(seed, CATALOGUE)
            short = drawn.hair == "bald" or drawn.hair[:5] in ("short", "afro0")
            self.assertTrue(short or not drawn.male, (seed, drawn.hair))
            self.assertTrue(drawn.male or drawn.hair != "bald", seed)

    def test_a_missing_skin_is_replaced_by_a_younger_one(self):
        some = {name: 1 for name in SKINS if not name.startswith("old")}
        catalogue = person.Catalogue(some, EYES, brows=12)
        drawn = person.draw(0, catalogue)
        self.assertEqual(drawn.skin, "young_caucasian_female")

    def test_odds_of_eye_colours_sum_to_one(self):
        for race in RACES:
            odds = CATALOGUE.eye_odds(race)
            self.assertAlmostEqual(odds.sum(), 1)
            self.assertEqual(odds[2], odds[3])  # both browns
        self.assertGreater(CATALOGUE.eye_odds("african")[2], CATALOGUE.eye_odds("caucasian")[2])

    def test_only_the_old_have_grey_hair(self):
        drawn = person.draw(1, CATALOGUE, age=0.2)
        np.testing.assert_array_equal(drawn.hair_colour, person.HAIR_BASE[drawn.hair_base])
        drawn.age, drawn.greys = 1.0, True
        np.testing.assert_allclose(drawn.hair_colour, [0.6] * 3, atol=0.02)


class Morphs(unittest.TestCase):
    def test_blends_of_heads_and_of_weights_sum_to_one(self):
        for seed in range(20):
            drawn = person.draw(seed, CATALOGUE)
            self.assertAlmostEqual(sum(weight for _, weight in body.origin(drawn)), 1)
            self.assertAlmostEqual(sum(weight for _, weight in body.build(drawn)), 1)

    def test_signs_choose_targets(self):
        frown = dict(body.morphs(person.draw(0, CATALOGUE, brow=-1.0)))
        raised = dict(body.morphs(person.draw(0, CATALOGUE, brow=1.0)))
        self.assertEqual(frown[f"{body.EXPRESSION}/eyebrows-left-down"], 1)
        self.assertEqual(raised[f"{body.EXPRESSION}/eyebrows-right-up"], 1)
        self.assertNotIn(f"{body.EXPRESSION}/eyebrows-left-up", frown)

    def test_the_label_s_identity_is_what_the_shape_uses(self):
        self.assertEqual(body.FIRST_FORM + len(body.FORMS), person.IDENTITY)
        drawn = person.draw(0, CATALOGUE)
        before = list(body.morphs(drawn))
        drawn.shape[person.IDENTITY :] = 9
        self.assertEqual(before, list(body.morphs(drawn)))


if __name__ == "__main__":
    unittest.main()
