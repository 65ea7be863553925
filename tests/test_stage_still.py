"""Still pictures of the pages' scenes: what is given fits, rays are straight, and colours are those of the key."""

import re

import numpy as np
import pytest

from posebook.stage_still import Eye, key_html, on_picture, placed, seen_by, still_scene, tint


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


STAGE = {"joints": ["pelvis", "thorax", "head"], "bones": {"left": [[0, 1]], "centre": [[1, 2]]}}
TRUTH = np.array([[0, 0, 1.0], [0, 0, 1.5], [0, 0, 1.7]])
FROM_THE_SIDE = Eye(0.0, 0.0)


def bones(still, color):
    """The lines of a colour: both ends and the width."""
    number = r'="([-\d.]+)"'
    found = re.findall(
        rf'<line x1{number} y1{number} x2{number} y2{number} stroke="{re.escape(color)}" stroke-width{number}', still
    )
    return np.array(found, float)


def test_a_tinted_still_has_the_colours_of_the_scale_and_its_pelvis_on_the_true_one():
    person = TRUTH + np.array([[0, 0.3, 0], [0, 0.35, 0], [0, 0.7, 0]])
    still = still_scene(STAGE, person, TRUTH, FROM_THE_SIDE, tinted=True)
    assert "var(--pk-bad) 50%" in tint(0.05)
    assert "var(--pk-bad) 100%" in tint(0.4)
    (half,), (worst,) = (bones(still, tint(off)) for off in (0.05, 0.4))
    true, _ = bones(still, "var(--pk-grey)")
    assert half[:2] == pytest.approx(true[:2])
    assert worst[2] != pytest.approx(true[0])
    assert f'fill="{tint(0.4)}"' in still


def test_in_a_still_the_truth_is_a_thin_rim():
    still = still_scene(STAGE, TRUTH, TRUTH, FROM_THE_SIDE)
    (lifted,), (true, _) = bones(still, "#0072B2"), bones(still, "var(--pk-grey)")
    assert lifted[4] < true[4] < 1.5 * lifted[4]


def test_the_key_names_what_the_scene_has():
    assert re.findall(r'pk-line pk-(\w+)"></i>([^<]+)', key_html("the truth")) == [
        ("left", "left"),
        ("right", "right"),
        ("truth", "the truth"),
    ]
