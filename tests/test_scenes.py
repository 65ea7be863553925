from dataclasses import replace

import pytest
import torch

from posekit.datasets import load_dataset
from posekit.poses import hip_heading, lowest_ankle, turn
from posekit.random import generator
from posekit.scenes import PLAIN, Mix, Scenes


@pytest.fixture(scope="module")
def data():
    return load_dataset("synthetic", "train", subjects=("S2", "S3"), stride=3)


def test_plain_scenes_are_recorded_poses_seen_by_their_own_cameras(data):
    scene = Scenes(data, PLAIN).draw(64, generator(0))
    distance = torch.cdist(scene.poses_world.flatten(1).double(), data.poses_world.flatten(1).double())
    assert distance.amin(1).max() < 1e-4
    clips = data.clip_of_frame[distance.argmin(1)]
    own = torch.cdist(scene.cameras.centers_world.unsqueeze(1), data.cameras[clips].centers_world)
    assert own.amin(-1).max() < 1e-4


@pytest.mark.parametrize("heads", [0.0, 1.0])
def test_people_keep_their_bones_their_floor_and_stay_upright(data, heads):
    scene = Scenes(data, Mix(arms=1.0, upper=1.0, jitter=1.0, mirror=1.0, heads=heads)).draw(500, generator(1))
    poses, skeleton = scene.poses_world, data.skeleton
    lengths = skeleton.bone_lengths(data.poses_world)
    clips = data.clip_of_frame
    people = torch.stack([lengths[clips == clip][0] for clip in range(len(data.clips))])
    apart = torch.cdist(skeleton.bone_lengths(poses), people).amin(1)
    assert apart.max() < 1e-3  # every bone is of one and the same person
    floors = lowest_ankle(data.poses_world, skeleton)
    assert (lowest_ankle(poses, skeleton)[:, None] - floors).abs().amin(1).max() < 1e-5
    ankles = [skeleton.index("left_ankle"), skeleton.index("right_ankle")]
    assert (poses[:, skeleton.index("thorax"), 2] > poses[:, ankles, 2].amax(1)).all()
    head_up = poses[:, skeleton.index("head"), 2] > poses[:, skeleton.index("thorax"), 2]
    assert head_up.float().mean() == 1 - heads
    low, high = data.poses_world[:, 0, :2].amin(0), data.poses_world[:, 0, :2].amax(0)
    assert ((poses[:, 0, :2] >= low) & (poses[:, 0, :2] <= high)).all()


def test_mirroring_in_the_world_is_seen_as_mirrored(data):
    """A person who only ever turns one way is drawn turning both ways, and nobody's left becomes their right."""
    scenes = Scenes(data, Mix(arms=0.0, upper=0.0, jitter=0.0, mirror=1.0, place=False))
    plain = Scenes(data, Mix(arms=0.0, upper=0.0, jitter=0.0, mirror=0.0, place=False))
    mirrored, straight = (s.draw(100, generator(3)) for s in (scenes, plain))
    skeleton = data.skeleton
    heading = hip_heading(straight.poses_world, skeleton)
    torch.testing.assert_close(hip_heading(mirrored.poses_world, skeleton), heading)

    def local(scene):
        return turn(scene.poses_world - scene.poses_world[:, :1], -heading)

    torch.testing.assert_close(skeleton.mirror(local(mirrored)), local(straight), atol=1e-5, rtol=0)


def test_arms_come_from_another_frame_and_the_rest_stays(data):
    alike = dict(upper=0.0, jitter=0.0, mirror=0.0, place=False)
    plain, swapped = (Scenes(data, Mix(arms=arms, **alike)).draw(200, generator(5)) for arms in (1e-9, 1.0))
    arms = [i for i, name in enumerate(data.skeleton.joints) if "elbow" in name or "wrist" in name]
    rest = [i for i in range(15) if i not in arms]
    torch.testing.assert_close(plain.poses_world[:, rest], swapped.poses_world[:, rest], atol=1e-5, rtol=0)
    assert (plain.poses_world - swapped.poses_world)[:, arms].norm(dim=-1).mean() > 0.05


def test_sizes_change_by_as_much_as_asked_alike_on_both_sides_and_on_the_floor(data):
    alike = dict(mirror=0.0, arms=0.0, upper=0.0, jitter=0.0, place=False)
    skeleton, seed = data.skeleton, 4
    plain = Scenes(data, Mix(**alike)).draw(4000, generator(seed))
    whole = Scenes(data, Mix(body_scale=0.04, **alike)).draw(4000, generator(seed))
    single = Scenes(data, Mix(bone_scale=0.02, **alike)).draw(4000, generator(seed))
    assert torch.equal(Scenes(data, Mix(body_scale=0.0, **alike)).draw(4000, generator(seed)).poses_world, plain.poses_world)
    before, bodies, bones = (skeleton.bone_lengths(scene.poses_world) for scene in (plain, whole, single))
    factor = bodies / before
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor), atol=1e-4, rtol=0)
    assert abs(factor[:, 0].log().std() - 0.04) < 0.002
    factor = (bones / before).log()
    left, right = ([skeleton.index(f"{side}_{joint}") - 1 for joint in ("knee", "elbow")] for side in ("left", "right"))
    torch.testing.assert_close(factor[:, left], factor[:, right], atol=1e-4, rtol=0)
    assert abs(factor[:, skeleton.index("head") - 1].std() - 0.02) < 0.001
    torch.testing.assert_close(*(lowest_ankle(scene.poses_world, skeleton) for scene in (plain, single)), atol=1e-5, rtol=0)


