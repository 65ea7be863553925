from dataclasses import replace

import pytest
import torch

from posekit.datasets import load_dataset
from posekit.random import generator
from posekit.tracks import to_bone_lengths, triangulate_tracks, undo_swaps, with_constant_bones
from posekit.triangulation import triangulate_robustly


@pytest.fixture(scope="module")
def people():
    return load_dataset("synthetic", "test", subjects=("S1",), actions=("Walking",)).frames(0, 120)


def second_difference(points):
    return points.diff(n=2, dim=0).norm(dim=-1).nanmean()


def test_tracks_are_nearer_to_the_truth_and_smoother_than_single_frames(people):
    noisy = people.with_detector_noise(5.0, 0.05, generator(0), swapped=0.02)
    single = triangulate_robustly(noisy.pixels, noisy.frame_cameras, noisy.confidence)
    tracks = triangulate_tracks(noisy)
    errors = [(found.points - people.poses_world).norm(dim=-1) for found in (single, tracks)]
    assert errors[1].nanmean() < 0.6 * errors[0].nanmean()
    assert second_difference(tracks.points) < 0.1 * second_difference(single.points)
    assert (tracks.views[tracks.points.isfinite().all(-1)] >= 2).all()


def test_a_pixel_beyond_a_fisheyes_reach_changes_nothing(people):
    zeros = torch.zeros(*people.cameras.shape, 4)
    fisheyes = replace(people.cameras, lens="fisheye", radial=zeros, tangential=zeros[..., :0])
    frames = fisheyes[people.clip_of_frame]
    seen = replace(people, cameras=fisheyes, pixels=frames.world_to_pixels(people.poses_world.unsqueeze(1)))
    missing, beyond = (replace(seen, pixels=seen.pixels.clone()) for _ in range(2))
    missing.pixels[60, 0, 5] = torch.nan
    beyond.pixels[60, 0, 5] = frames.center_px[60, 0] + torch.tensor([2.0, 0.0]) * frames.focal_px[60, 0]
    confidence = seen.confidence.clone()
    confidence[60, 0, 5] = 0
    expected = triangulate_tracks(replace(missing, confidence=confidence))
    found = triangulate_tracks(beyond)
    torch.testing.assert_close(found.points, expected.points)
    assert torch.equal(found.views, expected.views)


def test_tracks_read_no_label(people):
    noisy = people.with_detector_noise(5.0, 0.05, generator(0))
    blind = replace(noisy, poses_world=noisy.poses_world * torch.nan)
    assert torch.equal(triangulate_tracks(noisy).points.nan_to_num(), triangulate_tracks(blind).points.nan_to_num())


def test_bones_get_their_lengths_with_the_least_motion(people):
    skeleton = people.skeleton
    noise = torch.randn(people.poses_world.shape, generator=generator(1), dtype=torch.float64)
    poses = people.poses_world.double() + 0.01 * noise
    lengths = skeleton.bone_lengths(people.poses_world[:1].double())
    fixed = to_bone_lengths(poses, skeleton, lengths)
    torch.testing.assert_close(skeleton.bone_lengths(fixed), lengths.expand(len(poses), -1), atol=1e-6, rtol=0)
    torch.testing.assert_close(to_bone_lengths(fixed, skeleton, lengths), fixed, atol=1e-6, rtol=0)
    least = (fixed - poses).square().sum((-2, -1))
    assert (least <= (people.poses_world - poses).square().sum((-2, -1))).all()  # the truth has these lengths as well
    # At the nearest point the way back is along the bones: no motion that keeps all lengths shortens it.
    point = fixed[0].clone().requires_grad_()
    slopes = torch.autograd.functional.jacobian(skeleton.bone_lengths, point).flatten(1)
    rest = (poses[0] - fixed[0]).flatten()
    along = torch.linalg.lstsq(slopes.T, rest.unsqueeze(-1)).solution
    assert (slopes.T @ along - rest.unsqueeze(-1)).norm() < 1e-5 * rest.norm()


def test_bones_are_constant_and_symmetric_and_missing_joints_stay_missing(people):
    noise = torch.randn(people.poses_world.shape, generator=generator(2), dtype=torch.float64)
    poses = people.poses_world.double() + 0.02 * noise
    poses[7, 5] = torch.nan
    fixed = with_constant_bones(poses, people)
    assert fixed.isnan().any(-1).sum() == 1
    lengths = people.skeleton.bone_lengths(fixed)
    assert (lengths[10:] - lengths[10]).abs().max() < 1e-6
    children = [child for _, child in people.skeleton.bones]
    mirrored = [children.index(people.skeleton.partners[child]) for child in children]
    torch.testing.assert_close(lengths[10:, mirrored], lengths[10:], atol=1e-6, rtol=0)
    before, after = ((p - people.poses_world).norm(dim=-1).nanmean() for p in (poses, fixed))
    assert after < before


def test_swapped_sides_of_one_view_are_swapped_back():
    cameras = ("54138969", "55011271", "58860488", "60457274")
    from posekit.datasets.human36m import human36m_cameras

    people = load_dataset("synthetic", "test", subjects=("S1",), actions=("Walking",)).frames(0, 30)
    rig = human36m_cameras("S9")[None]
    pixels = rig.world_to_pixels(people.poses_world[:, None])
    four = replace(people, view_names=cameras, cameras=rig, pixels=pixels, confidence=torch.ones(30, 4, 15))
    swapped = pixels.clone()
    swapped[5:9, 2] = pixels[5:9, 2][:, list(people.skeleton.partners)]
    assert torch.equal(undo_swaps(replace(four, pixels=swapped)).pixels, pixels)
    assert torch.equal(undo_swaps(four).pixels, pixels)
    with pytest.raises(ValueError, match="four views or more, got 3"):
        undo_swaps(people)
