import json

import numpy as np
import pytest
import torch
from visits import Visit, figures_page, needs_browser

from posebook.figure import figure_html
from posebook.still import still_svg
from posekit.colors import CAMERA, GHOST
from posekit.datasets import load_dataset
from posekit.drawing import HALF_VIEW, PAGE_PX
from posekit.ray_figures import POINTS, clipped, rays_figure
from posekit.triangulation import triangulate

BOX = ((-1.0, 1.0), (-1.0, 1.0), (0.0, 1.0))
JOINT = "left_wrist"
STEPS = [0.0, 10.0, 20.0]
START = 2


@pytest.fixture(scope="module")
def people():
    return load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",))


@pytest.fixture(scope="module")
def rays(people):
    """A figure of one view that is wrong by some pixels, the others exact; the pixels and the points of it."""
    pose, cameras = people.poses_world[10], people.cameras[0]
    pixels = people.pixels[10, :, people.skeleton.index(JOINT)].expand(len(STEPS), -1, -1).clone()
    pixels[:, 0, 0] += torch.tensor(STEPS)
    points = {"plain": triangulate(pixels.unsqueeze(-2), cameras).points.squeeze(-2)}
    points["exact"] = pose[people.skeleton.index(JOINT)].expand(len(STEPS), -1)
    at = (pose, JOINT, cameras, people.view_names, people.skeleton)
    names = [f"{step:.0f} px" for step in STEPS]
    return rays_figure(pixels, points, *at, names, "rays", start=START), pixels, points


def moved(figure, trace, step):
    """The coordinates of a trace at a step, (N, 3)."""
    frame = figure.frames[step]
    data = frame.data[frame.traces.index(trace)]
    return torch.from_numpy(np.stack([data.x, data.y, data.z], axis=-1))


def numbers(figure, color, scene, mode="lines"):
    frame = figure.frames[0]
    traces = [(n, figure.data[n]) for n in frame.traces]
    return [n for n, trace in traces if (trace.line.color, trace.scene or "scene", trace.mode) == (color, scene, mode)]


def test_the_rays_in_the_room_go_through_their_pixels(rays, people):
    figure, pixels, _ = rays
    (rays_in_room,) = numbers(figure, CAMERA, "scene2")
    for step in range(len(STEPS)):
        lines = moved(figure, rays_in_room, step).view(3, 3, 3)  # views; start, end, gap
        torch.testing.assert_close(lines[:, 0], people.cameras[0].centers_world, atol=1e-3, rtol=0)
        seen = people.cameras[0].world_to_pixels(lines[:, 1:2]).squeeze(-2)
        torch.testing.assert_close(seen, pixels[step], atol=0.3, rtol=0)  # drawn in millimetres
        assert lines[:, 2].isnan().all()


def test_exact_rays_meet_in_the_joint_and_a_wrong_one_misses_it(rays):
    figure, _, _ = rays
    (close,) = numbers(figure, CAMERA, "scene")
    box = np.array([figure.layout.scene[axis].range for axis in ("xaxis", "yaxis", "zaxis")])
    joint = torch.from_numpy(box.mean(axis=1)).float()  # in the middle of its box

    def misses(step):
        lines = moved(figure, close, step).view(3, 3, 3)
        along = torch.nn.functional.normalize(lines[:, 1] - lines[:, 0], dim=-1)
        return torch.linalg.cross(along, joint - lines[:, 0]).norm(dim=-1)

    assert (misses(0) < 2e-3).all()
    assert misses(2)[0] > 0.05
    assert (misses(2)[1:] < 2e-3).all()


def test_each_ray_has_its_cameras_name_where_it_comes_in(rays, people):
    figure, _, _ = rays
    (close,) = numbers(figure, CAMERA, "scene")
    (said,) = [n for n in figure.frames[0].traces if figure.data[n].mode == "text"]
    assert figure.data[said].text == people.view_names
    for step in range(len(STEPS)):
        ends = moved(figure, close, step).view(3, 3, 3)[:, 0]
        torch.testing.assert_close(moved(figure, said, step)[:, :2], ends[:, :2])
    assert "ray from a camera" in figure_html(json.loads(figure.to_json())).split("pk-key")[1]


def test_the_slider_says_how_far_the_points_are_off(rays, people):
    figure, _, points = rays
    true = people.poses_world[10, people.skeleton.index(JOINT)]
    off = 1000 * (points["plain"] - true).norm(dim=-1)
    expected = [f"{step:.0f} px: plain {mm:.0f} mm, exact 0 mm" for step, mm in zip(STEPS, off)]
    assert [frame.name for frame in figure.frames] == expected
    assert off[1] > 10


