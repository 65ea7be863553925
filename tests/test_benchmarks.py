"""What the benchmarks compare must be the same thing; their figures are no matter for tests."""

import pytest
import torch
from learning import bfloat16_loss
from memory import tiled

from posekit.lifters import FrameLifter
from posekit.losses import label_free_loss
from posekit.random import generator


def test_the_loss_in_bfloat16_is_the_label_free_loss_to_its_precision(small):
    batch, lifter = small.views()[torch.arange(32)], FrameLifter(15, 32, generator=generator(0)).eval()
    torch.nn.init.normal_(lifter.outer.linear.weight, std=0.01, generator=generator(1))  # it starts at 0: all poses alike
    exact, rounded = label_free_loss(lifter, batch), bfloat16_loss(lifter, batch)
    assert rounded.dtype == torch.float32
    assert rounded.item() == pytest.approx(exact.item(), rel=0.02)
    assert rounded.item() != exact.item()


def test_a_tiled_dataset_repeats_its_people():
    data = tiled(500)
    assert len(data) == 500
    assert torch.equal(data.poses_world[240:480], data.poses_world[:240])
    assert not torch.equal(data.poses_world[239], data.poses_world[0])
