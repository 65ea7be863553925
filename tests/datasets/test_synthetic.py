"""The synthetic people move as people do. Ranges: Winter; Perry and Burnfield (walking); Novacheck 1998 (running)."""

import pytest
import torch

from posekit.datasets.humaneva import humaneva_cameras
from posekit.datasets.kinematics import two_bone
from posekit.datasets.synthetic import BODIES, make_synthetic, perform
from posekit.random import generator
from posekit.skeleton import HUMANEVA_15

FRAME_RATE = 60.0
SUBJECTS = tuple(BODIES)
TAKES = [(subject, action, seed) for subject in SUBJECTS for action in ("Walking", "Jog", "Box") for seed in range(4)]


@pytest.fixture(params=TAKES, ids=lambda take: "-".join(map(str, take)))
def take(request):
    subject, action, seed = request.param
    return action, perform(subject, action, 4.0, generator(seed))


def at(joints, *names):
    return [joints[:, HUMANEVA_15.index(name)] for name in names]


def test_bones_keep_their_length(take):
    _, motion = take
    lengths = HUMANEVA_15.bone_lengths(motion.joints.float())
    assert (lengths - lengths[0]).abs().max() < 1e-5


def test_flat_feet_do_not_slide(take):
    action, motion = take
    for side, name in enumerate(("left_ankle", "right_ankle")):
        (ankle,) = at(motion.joints, name)
        speed = ankle.diff(dim=0).norm(dim=-1) * FRAME_RATE
        standing = motion.flat[1:, side] & motion.flat[:-1, side]
        assert speed[standing].max() < 0.02
        share = motion.flat[:, side].float().mean()
        low, high = {"Walking": (0.15, 0.45), "Jog": (0.08, 0.35), "Box": (1, 1)}[action]
        assert low <= share <= high


def test_nobody_sinks_into_the_floor_or_flies(take):
    _, motion = take
    lowest = torch.stack(at(motion.joints, "left_ankle", "right_ankle"))[..., 2].amin(0)
    assert lowest.min() > 0.05
    assert lowest.max() < 0.25


def test_knees_bend_forward_only(take):
    action, motion = take
    left_hip, right_hip = at(motion.joints, "left_hip", "right_hip")
    forward = torch.linalg.cross(left_hip - right_hip, torch.tensor([0.0, 0.0, 1.0]).double().expand_as(left_hip))
    for side in ("left", "right"):
        hip, knee, ankle = at(motion.joints, f"{side}_hip", f"{side}_knee", f"{side}_ankle")
        assert (_off_the_line(hip, knee, ankle) * forward).sum(-1).min() > 0
        flexion = _flexion(hip, knee, ankle)
        low, high = {"Walking": (50, 75), "Jog": (80, 130), "Box": (30, 80)}[action]
        assert low < flexion.max() < high
        assert flexion.min() > 2


