"""Where points fall in the picture. Needs no assets."""

import types
import unittest

import numpy as np

from camera import MIRRORED_ORDER, OVERSAMPLING, SIDE, Camera, landmarks

FACE = np.array(
    [[-0.3, 7.2, 1.2], [0.3, 7.2, 1.2], [0, 6.9, 1.6], [-0.2, 6.6, 1.3], [0.2, 6.6, 1.3]],
    np.float32,
)


def camera(yaw=0.0, pitch=0.0, roll=0.0):
    """The camera on a head whose eyes are at (0, 7.2, 1.2), the crown 1 above."""
    head = types.SimpleNamespace(
        eye_centre=np.array([0, 7.2, 1.2], np.float32), height=np.float32(1)
    )
    return Camera.on(types.SimpleNamespace(yaw=yaw, pitch=pitch, roll=roll), head)


class Projection(unittest.TestCase):
    def test_the_target_falls_on_the_middle(self):
        x, y, z = camera().project(camera().target[None])[0]
        self.assertEqual((x, y), (SIDE * OVERSAMPLING / 2, SIDE * OVERSAMPLING / 2))
        self.assertEqual(z, 0)

    def test_the_pivot_stays_when_the_head_turns(self):
        pivot = camera().pivot[None]
        turned = camera(yaw=0.5, pitch=0.2, roll=-0.3).project(pivot)
        np.testing.assert_allclose(turned, camera().project(pivot), atol=1e-3)

    def test_up_is_up_and_near_is_large(self):
        low, high = camera().project(np.array([[0, 6, 1], [0, 7, 1]], np.float32))
        self.assertLess(high[1], low[1])
        near, far = camera().project(np.array([[1, 7, 2], [1, 7, 0]], np.float32))
        self.assertGreater(near[0], far[0])
        self.assertGreater(near[2], far[2])

    def test_positive_yaw_takes_the_nose_to_the_right(self):
        still, turned = (landmarks(camera(yaw=yaw), FACE, False) for yaw in (0.0, 0.4))
        self.assertGreater(turned[2, 0] - turned[:2, 0].mean(), 5)
        self.assertAlmostEqual(float(still[2, 0]), SIDE / 2, places=4)

    def test_positive_roll_lifts_the_right_eye(self):
        left, right = landmarks(camera(roll=0.2), FACE, False)[:2]
        self.assertLess(right[1], left[1])


class Landmarks(unittest.TestCase):
    def test_mirroring_keeps_image_left_first(self):
        straight = landmarks(camera(yaw=0.3, roll=0.1), FACE, False)
        mirrored = landmarks(camera(yaw=0.3, roll=0.1), FACE, True)
        self.assertLess(mirrored[0, 0], mirrored[1, 0])
        self.assertLess(mirrored[3, 0], mirrored[4, 0])
        back = mirrored[MIRRORED_ORDER] * [-1, 1] + [SIDE, 0]
        np.testing.assert_allclose(back, straight, atol=1e-4)

    def test_a_turn_and_its_mirror_image_give_the_same_points(self):
        turned = landmarks(camera(yaw=0.3, roll=0.1), FACE, True)
        opposite = landmarks(camera(yaw=-0.3, roll=-0.1), FACE, False)
        np.testing.assert_allclose(turned, opposite, atol=1e-3)


if __name__ == "__main__":
    unittest.main()
