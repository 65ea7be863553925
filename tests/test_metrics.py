import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from roma import random_rotmat, rotvec_to_rotmat
from scipy.spatial import procrustes

from posekit.metrics import METRICS, all_metrics_mm, mpjpe, n_mpjpe, pa_mpjpe, report_mpjpe, root_error


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
