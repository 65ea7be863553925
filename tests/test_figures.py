import pytest
import torch

from posekit.colors import COLORS, GHOST
from posekit.figures import bar_figure, comparison_figure, lifting_figure, pictures_figure, rooms_figure
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


def test_bars_show_every_value_from_the_top():
    figure = bar_figure({"ours": {"walk": 1.0, "box": 2.0}, "theirs": {"walk": 3.0, "box": 4.0}}, "mm", "four bars")
    assert [(bar.name, list(bar.x), list(bar.y)) for bar in figure.data] == [
        ("ours", [1.0, 2.0], ["walk", "box"]),
        ("theirs", [3.0, 4.0], ["walk", "box"]),
    ]
    assert figure.layout.meta["alt"] == "four bars"
    assert figure.layout.yaxis.autorange == "reversed"
