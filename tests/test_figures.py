from itertools import combinations

import numpy as np
import pytest
import torch

from posebook.figure import caption
from posekit.colors import COLORS, GHOST
from posekit.drawing import HALF_VIEW, PAGE_PX, _floor, _stacked
from posekit.figures import (
    bar_figure,
    comparison_figure,
    lifting_figure,
    pictures_figure,
    pose_figure,
    room_around,
    rooms_figure,
    scene_figure,
    views_figure,
)
from posekit.scenes import PLAIN, Scenes
from posekit.skeleton import HUMANEVA_15


def drawn(figure, color):
    """The lowest point drawn in a colour, metres: where it is tells whose pose it is."""
    lines = [
        trace.z for trace in figure.data if trace.type == "scatter3d" and trace.line.color == color and trace.line.width > 1
    ]
    return min(z[z == z].min() for z in lines)  # NaN is a gap


@pytest.fixture
def poses():
    """A lifted pose at least 1 m above the true one."""
    true = torch.rand(15, 3, generator=torch.Generator().manual_seed(0))
    return true + torch.tensor([0.0, 0.0, 1.0]), true


def test_predicted_comes_before_true(poses, small):
    lifted, true = poses
    camera, pixels = small.cameras[0, 0], small.pixels[0, 0]
    for figure in (
        comparison_figure({"ours": lifted}, true, HUMANEVA_15),
        lifting_figure(pixels, lifted, true, camera, HUMANEVA_15),
    ):
        assert drawn(figure, COLORS["left"]) >= 1
        assert drawn(figure, GHOST) < 1


def test_the_old_name_of_the_true_pose_still_works(poses):
    lifted, true = poses
    with pytest.warns(DeprecationWarning, match="truth_world is now called true_world"):
        old = comparison_figure(lifted_world={"ours": lifted}, truth_world=true, skeleton=HUMANEVA_15)
    assert old == comparison_figure({"ours": lifted}, true, HUMANEVA_15)


def test_drawn_people_stand_in_their_rooms_and_pictures(small):
    scenes = {
        name: Scenes(small, PLAIN).draw(count, torch.Generator().manual_seed(count)) for name, count in (("a", 1), ("b", 4))
    }
    rooms = rooms_figure(scenes, HUMANEVA_15, "two rooms", columns=1)
    pictures = pictures_figure(scenes, HUMANEVA_15, "two pictures")
    for index, scene in enumerate(scenes.values()):
        people = [
            trace for trace in rooms.data if trace.scene == ("scene", "scene2")[index] and trace.line.color == COLORS["left"]
        ]
        assert len(people) == len(scene.poses_world)
        inside = rooms.layout[("scene", "scene2")[index]]
        centers = scene.cameras.centers_world
        for axis, name in enumerate(("xaxis", "yaxis", "zaxis")):
            low, high = inside[name].range
            assert (low < centers[:, axis]).all()
            assert (centers[:, axis] < high).all()
    assert [trace.name for trace in rooms.data if trace.showlegend] == ["left", "right"]
    seen = scenes["a"].cameras.screen_to_pixels(scenes["a"].screen())[0]
    drawn_x = next(trace.x for trace in pictures.data if trace.line.color == COLORS["left"])
    assert set(drawn_x[drawn_x == drawn_x].tolist()) <= set(seen[:, 0].numpy().round(1).tolist())


def test_a_row_of_panels_begins_anew_after_some_columns(small):
    scenes = {name: Scenes(small, PLAIN).draw(1, torch.Generator().manual_seed(0)) for name in "abcd"}
    wide = rooms_figure(scenes, HUMANEVA_15, "four rooms", columns=2).layout.meta["wide"]
    assert wide["scene.domain.x"] == wide["scene3.domain.x"]
    assert wide["scene3.domain.y"][1] < wide["scene.domain.y"][0]


