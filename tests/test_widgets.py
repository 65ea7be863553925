"""The real widgets, used as a reader would use them."""

import numpy as np
import pytest

from posekit.lifters import FrameLifter, SequenceLifter
from posekit.sequences import from_clips
from posekit.triangulation import triangulate
from posekit.widgets import PLOTLY_MIME, LiftExplorer

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"


def triangulated(dataset):
    points = triangulate(dataset.pixels, dataset.frame_cameras).points
    return dataset.frame_cameras.world_to_camera(points.float().unsqueeze(1))


@pytest.fixture
def two_clips(small):
    """Two clips of different lengths, so that a frame number of one may not exist in the other."""
    parts = [
        dict(
            subject="S2",
            action=action,
            name="take",
            cameras=small.cameras[0],
            pixels=small.pixels[frames],
            poses_world=small.poses_world[frames],
        )
        for action, frames in (("Walking", slice(0, 200)), ("Jog", slice(300, 400)))
    ]
    return from_clips("two", small.skeleton, small.frame_rate, small.view_names, parts)


@pytest.fixture
def explorer(two_clips, source):
    lifter = FrameLifter(15, width=16, root="free", generator=source).eval()
    return LiftExplorer(two_clips, {"lifter": lifter, "triangulation": triangulated})


def lines(explorer):
    """All coordinates drawn, panel by panel: those of the image and those of the person."""
    image = [np.stack([t.x, t.y]) for t in explorer.drawn.data if t.type == "scatter"]
    person = [np.stack([t.x, t.y, t.z]) for t in explorer.drawn.data if t.type == "scatter3d"]
    return image, person


def moved(before, after):
    return max(np.nanmax(np.abs(a - b)) for a, b in zip(before, after))


@pytest.mark.parametrize(("name", "value"), [("clip", 1), ("frame", 7), ("view", 2), ("noise_px", 8.0)])
def test_a_control_moves_both_panels(explorer, name, value):
    image, person = lines(explorer)
    explorer.controls[name].value = value
    new_image, new_person = lines(explorer)
    assert moved(image, new_image) > 1  # px
    assert moved(person, new_person) > 1e-3  # m


def test_the_method_moves_the_person_only(explorer):
    image, person = lines(explorer)
    explorer.controls["method"].value = "triangulation"
    new_image, new_person = lines(explorer)
    assert moved(image, new_image) == 0
    assert moved(person, new_person) > 0.05
    assert explorer.drawn.layout.annotations[1].text == "triangulation, mpjpe 0 mm"


def test_what_is_drawn_is_the_figure_of_the_choice(explorer):
    choice = dict(clip=1, frame=9, view=1, method="triangulation", noise_px=3.0)
    for name, value in choice.items():
        explorer.controls[name].value = value
    expected = explorer.figure(**choice)
    for drawn, wanted in zip(explorer.drawn.data, expected.data, strict=True):
        np.testing.assert_array_equal(drawn.x, wanted.x)
        np.testing.assert_array_equal(drawn.y, wanted.y)
    assert explorer.drawn.layout.annotations == expected.layout.annotations


def test_a_shorter_clip_shortens_the_frame_slider(explorer):
    explorer.controls["frame"].value = explorer.controls["frame"].max
    explorer.controls["clip"].value = 1
    assert explorer.controls["frame"].value == explorer.controls["frame"].max == 99


def test_the_readers_viewpoint_stays(explorer):
    explorer.drawn.layout.scene.camera.eye.x = 0.5
    explorer.controls["frame"].value = 3
    explorer.controls["view"].value = 1
    assert explorer.drawn.layout.scene.camera.eye.x == 0.5


def test_a_clip_is_lifted_once(two_clips):
    calls = []

    def counted(dataset):
        calls.append(len(dataset))
        return triangulated(dataset)

    explorer = LiftExplorer(two_clips, {"counted": counted})
    for frame in range(5):
        explorer.controls["frame"].value = frame
    assert calls == [200]


def test_a_sequence_lifter_sees_its_window(two_clips, source):
    lifter = SequenceLifter(15, width=16, heads=2, layers=1, window=27, generator=source).eval()
    lengths = []
    lifter.register_forward_hook(lambda module, inputs, output: lengths.append(inputs[0].shape[-4]))
    LiftExplorer(two_clips, {"sequence": lifter}).figure()
    assert set(lengths) == {27}


def test_with_a_kernel_there_are_controls(explorer, monkeypatch):
    monkeypatch.delenv("POSEKIT_QUIET", raising=False)
    shown = explorer._repr_mimebundle_()
    assert shown[WIDGET_MIME]["model_id"] == explorer.live.model_id


def test_in_the_book_there_is_the_figure_and_no_control(explorer, monkeypatch):
    monkeypatch.setenv("POSEKIT_QUIET", "1")
    shown = explorer._repr_mimebundle_()
    assert list(shown) == [PLOTLY_MIME]
    assert len(shown[PLOTLY_MIME]["layout"]["meta"]["alt"]) > 30
    assert not {"controls", "drawn", "live"} & set(vars(explorer))


def test_no_method_is_an_error(small):
    with pytest.raises(ValueError, match="at least one"):
        LiftExplorer(small, {})
