import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from roma import random_rotmat, rotvec_to_rotmat
from scipy.spatial import procrustes

from posekit.metrics import (
    METRICS,
    all_metrics_mm,
    joint_distances,
    mean_of_present,
    mean_over_joints,
    mpjpe,
    n_mpjpe,
    pa_mpjpe,
    report_mpjpe,
    root_error,
)


def some_poses(seed):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(2, 4, 15, 3, generator=source, dtype=torch.float64), source


@given(st.integers(0, 2**31))
def test_no_error_is_no_error_and_batches_are_kept(seed):
    poses, _ = some_poses(seed)
    for metric in METRICS.values():
        errors = metric(poses, poses)
        assert errors.shape == (2, 4)
        torch.testing.assert_close(errors, torch.zeros_like(errors), atol=1e-7, rtol=0)


@given(st.integers(0, 2**31), st.floats(0.2, 5))
def test_pa_mpjpe_is_blind_to_similarity_and_mpjpe_is_not(seed, scale):
    poses, source = some_poses(seed)
    true = torch.randn(2, 4, 15, 3, generator=source, dtype=torch.float64)
    rotation = rotvec_to_rotmat(torch.randn(2, 4, 1, 3, generator=source, dtype=torch.float64) + 0.5)
    moved = scale * (rotation @ poses.unsqueeze(-1)).squeeze(-1) + torch.randn(
        2, 4, 1, 3, generator=source, dtype=torch.float64
    )
    torch.testing.assert_close(pa_mpjpe(moved, true), pa_mpjpe(poses, true))
    assert not torch.allclose(mpjpe(moved, true), mpjpe(poses, true))


def test_pa_mpjpe_agrees_with_scipy():
    poses, source = some_poses(3)
    true = poses + 0.3 * torch.randn(poses.shape, generator=source, dtype=torch.float64)
    for predicted_one, true_one, error in zip(poses.flatten(0, 1), true.flatten(0, 1), pa_mpjpe(poses, true).flatten()):
        standard, aligned, _ = procrustes(true_one.numpy(), predicted_one.numpy())
        size = np.linalg.norm(true_one - true_one.mean(0))
        assert error.item() == pytest.approx(np.linalg.norm(standard - aligned, axis=-1).mean() * size)


def test_a_moved_person_is_only_the_roots_error():
    poses, _ = some_poses(0)
    moved = poses + torch.tensor([0.3, 0.0, 0.4])
    half = torch.full((2, 4), 0.5, dtype=torch.float64)
    torch.testing.assert_close(root_error(moved, poses), half)
    torch.testing.assert_close(report_mpjpe(moved, poses), half / 15)
    for blind in (mpjpe, pa_mpjpe, n_mpjpe):
        torch.testing.assert_close(blind(moved, poses), torch.zeros_like(half), atol=1e-7, rtol=0)


def test_the_reports_metric_is_the_mean_of_root_and_relative_errors():
    poses, source = some_poses(1)
    true = poses + torch.randn(poses.shape, generator=source, dtype=torch.float64)
    torch.testing.assert_close(report_mpjpe(poses, true), mpjpe(poses, true) + root_error(poses, true) / 15)


def test_n_mpjpe_removes_scale_alone():
    poses, _ = some_poses(2)
    torch.testing.assert_close(n_mpjpe(3 * poses, poses), torch.zeros(2, 4, dtype=torch.float64), atol=1e-7, rtol=0)
    turned = (random_rotmat(1).double() @ poses.unsqueeze(-1)).squeeze(-1)
    assert (n_mpjpe(turned, poses) > 0.01).all()


@pytest.mark.parametrize("name", METRICS)
def test_missing_joints_are_left_out(name):
    poses, source = some_poses(4)
    true = poses + 0.1 * torch.randn(poses.shape, generator=source, dtype=torch.float64)
    kept = torch.tensor([j for j in range(15) if j != 7])
    expected = METRICS[name](poses[..., kept, :], true[..., kept, :])
    true[..., 7, :] = torch.nan
    torch.testing.assert_close(METRICS[name](poses, true), expected)


def test_a_pose_without_joints_is_nan_and_leaves_the_others_alone():
    poses, _ = some_poses(5)
    true = poses.clone()
    true[0, 0] = torch.nan
    for name, errors in all_metrics_mm(poses, true).items():
        assert errors[0, 0].isnan(), name
        assert errors.isfinite().sum() == 7


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_the_mean_of_its_errors_per_joint(name):
    poses, source = some_poses(6)
    true = poses + 0.1 * torch.randn(poses.shape, generator=source, dtype=torch.float64)
    true[0, 0, 7] = torch.nan
    per_joint = METRICS[name].per_joint(poses, true)
    assert per_joint.shape == (2, 4, 15)
    assert per_joint[0, 0, 7].isnan()
    torch.testing.assert_close(METRICS[name](poses, true), per_joint.nanmean(-1))


