import pytest
import torch
from looped_loss import looped_multiview_loss

from posekit.datasets import load_dataset
from posekit.lifters import FrameLifter
from posekit.losses import MultiviewLoss, label_free_loss, multiview_loss, reprojections, scene_loss, supervised_loss
from posekit.metrics import report_mpjpe
from posekit.random import generator
from posekit.ray_lifter import RayLifter
from posekit.samples import LabelledPoses, Views
from posekit.scenes import Scenes
from posekit.training import fit


@pytest.fixture
def sample(lens):
    """Four moments in float64: lifted poses near the truth, and what the cameras saw."""
    dataset = load_dataset("synthetic", "test", subjects=("S1",), actions=("Walking",), lens=lens)
    views = dataset.views()[:4].to(torch.float64)
    noise = 0.1 * torch.randn(4, 3, 15, 3, generator=torch.Generator().manual_seed(1))
    return dataset.poses_camera()[:4].double() + noise, views


def test_it_equals_the_looped_reference(sample):
    for actual, expected in zip(multiview_loss(*sample), looped_multiview_loss(*sample)):
        torch.testing.assert_close(actual, expected)


def test_it_equals_the_looped_reference_in_float32(sample):
    poses, views = sample[0].float(), sample[1].to(torch.float32)
    for actual, expected in zip(multiview_loss(poses, views), looped_multiview_loss(poses, views)):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("views", [2, 3])
def test_truth_has_no_loss_and_any_number_of_views_is_welcome(views):
    dataset = load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",)).select_views(["C1", "C3", "C2"][:views])
    for term in multiview_loss(dataset.poses_camera().double(), dataset.views().to(torch.float64)):
        assert term < 1e-6


def test_leading_axes_do_not_matter(sample):
    poses, views = sample
    folded = Views(
        views.screen.unflatten(0, (2, 2)), views.confidence.unflatten(0, (2, 2)), views.cameras[torch.arange(4).view(2, 2)]
    )
    for flat, deep in zip(multiview_loss(poses, views), multiview_loss(poses.unflatten(0, (2, 2)), folded)):
        torch.testing.assert_close(flat, deep)


def test_reprojection_into_the_own_view_is_plain_projection(sample):
    poses, views = sample
    projected = reprojections(poses, views.cameras)
    plain = views.cameras.pixels_to_screen(views.cameras.camera_to_pixels(poses))
    assert projected.shape == (4, 3, 3, 15, 2)
    torch.testing.assert_close(projected.diagonal(dim1=1, dim2=2).permute(0, 3, 1, 2), plain)


@pytest.mark.parametrize("clamp", [None, 1.0])
def test_gradient(sample, clamp):
    poses, views = sample
    assert torch.autograd.gradcheck(
        lambda p: torch.stack(multiview_loss(p, views[:1], clamp)), poses[:1].clone().requires_grad_()
    )


