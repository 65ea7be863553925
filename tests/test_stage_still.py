"""Still pictures of the pages' scenes: what is given fits, and rays are straight."""

import numpy as np
import pytest

from posebook.stage_still import Eye, on_picture, placed, seen_by


def test_the_still_fits_and_its_rays_meet_the_camera():
    camera = {
        "R": np.eye(3)[[0, 2, 1]] * [[1], [-1], [1]],
        "center": np.array([0.0, -4.0, 1.0]),
        "focal": 500.0,
        "middle": 240.0,
        "plane": 1.5,
    }
    point = np.array([0.3, 0.2, 1.4])
    flat = on_picture(camera, seen_by(camera, point))
    away, toward = point - camera["center"], flat - camera["center"]
    assert np.cross(away, toward) == pytest.approx(np.zeros(3), abs=1e-9)
    corners = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    put = placed(corners, Eye(0.4, 0.2), (300, 200))
    at = np.array([put(corner)[:2] for corner in corners])
    assert at.min() >= 9.9
    assert (at <= np.array([290.1, 190.1])).all()
