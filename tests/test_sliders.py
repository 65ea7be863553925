import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from posebook.figure import figure_html
from posekit.colors import COLORS, GHOST
from posekit.datasets import load_dataset
from posekit.figures import reprojection_figure
from posekit.random import generator
from posekit.scenes import PLAIN, Scenes
from posekit.skeleton import HUMANEVA_15
from posekit.sliders import scaled_from, scenes_figure, sizes_figure, training_figure

SIZES = [0.8, 1.0, 1.2]
EPOCHS, ERRORS_MM = [0, 2, 4], [512.34, 250.0, 61.5]
LAST = len(EPOCHS) - 1


@pytest.fixture(scope="module")
def people():
    return load_dataset("synthetic", "test", subjects=("S2",), actions=("Walking",))


@pytest.fixture(scope="module")
def growing(people):
    return sizes_figure(people.poses_world[40], people.cameras[0], people.view_names, HUMANEVA_15, SIZES, start=2)


@pytest.fixture(scope="module")
def guesses(people):
    """What a lifter that comes ever nearer to the truth makes of a moment: (epochs, views, joints, xyz)."""
    true = people.poses_camera()[40]
    return torch.stack([true + off for off in (0.5, 0.2, 0.05)])


@pytest.fixture(scope="module")
def learning(people, guesses):
    moment, true = people.views()[40], people.poses_world[40]
    return training_figure(guesses, moment, true, EPOCHS, ERRORS_MM, people.view_names, HUMANEVA_15)


def in_images(figure, axis, step):
    """What moves in the image with that x-axis, at a step of the slider: x and y of its lines."""
    frame = figure.frames[step]
    drawn = [moved for index, moved in zip(frame.traces, frame.data) if getattr(figure.data[index], "xaxis", None) == axis]
    return np.concatenate([[line.x, line.y] for line in drawn], axis=1)


def test_a_person_scaled_from_a_camera_is_on_the_same_rays(people):
    camera, pose = people.cameras[0, 1], people.poses_world[40]
    scaled = scaled_from(camera, pose, torch.tensor([1.0, 1.5]))
    torch.testing.assert_close(scaled[0], pose)
    torch.testing.assert_close(camera.world_to_camera(scaled[1]), 1.5 * camera.world_to_camera(pose))
    torch.testing.assert_close(HUMANEVA_15.bone_lengths(scaled[1]), 1.5 * HUMANEVA_15.bone_lengths(pose))


def test_the_first_cameras_image_stands_still_while_the_others_move(growing):
    first, *others = ("x2", "x3", "x4")
    before = in_images(growing, first, 1)
    for step in range(len(SIZES)):
        np.testing.assert_allclose(in_images(growing, first, step), before, atol=0.11)  # drawn to 0.1 px
    for axis in others:
        assert np.nanmean(np.abs(in_images(growing, axis, 2) - in_images(growing, axis, 1))) > 10


def test_the_old_pose_stays_in_grey_and_the_slider_says_what_moves(people, growing):
    moving = set(growing.frames[0].traces)
    ghosts = [index for index, trace in enumerate(growing.data) if trace.name == "as before"]
    assert len(ghosts) == 3 * (1 + len(people.view_names))
    assert all(growing.data[index].line.color == GHOST for index in ghosts)
    assert not moving & set(ghosts)
    assert growing.frames[1].name.endswith("C1 0 px, C2 0 px, C3 0 px")
    assert growing.frames[2].name.startswith("1.20 times as large; moved: C1 0 px, C2 1")
    assert growing.layout.meta["loop"] == (0, 2, False)


def test_a_figure_begins_where_it_is_told_to(growing, learning):
    for figure, start in ((growing, 2), (learning, LAST)):
        assert figure.layout.meta["start"] == figure.layout.sliders[0].active == start
        for index, shown in zip(figure.frames[start].traces, figure.frames[start].data):
            np.testing.assert_array_equal(figure.data[index].x, shown.x)


def test_the_feet_of_the_largest_are_in_the_picture(people, growing):
    lowest = scaled_from(people.cameras[0, 0], people.poses_world[40], torch.tensor(SIZES))[..., 2].min()
    assert lowest < 0
    assert growing.layout.scene.zaxis.range[0] < lowest