@pytest.mark.parametrize("options", [dict(weighted=True), dict(reach=0.05), dict(weighted=True, reach=0.05)], ids=str)
def test_gradient_with_weights_and_reach(sample, options):
    poses, views = sample
    trust = torch.rand(views.confidence.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    views = Views(views.screen, trust, views.cameras)[:1]
    assert torch.autograd.gradcheck(
        lambda p: torch.stack(multiview_loss(p, views, **options)), poses[:1].clone().requires_grad_()
    )


def test_joints_weigh_by_their_confidence(sample):
    """As the plain losses of each joint alone, averaged with these weights."""
    poses, views = sample
    weights = torch.linspace(0, 1, 15, dtype=torch.float64)
    weighted = multiview_loss(poses, Views(views.screen, views.confidence * weights, views.cameras), weighted=True)
    alone = [
        multiview_loss(poses[:, :, [j]], Views(views.screen[:, :, [j]], views.confidence[:, :, [j]], views.cameras))
        for j in range(15)
    ]
    for term in ("own", "cross"):
        expected = sum(w * getattr(one, term) for w, one in zip(weights, alone)) / weights.sum()
        torch.testing.assert_close(getattr(weighted, term), expected)
    plain = multiview_loss(poses, Views(views.screen, views.confidence * weights, views.cameras))
    torch.testing.assert_close(plain, multiview_loss(poses, views))  # unless asked for, confidence is not looked at


def test_nothing_trusted_is_no_loss(sample):
    poses, views = sample
    nothing = Views(views.screen, torch.zeros_like(views.confidence), views.cameras)
    weighted = multiview_loss(poses, nothing, weighted=True)
    assert weighted.own == weighted.cross == 0


def test_a_joint_far_off_pulls_less_within_reach(sample):
    poses, views = sample
    views.screen[0, 0, 7] += 3.0

    def pull(**options):
        p = poses.clone().requires_grad_()
        return torch.autograd.grad(multiview_loss(p, views, **options).own, p)[0].norm(dim=-1)

    plain, short = pull(), pull(reach=0.05)
    assert short[0, 0, 7] < 0.05 * plain[0, 0, 7]
    huge = multiview_loss(poses, views, reach=1e6)
    torch.testing.assert_close(huge, multiview_loss(poses, views), rtol=1e-5, atol=0)


@pytest.mark.parametrize("loss", [supervised_loss, scene_loss])
def test_one_label_that_is_nan_leaves_all_weights_finite(loss):
    data = load_dataset("synthetic", "train", subjects=("S2",), actions=("Box",), stride=4)
    poses = data.poses_world.clone()
    poses[3, 7, 1] = torch.nan
    data, source = data.with_poses(poses), generator(0)
    scenes = loss is scene_loss
    lifter = RayLifter("humaneva15", width=16, generator=source) if scenes else FrameLifter(15, width=16, generator=source)
    before = [weight.clone() for weight in lifter.parameters()]
    fit(lifter, Scenes(data) if scenes else data.labelled_poses(), loss, epochs=2, batch_size=64, generator=source)
    assert all(weight.isfinite().all() for weight in lifter.parameters())
    assert any(not torch.equal(*pair) for pair in zip(before, lifter.parameters()))


def test_missing_joints_take_no_part(sample):
    poses, views = sample
    views.screen[:, :, 4] = torch.nan  # a wrist no camera saw
    without = torch.tensor([j for j in range(15) if j != 4])
    rest = Views(views.screen[:, :, without], views.confidence[:, :, without], views.cameras)
    masked, expected = multiview_loss(poses, views), multiview_loss(poses[:, :, without], rest)
    torch.testing.assert_close(masked.own, expected.own)
    torch.testing.assert_close(masked.cross, expected.cross)
    poses.requires_grad_()
    (gradient,) = torch.autograd.grad(multiview_loss(poses, views).own, poses)
    assert gradient.isfinite().all()
    assert (gradient[:, :, 4] == 0).all()


def test_a_view_that_saw_nothing_takes_no_part(sample):
    poses, views = sample
    views.screen[:, 2] = torch.nan
    poses[:, 2] = torch.nan  # what a lifter makes of it
    two = Views(views.screen[:, :2], views.confidence[:, :2], views.cameras[:, :2])
    poses.requires_grad_()
    actual = multiview_loss(poses, views)
    torch.testing.assert_close(actual.own, multiview_loss(poses[:, :2], two).own)
    torch.testing.assert_close(actual.cross, multiview_loss(poses[:, :2], two).cross)
    (gradient,) = torch.autograd.grad(sum(actual), poses)
    assert gradient.isfinite().all()


def test_a_lifter_that_breaks_is_not_hidden(sample):
    poses, views = sample
    poses[0, 0, 0] = torch.nan
    assert sum(multiview_loss(poses, views)).isnan()


def test_one_view_is_refused(sample):
    poses, views = sample
    one = Views(views.screen[:, :1], views.confidence[:, :1], views.cameras[:, :1])
    with pytest.raises(ValueError, match="at least two views of each moment, got 1"):
        multiview_loss(poses[:, :1], one)


def test_terms_can_be_left_out(sample):
    poses, views = sample
    terms = multiview_loss(poses, views)
    for name in MultiviewLoss._fields:
        torch.testing.assert_close(label_free_loss(lambda _: poses, views, terms=(name,)), getattr(terms, name))
    torch.testing.assert_close(label_free_loss(lambda _: poses, views), sum(terms))


def test_supervised_loss_leaves_out_missing_labels(sample):
    poses, views = sample
    truth = poses.flatten(0, 1) + 0.01
    batch = LabelledPoses(views.screen.flatten(0, 1), truth)
    # Every joint is off by 0.01 along each axis; relative to the root only the root itself is.
    expected = torch.tensor(0.01 * 3**0.5 / 15, dtype=torch.float64)
    torch.testing.assert_close(supervised_loss(lambda _: poses.flatten(0, 1), batch), expected)
    truth[0, 3] = torch.nan
    assert supervised_loss(lambda _: poses.flatten(0, 1), batch).isfinite()


def supervised_gradient(predicted, screen, labels):
    predicted = predicted.clone().requires_grad_()
    value = supervised_loss(lambda _: predicted, LabelledPoses(screen, labels))
    return value, torch.autograd.grad(value, predicted)[0]


def test_a_missing_label_has_the_gradients_of_a_joint_left_out(sample):
    poses, views = sample[0].flatten(0, 1), sample[1].screen.flatten(0, 1)
    labels = poses + 0.1 * torch.randn(poses.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    kept = torch.tensor([joint for joint in range(15) if joint != 4])
    expected = supervised_gradient(poses[:, kept], views[:, kept], labels[:, kept])
    labels[:, 4] = torch.nan
    value, gradient = supervised_gradient(poses, views, labels)
    torch.testing.assert_close((value, gradient[:, kept]), expected)
    assert (gradient[:, 4] == 0).all()


def test_a_pose_without_root_label_or_2d_has_the_gradients_of_a_pose_left_out(sample):
    poses, views = sample[0].flatten(0, 1), sample[1].screen.flatten(0, 1)
    labels = poses + 0.1 * torch.randn(poses.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = supervised_gradient(poses[2:], views[2:], labels[2:])
    labels[0, 0] = torch.nan
    views[1] = poses[1] = torch.nan  # nothing seen, so nothing lifted
    value, gradient = supervised_gradient(poses, views, labels)
    torch.testing.assert_close((value, gradient[2:]), expected)
    assert (gradient[:2] == 0).all()


def test_supervised_gradient_with_missing_labels(sample):
    poses, views = sample[0].flatten(0, 1)[:3], sample[1].screen.flatten(0, 1)[:3]
    labels = poses + 0.1 * torch.randn(poses.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    labels[0, 4], labels[1] = torch.nan, torch.nan
    batch = LabelledPoses(views, labels)
    assert torch.autograd.gradcheck(lambda p: supervised_loss(lambda _: p, batch), poses.clone().requires_grad_())


def test_a_supervised_lifter_that_breaks_is_not_hidden(sample):
    poses, views = sample[0].flatten(0, 1), sample[1].screen.flatten(0, 1)
    broken = poses.clone()
    broken[0, 4] = torch.nan
    assert supervised_loss(lambda _: broken, LabelledPoses(views, poses)).isnan()


def test_the_loss_of_a_scene_is_the_metric_and_masks_missing_joints(source):
    people = load_dataset("synthetic", "train", subjects=("S2",), actions=("Box",))
    scene = Scenes(people).draw(6, source)
    guess = torch.randn(6, 15, 3, generator=source).requires_grad_()

    class Lifter:
        def lift_scene(self, scene):
            return guess, seen

    seen = torch.ones(6, 1, dtype=torch.bool)
    torch.testing.assert_close(scene_loss(Lifter(), scene), report_mpjpe(guess, scene.poses_camera()).mean())
    scene.poses_world[2, 5], scene.poses_world[4, 0], seen[1] = torch.nan, torch.nan, False
    scene_loss(Lifter(), scene).backward()
    assert guess.grad.isfinite().all()
    assert not guess.grad[2, 5].any()
    assert not guess.grad[4].any()
    assert not guess.grad[1].any()
    assert guess.grad[0].any()