def test_each_point_is_where_it_was_triangulated_joined_to_the_joint(rays, people):
    figure, _, points = rays
    true = people.poses_world[10, people.skeleton.index(JOINT)]
    for color, places in zip(POINTS, points.values()):
        (dot,), (line,) = (numbers(figure, color, "scene", mode) for mode in ("markers", "lines"))
        for step in range(len(STEPS)):
            start, end = moved(figure, line, step)
            torch.testing.assert_close(end - start, (places[step] - true).float(), atol=2e-3, rtol=0)
            torch.testing.assert_close(moved(figure, dot, step)[0], end)


def test_it_begins_at_the_step_asked_for_and_the_still_has_its_points(rays):
    figure, _, _ = rays
    (dot,) = numbers(figure, POINTS[0], "scene", "markers")
    assert figure.layout.meta["start"] == START
    assert figure.data[dot].x[0] == moved(figure, dot, START)[0, 0]
    still = still_svg(figure.to_plotly_json())
    assert all(f'r="5" fill="{color}"' in still for color in (*POINTS, GHOST))


def test_the_room_fills_its_place_while_the_box_keeps_its_scale(rays):
    """Seen by plotly's camera from the one eye, the corners of both boxes lie in their panels, and touch their borders."""
    figure, _, _ = rays
    for name, width in PAGE_PX.items():
        placed = figure.layout.meta[name]
        eye = np.array([placed["eye"][axis] for axis in "xyz"])
        sight = -eye / np.linalg.norm(eye)
        right = np.cross(sight, (0, 0, 1)) / np.linalg.norm(np.cross(sight, (0, 0, 1)))
        for scene in ("scene", "scene2"):
            ratio = placed.get(f"{scene}.aspectratio", figure.layout[scene].aspectratio)
            x, y = (np.ptp(placed[f"{scene}.domain.{axis}"]) for axis in "xy")
            corners = np.stack(np.meshgrid(*[[-0.5, 0.5]] * 3), axis=-1).reshape(-1, 3)
            corners = corners * [ratio[axis] for axis in "xyz"] - eye
            depth = corners @ sight
            across = np.abs(corners @ right / depth).max() / (HALF_VIEW * x * width / (y * placed["height"]))
            up = np.abs(corners @ np.cross(right, sight) / depth).max() / HALF_VIEW
            assert 0.9 < max(across, up) <= 1


def test_lines_are_cut_at_the_sides_of_a_box():
    starts = torch.tensor([[-5.0, 0.0, 0.5], [0.0, 0.0, 0.5], [-5.0, 3.0, 0.5], [-5.0, 0.0, 0.5]])
    ends = torch.tensor([[5.0, 0.0, 0.5], [0.0, 0.5, 0.5], [5.0, 3.0, 0.5], [-3.0, 0.0, 0.5]])
    lines = clipped(starts, ends, BOX).view(4, 3, 3)
    torch.testing.assert_close(lines[0, :2], torch.tensor([[-1.0, 0.0, 0.5], [1.0, 0.0, 0.5]]))
    torch.testing.assert_close(lines[1, :2], torch.stack([starts[1], ends[1]]))
    assert lines[2:].isnan().all(), "one passes by, one ends before"
    assert lines[:, 2].isnan().all()


@pytest.mark.browser
@needs_browser[1]
def test_by_keys_the_point_follows_the_wrong_view(browser, rays, tmp_path):
    """The slider begins where the figure does; each step moves the drawn point and says the error."""
    figure, _, _ = rays
    with Visit(browser, figures_page(tmp_path, [figure]), "page") as visit:
        drawn = visit.draw_all()[0]
        canvas, slider = drawn.query_selector(".pk-canvas"), drawn.query_selector("input[type=range]")
        said = [frame.name for frame in figure.frames]
        assert drawn.query_selector("output").inner_text() == slider.get_attribute("aria-valuetext") == said[START]
        slider.press("ArrowLeft")
        visit.page.wait_for_function("([canvas, k]) => canvas.dataset.frame === String(k)", arg=[canvas, START - 1])
        assert drawn.query_selector("output").inner_text() == slider.get_attribute("aria-valuetext") == said[START - 1]
        (dot,) = numbers(figure, POINTS[0], "scene", "markers")
        x = visit.page.evaluate("([canvas, trace]) => canvas.data[trace].x[0]", [canvas, dot])
        assert x == pytest.approx(moved(figure, dot, START - 1)[0, 0].item(), abs=1e-3)
        assert "plain" in drawn.query_selector(".pk-key").inner_text()
        assert visit.complaints == []
