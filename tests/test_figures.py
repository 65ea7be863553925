import pytest
import torch

from posekit.colors import COLORS, GHOST
from posekit.figures import comparison_figure, lifting_figure
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