def test_elbows_bend_forward_only(take):
    _, motion = take
    left, right = at(motion.joints, "left_shoulder", "right_shoulder")
    for side in ("left", "right"):
        shoulder, elbow, wrist = at(motion.joints, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
        hinge = torch.linalg.cross(elbow - shoulder, wrist - elbow)
        assert (hinge * (left - right)).sum(-1).max() < 0
        flexion = _flexion(shoulder, elbow, wrist)
        assert flexion.min() > 5
        assert flexion.max() < 155


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize(
    ("action", "speeds", "cadences"), [("Walking", (0.9, 1.4), (95, 125)), ("Jog", (1.5, 2.7), (140, 175))]
)
def test_speed_and_cadence_are_those_of_people(subject, action, speeds, cadences):
    joints = perform(subject, action, 6.0, generator(7)).joints
    pelvis, left, right = at(joints, "pelvis", "left_ankle", "right_ankle")
    velocity = pelvis.diff(dim=0)[:, :2] * FRAME_RATE
    assert speeds[0] < velocity.norm(dim=-1).mean() < speeds[1]
    ahead = ((left - right)[1:, :2] * velocity).sum(-1) > 0  # the left foot leads
    steps = (ahead[1:] != ahead[:-1]).sum()
    assert cadences[0] < steps / 6.0 * 60 < cadences[1]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_walkers_bob_a_few_centimetres(subject):
    (pelvis,) = at(perform(subject, "Walking", 6.0, generator(3)).joints, "pelvis")
    assert 0.02 < pelvis[:, 2].max() - pelvis[:, 2].min() < 0.08


def test_movement_is_smooth(take):
    _, motion = take
    acceleration = motion.joints.diff(n=2, dim=0).norm(dim=-1) * FRAME_RATE**2
    assert acceleration.max() < 150  # a jab's fist reaches about 100 m/s^2


def test_the_cameras_see_nearly_everything():
    data = make_synthetic("train")
    inside = ((data.pixels >= 0) & (data.pixels < torch.tensor([640.0, 480.0]))).all(-1)
    assert inside.float().mean() > 0.999


def test_the_splits_are_humaneva_shaped_and_disjoint():
    train, test = make_synthetic("train"), make_synthetic("test")
    for data in (train, test):
        assert data.subjects == ("S1", "S2", "S3")
        assert data.actions == ("Walking", "Jog", "Box")
        assert data.pixels.shape[1:] == (3, 15, 2)
        assert data.pixels.isfinite().all()
    distance = torch.cdist(train.poses_world[::7].flatten(1), test.poses_world[::7].flatten(1))
    assert distance.min() > 0.1


def test_bodies_have_different_proportions():
    lengths = torch.stack([HUMANEVA_15.bone_lengths(perform(s, "Box", 0.1, generator(0)).joints[0]) for s in SUBJECTS])
    shape = lengths / lengths.sum(-1, keepdim=True)
    assert torch.pdist(shape).min() > 1e-3


def test_a_seed_gives_the_same_bits_and_another_does_not():
    first, again, other = (make_synthetic("test", actions=("Jog",), seed=s) for s in (0, 0, 1))
    assert torch.equal(first.pixels, again.pixels)
    assert first.sha256() == again.sha256() != other.sha256()


def test_choosing_fewer_changes_nothing_in_the_others():
    everything, some = make_synthetic("test"), make_synthetic("test", subjects=("S2",), actions=("Jog",))
    (clip,) = [c for c in everything.clips if (c.subject, c.action) == ("S2", "Jog")]
    assert torch.equal(everything.poses_world[clip.start : clip.stop], some.poses_world)


def test_the_2d_goes_through_the_opencv_lens_whatever_cameras_are_handed_out():
    right, wrong = make_synthetic("test", subjects=("S1",)), make_synthetic("test", subjects=("S1",), lens="human36m")
    assert torch.equal(right.pixels, wrong.pixels)
    torch.testing.assert_close(humaneva_cameras("S1").world_to_pixels(right.poses_world[:, None]), right.pixels)
    error = (wrong.frame_cameras.world_to_pixels(wrong.poses_world[:, None]) - wrong.pixels).norm(dim=-1)
    assert error.mean() > 0.1


@pytest.mark.parametrize("option", ["split", "subjects", "actions", "cameras", "lens"])
def test_what_there_is_not_is_listed(option):
    bad = {"split": "validate", "lens": "fisheye"}.get(option, ("Nobody",))
    with pytest.raises(ValueError, match="choose from"):
        make_synthetic(**{option: bad})


def test_bones_out_of_reach_are_refused():
    here, there = torch.zeros(1, 3), torch.tensor([[2.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="out of reach"):
        two_bone(here, there, 0.5, 0.5, torch.tensor([[0.0, 0.0, 1.0]]))


def _off_the_line(start, middle, end):
    along = torch.nn.functional.normalize(end - start, dim=-1)
    offset = middle - start
    return offset - (offset * along).sum(-1, keepdim=True) * along


def _flexion(start, middle, end):
    """Degrees; 0 is straight."""
    cosine = torch.nn.functional.cosine_similarity(middle - start, end - middle, dim=-1)
    return torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))
