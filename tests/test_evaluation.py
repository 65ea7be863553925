from dataclasses import replace
from functools import partial

import pytest
import torch
from scipy.ndimage import convolve1d
from scipy.signal.windows import hann

from posekit import training
from posekit.datasets import load_dataset
from posekit.evaluation import (
    average_with,
    evaluate,
    evaluate_against_views,
    evaluate_poses,
    lift_dataset,
    smooth,
    with_triangulated_mpjpe,
)
from posekit.lifters import FrameLifter
from posekit.metrics import METRICS, joint_distances, mean_over_joints
from posekit.random import generator


@pytest.fixture(scope="module")
def test_set():
    return load_dataset("synthetic", "test", subjects=("S1", "S3"), actions=("Walking", "Box"))


@pytest.fixture(scope="module")
def noisy(test_set):
    poses = test_set.poses_camera()
    return poses + 0.05 * torch.randn(poses.shape, generator=generator(0))


def test_the_old_place_has_the_same_functions():
    assert training.evaluate is evaluate
    assert training.evaluate_poses is evaluate_poses


def test_means_by_action_subject_and_joint_are_parts_of_one_mean(test_set, noisy):
    result = evaluate_poses(noisy, test_set)
    for parts, attribute in ((result.by_action, "action"), (result.by_subject, "subject")):
        frames = {name: sum(len(c) for c in test_set.clips if getattr(c, attribute) == name) for name in parts}
        for name in METRICS:
            mean = sum(frames[part] * parts[part][name] for part in parts) / len(test_set)
            assert result.metrics_mm[name] == pytest.approx(mean)
    assert list(result.by_subject) == ["S1", "S3"]
    assert list(result.by_joint) == list(test_set.skeleton.joints)
    assert sum(errors["pa_mpjpe"] for errors in result.by_joint.values()) / 15 == pytest.approx(result.metrics_mm["pa_mpjpe"])
    assert result.by_joint["pelvis"]["root_error"] == pytest.approx(result.metrics_mm["root_error"])
    assert result.by_joint["head"]["root_error"] != result.by_joint["head"]["root_error"]


def test_a_part_is_measured_as_if_it_were_alone(test_set, noisy):
    result = evaluate_poses(noisy, test_set)
    alone = test_set.select_clips([clip for clip in test_set.clips if clip.subject == "S3"])
    frames = torch.tensor([clip.subject == "S3" for clip in test_set.clips])[test_set.clip_of_frame]
    assert result.by_subject["S3"] == pytest.approx(evaluate_poses(noisy[frames], alone).metrics_mm)


def test_a_metric_of_ones_own_comes_by_everything(test_set, noisy):
    absolute = mean_over_joints(joint_distances)
    result = evaluate_poses(noisy, test_set, metrics={"absolute": absolute})
    assert result.metrics_mm["absolute"] == pytest.approx(1000 * joint_distances(noisy, test_set.poses_camera()).mean().item())
    for parts in (result.by_action, result.by_subject, result.by_joint):
        assert all(set(errors) == {"absolute"} for errors in parts.values())


