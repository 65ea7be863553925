from dataclasses import replace

import pytest
import torch

from posekit.cameras import Cameras
from posekit.datasets import load_dataset
from posekit.rig_figures import epipolar_figure, epipolar_lines, moving_rig_figure
from posekit.skeleton import HUMANEVA_15


@pytest.fixture(scope="module")
def people():
    return load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",))


def test_every_joint_lies_on_its_line_whatever_the_size_of_the_rig(people):
    cameras, pixels = people.cameras[0].to(torch.float64), people.pixels[0].double()
    lines = epipolar_lines(pixels[0], cameras[0], cameras[1])
    assert lines.shape == (15, 24, 2)
    start, along = lines[:, :-1], lines.diff(dim=1)
    offset = pixels[1, :, None] - start
    share = ((offset * along).sum(-1) / (along * along).sum(-1)).clamp(0, 1)
    distance = (offset - share.unsqueeze(-1) * along).norm(dim=-1).nan_to_num(torch.inf).amin(-1)
    assert distance.max() < 1.5  # px; between its points a bent line is drawn straight
    larger = replace(cameras, t_world_to_camera=3 * cameras.t_world_to_camera)
    torch.testing.assert_close(epipolar_lines(pixels[0], larger[0], larger[1]), lines, equal_nan=True)


def test_the_slider_goes_over_joints(people):
    figure = epipolar_figure(people.pixels[0, :2], people.cameras[0, :2], people.view_names[:2], HUMANEVA_15)
    assert [frame.name for frame in figure.frames] == [joint.replace("_", " ") for joint in HUMANEVA_15.joints]
    assert figure.layout.meta["steps"] == "joint"
    first = figure.frames[3].data[0]
    assert (first.x[0], first.y[0]) == pytest.approx(people.pixels[0, 0, 3].tolist(), abs=0.1)


def test_a_rig_moves_with_its_person(people):
    true = people.cameras[0]
    steps = Cameras.stack([replace(true, t_world_to_camera=true.t_world_to_camera * scale) for scale in (1.5, 1.0)])
    names = ["step 0", "step 1"]
    figure = moving_rig_figure(steps, people.poses_world[:2], true, HUMANEVA_15, names, "a rig")
    assert [frame.name for frame in figure.frames] == names
    ghost, rig = (next(t for t in figure.data if t.type == "scatter3d" and t.line.width == width) for width in (2, 4))
    moved = figure.frames[1].data[list(figure.frames[1].traces).index(list(figure.data).index(rig))]
    assert moved.x[0] == pytest.approx(ghost.x[0], abs=1e-3)
    assert rig.x[0] == pytest.approx(1.5 * ghost.x[0], abs=1e-3)