def test_missing_joints_stay_missing(data):
    poses = data.poses_world.clone()
    wrist, knee, ankle = map(data.skeleton.index, ("left_wrist", "right_knee", "right_ankle"))
    poses[:, [wrist, knee]] = torch.nan
    scene = Scenes(replace(data, poses_world=poses), Mix(mirror=0.0)).draw(200, generator(0))
    missing = scene.poses_world.isnan().any(-1)
    assert missing[:, [wrist, knee, ankle]].all()  # the ankle hangs on the knee
    assert missing.sum() == 3 * 200


def test_same_seed_same_bits(data):
    scenes = Scenes(data, Mix(cameras="moved"))
    first, second, other = (scenes.draw(32, generator(seed), 0.5) for seed in (1, 1, 2))
    assert torch.equal(first.poses_world, second.poses_world)
    assert torch.equal(first.cameras.t_world_to_camera, second.cameras.t_world_to_camera)
    assert not torch.equal(first.poses_world, other.poses_world)


def test_groups_are_balanced(data):
    jog = torch.tensor([clip.action == "Jog" for clip in data.clips])
    scenes = Scenes(data, Mix(balance=1.0))
    frames = scenes.weights.multinomial(6000, replacement=True, generator=generator(0))
    assert abs(jog[scenes.clips[frames]].float().mean() - 1 / 3) < 0.02
    assert torch.equal(Scenes(data, Mix(balance=0.0)).weights, torch.ones(len(data), dtype=torch.float64))


def test_augmentation_fades():
    mix = Mix(arms=0.5, faded=0.2, fade=(0.4, 0.9))
    assert [mix.at(progress).arms for progress in (0.0, 0.4)] == [0.5, 0.5]
    assert mix.at(0.65).arms == pytest.approx(0.3)
    assert mix.at(1.0).arms == pytest.approx(0.1)
    assert mix.at(1.0).mirror == mix.mirror


def test_drawn_cameras_see_whole_people(data):
    scene = Scenes(data, Mix(cameras="drawn")).draw(2000, generator(0))
    pixels, size = scene.cameras.world_to_pixels(scene.poses_world), scene.cameras.image_size_px.unsqueeze(1)
    inside = ((pixels >= 0) & (pixels <= size)).all(-1)
    assert inside.float().mean() > 0.99
    assert inside.all(-1).float().mean() > 0.95
    height = scene.cameras.centers_world[:, 2]
    assert 0.5 <= height.min() < height.max() <= 2.5


def test_detector_errors_are_as_large_as_asked(data):
    alike = dict(mirror=0.0, place=False)
    noisy = Scenes(data, Mix(noise_px=5.0, missing=0.1, **alike)).draw(2000, generator(0))
    assert Scenes(data, Mix(**alike)).draw(5, generator(0)).error_px is None
    pixels = noisy.cameras.screen_to_pixels(noisy.screen())
    apart = pixels - noisy.cameras.world_to_pixels(noisy.poses_world)
    missing = apart.isnan().any(-1)
    assert abs(missing.float().mean() - 0.1) < 0.01
    assert abs(apart[~missing].std() - 5.0 * (1 + 1 / 12) ** 0.5) < 0.1  # sqrt(E[relative^2])


def test_a_world_without_up_is_refused(data):
    lying = replace(data, poses_world=data.poses_world.roll(1, dims=-1))
    with pytest.raises(ValueError, match=r"synthetic: scenes need a world with z up"):
        Scenes(lying)
    with pytest.raises(ValueError, match="pelvis is NaN in every frame"):
        Scenes(replace(data, poses_world=torch.full_like(data.poses_world, torch.nan)))
    footless = data.poses_world.clone()
    footless[:, data.skeleton.index("left_ankle")] = torch.nan
    with pytest.raises(ValueError, match="synthetic: scenes need people whose floor and up can be told, but no frame"):
        Scenes(replace(data, poses_world=footless))
    with pytest.raises(ValueError, match="cameras must be one of real, moved, drawn; got 'any'"):
        Mix(cameras="any")
    with pytest.raises(ValueError, match="mirror must be between 0 and 1"):
        Mix(mirror=2.0)
