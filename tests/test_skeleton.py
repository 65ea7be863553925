import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from posekit.skeleton import HUMAN36M_17, HUMANEVA_15, Skeleton, from_root_anchored, to_root_anchored

SKELETONS = [HUMANEVA_15, HUMAN36M_17]


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda s: s.name)
def test_it_is_a_tree_from_the_root(skeleton):
    assert len(skeleton.bones) == len(skeleton) - 1
    assert all(skeleton.ancestors(joint)[-1] == 0 for joint in range(1, len(skeleton)))


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda s: s.name)
def test_sides_come_in_pairs(skeleton):
    assert skeleton.sides.count("left") == skeleton.sides.count("right") == 6
    for joint, partner in enumerate(skeleton.partners):
        assert skeleton.partners[partner] == joint
        assert (joint == partner) == (skeleton.sides[joint] == "centre")


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda s: s.name)
@pytest.mark.parametrize("axes", [2, 3])
def test_mirror_is_an_involution_and_keeps_bone_lengths(skeleton, axes, source):
    poses = torch.randn(4, 2, len(skeleton), axes, generator=source)
    mirrored = skeleton.mirror(poses)
    assert not torch.equal(mirrored, poses)
    torch.testing.assert_close(skeleton.mirror(mirrored), poses)
    left = [bone for bone in skeleton.bones if skeleton.sides[bone[1]] == "left"]
    lengths, mirrored_lengths = skeleton.bone_lengths(poses), skeleton.bone_lengths(mirrored)
    for parent, child in left:
        here = skeleton.bones.index((parent, child))
        there = skeleton.bones.index((skeleton.partners[parent], skeleton.partners[child]))
        torch.testing.assert_close(lengths[..., here], mirrored_lengths[..., there])


@given(st.integers(0, 2**31), st.sampled_from([(), (3,), (2, 4)]))
def test_root_anchoring_is_undone(seed, batch):
    poses = torch.randn(*batch, 15, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    anchored = to_root_anchored(poses)
    torch.testing.assert_close(anchored[..., 0, :], poses[..., 0, :])
    torch.testing.assert_close(anchored[..., 5, :], poses[..., 5, :] - poses[..., 0, :])
    torch.testing.assert_close(from_root_anchored(anchored), poses)


@pytest.mark.parametrize(
    ("joints", "parents", "complaint"),
    [
        (("a", "b"), (-1,), "2 joints but 1 parents"),
        (("a", "b"), (0, 0), "must be -1 for the root"),
        (("a", "b", "c"), (-1, 2, 1), "its own ancestor"),
        (("a", "left_b"), (-1, 0), "no partner 'right_b'"),
    ],
)
def test_what_is_no_skeleton_is_refused(joints, parents, complaint):
    with pytest.raises(ValueError, match=complaint):
        Skeleton("bad", joints, parents)


def test_an_unknown_joint_lists_the_known():
    with pytest.raises(ValueError, match="no joint 'knee'; it has pelvis, thorax"):
        HUMANEVA_15.index("knee")


def test_the_repr_summarises():
    assert repr(HUMAN36M_17) == 'Skeleton("human36m17": 17 joints)'