def test_only_what_is_in_a_room_has_a_viewpoint(small):
    camera, pose = small.cameras[0, 0], small.poses_world[0]
    images = views_figure(small.pixels[0], small.cameras[0], small.view_names, HUMANEVA_15)
    assert not [key for key in images.layout.to_plotly_json() if key.startswith("scene")]
    both = lifting_figure(small.pixels[0, 0], pose, pose, camera, HUMANEVA_15)
    assert [key for key in both.layout.to_plotly_json() if key.startswith("scene")] == ["scene2"]
    assert both.layout.scene2.camera.eye.to_plotly_json() == both.layout.meta["wide"]["eye"]


def test_bars_show_every_value_from_the_top():
    bars = {"ours": {"walk": 1.0, "box": 2.0}, "theirs": {"box": 4.0, "walk": 3.0}}
    figure = bar_figure(bars, "mm", "four bars")
    assert list(figure.layout.yaxis.ticktext) == ["walk", "box"]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1], "the first label is on top"
    lines, said = ([trace for trace in figure.data if trace.mode == mode] for mode in ("lines", "text"))
    assert [line.name for line in lines] == list(bars)
    for line, words, values in zip(lines, said, bars.values()):
        ends = [(x, round(y), label) for x, y, label in zip(line.x[1::3], line.y[1::3], values)]
        assert ends == [(value, ["walk", "box"].index(label), label) for label, value in values.items()]
        assert set(line.x[::3]) == {0.0}
        assert [float(text) for text in words.text] == list(values.values())
    rows = [y for line in lines for y in line.y[1::3]]
    assert len(set(rows)) == 4
    assert figure.layout.meta["alt"] == "four bars"


def test_compared_panels_tell_their_errors_and_tint_joints_on_request(poses):
    _, true = poses
    lifted = {"moved": true + torch.tensor([0.03, 0.04, 0.0]), "exact": true}
    figure = comparison_figure(lifted, true, HUMANEVA_15, tint=True)
    notes = [note.text for note in figure.layout.annotations[2:]]
    assert notes == ["mpjpe 0 mm<br>root 50 mm", "mpjpe 0 mm<br>root 0 mm"]
    tinted = [trace for trace in figure.data if trace.mode == "markers"]
    assert [list(trace.marker.color) for trace in tinted] == [[0.0] * 15] * 2
    assert not [t for t in comparison_figure(lifted, true, HUMANEVA_15).data if t.mode == "markers"]


def test_the_floor_lies_within_its_box(poses):
    """Plotly leaves out a line on the border."""
    lifted, _ = poses
    figure = pose_figure(lifted, HUMANEVA_15)
    floor = figure.data[0]
    for values, axis in ((floor.x, figure.layout.scene.xaxis), (floor.y, figure.layout.scene.yaxis)):
        assert axis.range[0] < np.nanmin(values) < axis.range[0] + 0.01
        assert axis.range[1] - 0.01 < np.nanmax(values) < axis.range[1]


@pytest.mark.parametrize("box", [((-2, 3), (-0.5, 1), (0, 2)), ((-1.3, 1.1), (-1, 1), (0, 2)), ((0, 0.4), (0, 9.7), (0, 2))])
def test_a_floor_is_closed_on_all_sides(box):
    floor = _floor(box)
    for across, along, (low, high), (near, far) in ((floor.x, floor.y, *box[:2]), (floor.y, floor.x, *box[1::-1])):
        for border in (low, high):
            line = along[abs(across - border) < 0.01]
            assert (line.min(), line.max()) == pytest.approx((near, far), abs=0.01)


def test_a_room_is_no_larger_than_its_cameras_need(small):
    centers = small.cameras[0].centers_world
    for axis, (low, high) in enumerate(room_around(small.poses_world[:, 0], centers)[:2]):
        assert 0.3 <= centers[:, axis].min() - low < 0.9 or small.poses_world[:, 0, axis].min() - low < 0.9
        assert 0.3 <= high - centers[:, axis].max() < 0.9


def test_a_caption_says_what_stands_under_compared_panels_and_over_what_it_is_a_mean(poses, small):
    lifted, true = poses
    still = caption(comparison_figure({"a": lifted}, true, HUMANEVA_15).layout.meta)
    walk = small.poses_world[:10]
    moving = caption(comparison_figure({"a": walk}, walk, HUMANEVA_15, frame_rate=60.0).layout.meta)
    for said in (still, moving):
        assert "mpjpe, how far joints are off with the roots together" in said
        assert "root, how far the root is" in said
    assert "a mean over the whole clip" in moving
    assert "mean" not in still


