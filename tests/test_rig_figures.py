from dataclasses import replace

import numpy as np
import pytest

from posekit.cameras import Cameras
from posekit.datasets import load_dataset
from posekit.rig_figures import moving_rig_figure
from posekit.skeleton import HUMANEVA_15


@pytest.fixture(scope="module")
def people():
    return load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",))


def test_a_rig_moves_with_its_person(people):
    true = people.cameras[0]
    steps = Cameras.stack([replace(true, t_world_to_camera=true.t_world_to_camera * scale) for scale in (1.5, 1.0)])
    names = ["step 0", "step 1"]
    figure = moving_rig_figure(steps, people.poses_world[:2], true, HUMANEVA_15, names, "a rig")
    assert [frame.name for frame in figure.frames] == names
    assert figure.layout.meta["steps"] == "step"
    ghost, rig = (next(t for t in figure.data if t.type == "scatter3d" and t.line.width == width) for width in (2, 4))
    moved = figure.frames[1].data[list(figure.frames[1].traces).index(list(figure.data).index(rig))]
    assert moved.x[0] == pytest.approx(ghost.x[0], abs=1e-3)
    assert rig.x[0] == pytest.approx(1.5 * ghost.x[0], abs=1e-3)


def test_at_every_step_cameras_and_person_lie_within_the_room(people):
    true = people.cameras[0]
    steps = Cameras.stack([replace(true, t_world_to_camera=true.t_world_to_camera * scale) for scale in (1.5, 0.5, 1.0)])
    figure = moving_rig_figure(steps, people.poses_world[:3], true, HUMANEVA_15, ["a", "b", "c"], "a rig")
    for moment in (figure, *figure.frames):
        for trace in moment.data:
            for axis in "xyz":
                low, high = figure.layout.scene[f"{axis}axis"].range
                assert low <= np.nanmin(trace[axis])
                assert np.nanmax(trace[axis]) <= high