def test_errors_per_joint_are_where_the_joint_is_off():
    poses, _ = some_poses(7)
    moved = poses.clone()
    moved[..., 4, :] += torch.tensor([0.3, 0.0, 0.4])
    expected = torch.zeros(2, 4, 15, dtype=torch.float64)
    expected[..., 4] = 0.5
    for relative in (mpjpe, report_mpjpe):
        torch.testing.assert_close(relative.per_joint(moved, poses), expected)
    assert root_error.per_joint(moved, poses).isfinite().sum(-1).unique() == 1


def test_a_metric_of_ones_own_is_one_function():
    @mean_over_joints
    def depth_error(predicted, true):
        """How far each joint is off along the optical axis."""
        return (predicted - true)[..., 2].abs()

    poses, _ = some_poses(8)
    moved = poses + torch.tensor([0.3, 0.0, 0.4])
    torch.testing.assert_close(depth_error(moved, poses), torch.full((2, 4), 0.4, dtype=torch.float64))
    assert (depth_error.__name__, depth_error.__doc__) == ("depth_error", "How far each joint is off along the optical axis.")


@pytest.mark.parametrize("missing", ["a label", "a prediction", "all labels", "all predictions"])
@pytest.mark.parametrize("name", METRICS)
def test_what_is_missing_has_no_gradient_and_spoils_no_other(name, missing):
    poses, source = some_poses(9)
    true = poses + 0.1 * torch.randn(poses.shape, generator=source, dtype=torch.float64)
    joints = slice(None) if "all" in missing else 7
    (true if "label" in missing else poses)[0, 0, joints] = torch.nan
    poses.requires_grad_()
    (gradient,) = torch.autograd.grad(METRICS[name](poses, true).nansum(), poses)
    assert gradient.isfinite().all()
    assert (gradient[0, 0, joints] == 0).all()
    assert (gradient[0, 1] != 0).any()


@pytest.mark.parametrize("name", METRICS)
def test_gradients_with_a_missing_joint(name):
    poses, source = some_poses(10)
    true = poses[0, :2, :5] + torch.randn(2, 5, 3, generator=source, dtype=torch.float64)
    true[0, 3] = torch.nan
    assert torch.autograd.gradcheck(lambda p: METRICS[name](p, true), poses[0, :2, :5].clone().requires_grad_())


@pytest.mark.parametrize("name", METRICS)
def test_a_bad_prediction_is_not_taken_for_a_missing_one(name):
    poses, _ = some_poses(11)
    assert (METRICS[name](torch.ones_like(poses), poses) > 0).all()  # all joints in one place
    infinite = poses.clone()
    infinite[..., 0 if name == "root_error" else 7, 0] = torch.inf
    assert (METRICS[name](infinite, poses) == torch.inf).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("joints", [13, 14, 15, 17, 33])
def test_joints_that_all_coincide_are_aligned_with_the_middle_of_the_true_ones(joints, dtype, source):
    true = torch.randn(200, joints, 3, generator=source, dtype=dtype)
    true[0, 3] = torch.nan
    place = 3 * torch.randn(200, 1, 3, generator=source, dtype=dtype).expand_as(true)
    spread = (true - true.nanmean(1, keepdim=True)).norm(dim=-1).nanmean(1)
    for predicted in (torch.zeros_like(true), torch.ones_like(true), place):
        torch.testing.assert_close(pa_mpjpe(predicted, true), spread)
    single = true.clone()
    single[:, 1:] = torch.nan
    assert (pa_mpjpe(single + 1, true) == 0).all()  # nothing but a place in common
    place = place.clone().requires_grad_()
    assert torch.autograd.grad(pa_mpjpe(place, true).sum(), place)[0].isfinite().all()


def test_poses_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"mpjpe: predicted and true .* got \(4, 1, 15, 3\) and \(4, 3, 15, 3\)"):
        mpjpe(torch.zeros(4, 1, 15, 3), torch.zeros(4, 3, 15, 3))


def test_means_and_their_gradients_without_any_value():
    values = torch.tensor([[1.0, torch.nan, 3.0], [torch.nan] * 3], requires_grad=True)
    mean = mean_of_present(values)
    torch.testing.assert_close(mean, torch.tensor([2.0, torch.nan]), equal_nan=True)
    (gradient,) = torch.autograd.grad(mean[0], values)
    assert gradient.tolist() == [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]
    assert joint_distances(torch.zeros(2, 3), torch.full((2, 3), torch.nan)).isnan().all()