def test_the_truth_is_in_the_key(poses):
    lifted, true = poses
    figure = comparison_figure({"a": lifted, "b": lifted}, true, HUMANEVA_15)
    assert sorted(trace.name for trace in figure.data if trace.showlegend) == ["left", "right", "truth"]


def test_a_scene_shows_the_detections_and_all_of_its_room(small):
    cameras, pose = small.cameras[0], small.poses_world[0]
    pixels = cameras.world_to_pixels(pose) + 5
    figure = scene_figure(pose, cameras, small.view_names, HUMANEVA_15, pixels=pixels)
    drawn_x = [trace.x for trace in figure.data if trace.type == "scatter" and trace.line.color == COLORS["left"]]
    for x, seen in zip(drawn_x, pixels, strict=True):
        assert set(x[x == x].tolist()) <= set(seen[:, 0].numpy().round(1).tolist())
    for axis, name in enumerate(("xaxis", "yaxis", "zaxis")):
        low, high = figure.layout.scene[name].range
        assert (low < cameras.centers_world[:, axis]).all()
        assert (cameras.centers_world[:, axis] < high).all()


@pytest.mark.parametrize("lowest", [0.0, -0.2])
def test_every_corner_is_seen(small, lowest):
    """Projected by plotly's camera, every corner of the box lies in its panel, wide and narrow."""
    poses = small.poses_world[:5] + torch.tensor([0.0, 0.0, lowest])
    figure = comparison_figure({"a": poses, "b": poses, "c": poses}, poses, HUMANEVA_15)
    for name, width in PAGE_PX.items():
        placed = figure.layout.meta[name]
        x, y = (np.ptp(placed[f"scene.domain.{axis}"]) for axis in "xy")
        aspect = np.array([figure.layout.scene.aspectratio[axis] for axis in "xyz"])
        eye = np.array([placed["eye"][axis] for axis in "xyz"])
        sight = -eye / np.linalg.norm(eye)
        right = np.cross(sight, (0, 0, 1)) / np.linalg.norm(np.cross(sight, (0, 0, 1)))
        corners = aspect * (np.stack(np.meshgrid(*[[0, 1]] * 3), axis=-1).reshape(-1, 3) - 0.5) - eye
        depth = corners @ sight
        assert np.abs(corners @ right / depth).max() <= HALF_VIEW * x * width / (y * placed["height"])
        assert np.abs(corners @ np.cross(right, sight) / depth).max() <= HALF_VIEW


def test_a_clip_that_comes_back_is_played_round_and_another_there_and_back():
    phase = torch.arange(90) * 2 * torch.pi / 30
    pose = torch.rand(15, 3, generator=torch.Generator().manual_seed(0))
    round_ = pose + 0.2 * phase.sin()[:, None, None]
    first, last, joins = pose_figure(round_, HUMANEVA_15, frame_rate=30.0).layout.meta["loop"]
    assert joins
    assert (last + 1 - first) % 30 == 0
    away = pose + torch.linspace(0, 1, 90)[:, None, None] * torch.rand(15, 1, generator=torch.Generator().manual_seed(1))
    assert pose_figure(away, HUMANEVA_15, frame_rate=30.0).layout.meta["loop"] == (0, 89, False)


@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize("images", range(1, 9))
def test_images_beside_a_room_share_the_figure_and_leave_space_for_their_titles(images, narrow):
    cells, _ = _stacked(1 + images, narrow)
    assert len(cells) == 1 + images
    for left, bottom, width, height in cells:
        assert width >= 0.3
        assert -1e-9 < left < left + width < 1 + 1e-9
        assert -1e-9 < bottom < bottom + height < 1 + 1e-9
    for (x, y, w, h), (left, bottom, width, height) in combinations(cells, 2):
        across, up = min(x + w, left + width) - max(x, left), min(y + h, bottom + height) - max(y, bottom)
        assert min(across, up) < 1e-9