def test_the_mark_is_on_the_curve_at_every_epoch(learning):
    (curve,) = [trace for trace in learning.data if trace.mode == "lines" and trace.line.color == COLORS["left"]]
    (mark,) = [index for index, trace in enumerate(learning.data) if trace.mode == "markers"]
    np.testing.assert_allclose(curve.y, ERRORS_MM, atol=0.05)
    assert learning.data[mark].xaxis == curve.xaxis
    for step, frame in enumerate(learning.frames):
        moved = frame.data[frame.traces.index(mark)]
        assert [moved.x[0], moved.y[0]] == [EPOCHS[step], pytest.approx(curve.y[step], abs=0.06)]
        assert frame.name == f"after epoch {EPOCHS[step]}: {ERRORS_MM[step]:.0f} mm"


def test_each_step_has_the_nine_reprojections_of_its_epoch(people, guesses, learning):
    axes = [trace.xaxis for trace in learning.data if trace.name == "seen"]
    axes = list(dict.fromkeys(axes))
    assert len(axes) == 9
    for step in range(len(EPOCHS)):
        still = reprojection_figure(guesses[step], people.views()[40], people.view_names, HUMANEVA_15)
        drawn = [trace for trace in still.data if trace.name in COLORS]
        for number, axis in enumerate(axes):
            expected = np.concatenate([[line.x, line.y] for line in drawn[3 * number : 3 * number + 3]], axis=1)
            np.testing.assert_array_equal(in_images(learning, axis, step), expected)


def test_the_guesses_come_together_over_the_truth(people, learning):
    pose = people.poses_world[40]
    truth = [trace for trace in learning.data if trace.type == "scatter3d" and trace.name == "truth"]
    assert max(np.nanmax(trace.z) for trace in truth) == pytest.approx(pose[:, 2].max().item(), abs=1e-3)

    aims = np.array([[trace[axis][trace.meta["head"]] for axis in "xyz"] for trace in truth if "head" in trace.meta])
    assert np.linalg.norm(aims[1:] - aims[:-1], axis=1) == pytest.approx(1, abs=2e-3), "side by side"

    def off(step):
        """How far the worst guess's head is from that of the truth beside which it stands."""
        frame = learning.frames[step]
        moved = [(learning.data[index], line) for index, line in zip(frame.traces, frame.data)]
        heads = [(line, trace.meta["head"]) for trace, line in moved if trace.type == "scatter3d" and "head" in trace.meta]
        return np.linalg.norm([[line[axis][head] for axis in "xyz"] for line, head in heads] - aims, axis=1).max()

    assert off(0) > 2 * off(LAST) > 0
    names = [trace.text for trace in learning.data if trace.type == "scatter3d" and trace.mode == "text"]
    assert names == [people.view_names]


def test_what_was_seen_has_dots_in_the_key_and_the_still_and_the_truth_has_none(learning):
    modes = {trace.name: trace.mode for trace in learning.data if trace.name in ("truth", "seen")}
    assert modes == {"truth": "lines", "seen": "lines+markers"}
    drawn = figure_html(json.loads(learning.to_json()))
    truth, seen = (next(part for part in drawn.split("<span>") if f" {name}</span>" in part) for name in ("truth", "seen"))
    assert (truth.count("<path"), seen.count("<path")) == (1, 2)
    assert f'r="1.5" fill="{GHOST}"' in drawn


def test_each_scene_stands_where_its_camera_sees_it_over_the_first(people):
    one = people.select_views(["C1"])
    mixes = {"as recorded": PLAIN, "moved": replace(PLAIN, place=True), "another camera": replace(PLAIN, cameras="drawn")}
    scenes = {name: Scenes(one, mix).draw(1, generator(0)) for name, mix in mixes.items()}
    figure = scenes_figure(scenes, HUMANEVA_15)
    assert [frame.name for frame in figure.frames] == list(mixes)
    ghost = next(trace for trace in figure.data if trace.type == "scatter" and trace.line.color == GHOST and trace.name)
    assert ghost.name == "as recorded"
    for step, scene in enumerate(scenes.values()):
        seen = scene.cameras.world_to_pixels(scene.poses_world)[0]
        drawn = in_images(figure, "x2", step)
        drawn = drawn[:, np.isfinite(drawn).all(0)].T
        apart = torch.cdist(torch.from_numpy(drawn).double(), seen.double()).amin(-1)
        assert apart.max() < 0.11  # every drawn point is a joint, to 0.1 px
    moved = {tuple(np.nan_to_num(in_images(figure, "x2", step)).ravel()) for step in range(3)}
    assert len(moved) == 3
    tips = [(part.x[0], part.y[0], part.z[0]) for frame in figure.frames for part in frame.data[:1]]  # of the camera's pyramid
    centers = torch.cat([scene.cameras.centers_world for scene in scenes.values()])
    torch.testing.assert_close(torch.tensor(tips), centers, atol=0.002, rtol=0)