def test_missing_predictions_are_counted_and_reported(test_set):
    poses = test_set.poses_camera()
    asked = poses.shape[:-1].numel()
    whole = evaluate_poses(poses, test_set)
    assert (whole.joints_asked, whole.joints_predicted, whole.joints_measured) == (asked, asked, asked)
    poses[: len(poses) // 2] = torch.nan
    with pytest.warns(UserWarning, match=f"synthetic: {asked // 2} of {asked} joints have no prediction"):
        half = evaluate_poses(poses, test_set)
    assert (half.joints_asked, half.joints_predicted, half.joints_measured) == (asked, asked // 2, asked // 2)
    assert repr(half).endswith(f"mm; measured {asked // 2} of {asked} joints)")


def test_poses_without_a_root_are_not_counted_as_measured(test_set, noisy):
    rootless = noisy.clone()
    rootless[::2, :, 0] = torch.nan
    with pytest.warns(UserWarning, match="have no prediction, or are of a pose whose root has none"):
        result = evaluate_poses(rootless, test_set)
    assert result.joints_measured == METRICS["mpjpe"].per_joint(rootless, test_set.poses_camera()).isfinite().sum()
    assert result.joints_predicted == rootless.isfinite().all(-1).sum()


def test_missing_labels_are_counted_and_need_no_warning(test_set, noisy):
    hidden = test_set.select_clips(list(test_set.clips))
    hidden.poses_world[:, 4] = torch.nan
    result = evaluate_poses(noisy, hidden)
    assert result.joints_predicted == result.joints_asked
    assert result.joints_measured * 15 == result.joints_asked * 14


def test_nothing_to_measure_is_an_error(test_set):
    with pytest.raises(ValueError, match="synthetic: nothing to measure: of .* joints 0 have a prediction"):
        evaluate_poses(torch.full_like(test_set.poses_camera(), torch.nan), test_set)


def test_poses_of_one_view_are_not_taken_for_all(test_set, noisy):
    with pytest.raises(ValueError, match=r"poses must have shape .*, 3, 15, 3\), got \(\d+, 1, 15, 3\)"):
        evaluate_poses(noisy[:, :1], test_set)


def test_post_processing_comes_between_lifting_and_measuring(test_set):
    lifter = FrameLifter(15, width=16, generator=generator(0))
    seen = {}

    def truth(poses_camera, dataset):
        seen.update(poses=poses_camera, dataset=dataset)
        return dataset.poses_camera()

    assert evaluate(lifter, test_set, after=truth).metrics_mm["mpjpe"] < 1e-3
    assert torch.equal(seen["poses"], lift_dataset(lifter, test_set))
    assert seen["dataset"] is test_set
    assert evaluate(lifter, test_set, after=lambda poses, _: poses).metrics_mm == evaluate(lifter, test_set).metrics_mm
    with pytest.raises(ValueError, match="poses must have shape"):
        evaluate(lifter, test_set, after=lambda poses, _: poses[1:])


def test_smoothing_removes_noise_more_with_a_longer_window(test_set, noisy):
    errors = [
        evaluate_poses(after(noisy, test_set), test_set).metrics_mm["mpjpe"]
        for after in (lambda poses, _: poses, partial(smooth, window=3), smooth)
    ]
    assert errors[0] > 1.2 * errors[1] > 1.4 * errors[2]


def test_smoothing_is_a_convolution_with_a_hann_window(test_set, noisy):
    clip = test_set.clips[0]
    window = hann(11)[1:-1]
    expected = convolve1d(noisy[clip.start : clip.stop].double().numpy(), window / window.sum(), axis=0)
    smoothed = smooth(noisy.double(), test_set)[clip.start : clip.stop]
    torch.testing.assert_close(smoothed[4:-4], torch.from_numpy(expected[4:-4]))


def test_smoothing_keeps_constant_velocity_up_to_the_ends_of_clips(test_set):
    first = torch.tensor([clip.start for clip in test_set.clips])[test_set.clip_of_frame]
    time = (torch.arange(len(test_set)) - first).double()[:, None, None, None]
    velocity = torch.randn(1, 3, 15, 3, generator=generator(1), dtype=torch.float64)
    start = torch.randn(len(test_set.clips), 3, 15, 3, generator=generator(2), dtype=torch.float64)[test_set.clip_of_frame]
    motion = start + time * velocity
    torch.testing.assert_close(smooth(motion, test_set), motion)


def test_smoothing_has_no_delay_and_stays_within_a_clip(test_set, noisy):
    alone = test_set.select_clips([test_set.clips[1]])
    part = slice(test_set.clips[1].start, test_set.clips[1].stop)
    torch.testing.assert_close(smooth(noisy, test_set)[part], smooth(noisy[part], alone))
    backwards = smooth(noisy[part].flip(0), alone).flip(0)
    torch.testing.assert_close(backwards, smooth(noisy[part], alone))


def test_smoothing_leaves_missing_joints_missing_and_others_alone(test_set, noisy):
    holes = noisy.clone()
    holes[20, 1, 4] = torch.nan
    smoothed, expected = smooth(holes, test_set), smooth(noisy, test_set)
    assert torch.equal(smoothed.isnan(), holes.isnan())
    expected[:, 1, 4] = smoothed[:, 1, 4]
    assert torch.equal(smoothed.nan_to_num(), expected.nan_to_num())
    with pytest.raises(ValueError, match="odd"):
        smooth(noisy, test_set, window=4)


def test_an_average_of_lifters_is_the_mean_of_their_poses(test_set):
    lifters = [FrameLifter(15, width=8, root="free", generator=generator(seed)) for seed in range(3)]
    poses = [lift_dataset(lifter, test_set) for lifter in lifters]
    result = evaluate(lifters[0], test_set, after=average_with(*lifters[1:]))
    expected = evaluate_poses(sum(poses) / 3, test_set)
    assert result.metrics_mm == pytest.approx(expected.metrics_mm, rel=1e-4)
    assert result.metrics_mm["mpjpe"] < max(evaluate_poses(one, test_set).metrics_mm["mpjpe"] for one in poses)


@pytest.mark.parametrize("views", [["C1", "C2"], ["C1", "C2", "C3"]])
def test_against_views_is_what_against_labels_is_where_the_2d_is_exact_and_reads_none(test_set, noisy, views):
    test = test_set.select_views(views)
    seen = [test_set.view_names.index(view) for view in views]
    blind = test.with_poses(torch.full_like(test.poses_world, torch.nan))
    against_views = evaluate_against_views(noisy[:, seen], blind).metrics_mm
    assert against_views == evaluate_against_views(noisy[:, seen], test).metrics_mm
    assert against_views == pytest.approx(evaluate_poses(noisy[:, seen], test).metrics_mm, rel=0.02)


def test_against_views_nobodys_idea_of_a_joint_counts(test_set):
    """A detector that sees all hips elsewhere, and a lifter that follows it: right by its own views, wrong by the labels."""
    elsewhere = test_set.poses_world.clone()
    elsewhere[:, [test_set.skeleton.index(joint) for joint in ("left_hip", "right_hip")], 2] -= 0.1
    test = replace(test_set, pixels=test_set.frame_cameras.world_to_pixels(elsewhere.unsqueeze(1)))
    lifted = test.with_poses(elsewhere).poses_camera()
    result = with_triangulated_mpjpe(evaluate_poses(lifted, test), lifted, test)
    for means in (result.metrics_mm, result.by_action["Box"], result.by_subject["S3"], result.by_joint["left_hip"]):
        assert means["triangulated_mpjpe"] < means["mpjpe"] / 3
    assert set(result.metrics_mm) == {*METRICS, "triangulated_mpjpe"}
    assert set(evaluate_poses(lifted, test).metrics_mm) == set(METRICS)


def test_one_view_cannot_say_how_good_it_is(test_set, noisy):
    with pytest.raises(ValueError, match="at least two views"):
        evaluate_against_views(noisy[:, :1], test_set.select_views(["C1"]))
