import re
from dataclasses import replace
from functools import wraps

import pytest
import torch
from torch import nn

from posekit.datasets import load_dataset
from posekit.lifters import FrameLifter, SequenceLifter, TemporalConvLifter
from posekit.losses import label_free_loss, middle_frame_loss, scene_loss, supervised_loss
from posekit.metrics import report_mpjpe
from posekit.random import generator, seeded
from posekit.ray_lifter import RayLifter
from posekit.scenes import Scenes
from posekit.training import (
    adapt,
    evaluate,
    evaluate_poses,
    fit,
    lift,
    lift_dataset,
    report_mpjpe_mm,
    set_mode,
    share_behind,
)


@pytest.fixture(scope="module")
def data():
    options = dict(subjects=("S2",), actions=("Walking", "Box"))
    train, test = (load_dataset("synthetic", split, **options) for split in ("train", "test"))
    return train, test


def trained(samples, loss, seed=0, epochs=2, **options):
    source = generator(seed)
    lifter = FrameLifter(15, width=32, dropout=0.2, generator=source)
    curve = fit(lifter, samples, loss, epochs=epochs, generator=source, **options)
    return lifter, curve


def test_the_progress_bar_shows_what_was_measured(data, monkeypatch, capsys):
    monkeypatch.delenv("POSEKIT_QUIET", raising=False)
    _, test = data
    trained(test.views(), label_free_loss, epochs=1)
    shown = capsys.readouterr().err
    assert "loss=" in shown
    assert "mm=" not in shown
    trained(test.views(), label_free_loss, epochs=1, test=test)
    assert re.search(r"loss=\d.*mm=\d", capsys.readouterr().err)


def weights(lifter):
    return list(lifter.state_dict().values())


def test_label_free_training_never_sees_a_label(data):
    train, _ = data
    blind = replace(train, poses_world=torch.full_like(train.poses_world, torch.nan))
    seeing, _ = trained(train.views(), label_free_loss)
    unseeing, _ = trained(blind.views(), label_free_loss)
    assert all(torch.equal(a, b) for a, b in zip(weights(seeing), weights(unseeing)))


@pytest.mark.parametrize("loss", [label_free_loss, supervised_loss])
def test_the_same_seed_gives_the_same_bits_and_another_does_not(data, loss):
    train, _ = data
    samples = train.views() if loss is label_free_loss else train.labelled_poses()
    first, again, other = (trained(samples, loss, seed)[0] for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(weights(first), weights(again)))
    assert not torch.equal(first.outer.linear.weight, other.outer.linear.weight)


def test_training_leaves_the_global_generator_alone(data):
    before = torch.random.get_rng_state()
    trained(data[0].views(), label_free_loss, epochs=1)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_after_every_epoch_one_can_look_at_the_lifter(data):
    train, test = data
    seen = []

    def look(epoch, lifter):
        seen.append((epoch, report_mpjpe_mm(lifter, test)))

    looked_at, curve = trained(train.views(), label_free_loss, test=test, after_epoch=look)
    alone, _ = trained(train.views(), label_free_loss)
    assert seen == list(zip(curve.epoch, curve.report_mpjpe_mm))
    assert all(torch.equal(a, b) for a, b in zip(weights(looked_at), weights(alone)))


def test_both_ways_of_training_learn(data):
    train, test = data
    for samples, loss in ((train.views(), label_free_loss), (train.labelled_poses(), supervised_loss)):
        _, curve = trained(samples, loss, epochs=12, learning_rate=3e-3, test=test)
        assert curve.epoch == list(range(1, 13))
        assert curve.loss[-1] < curve.loss[0] / 2
        assert curve.report_mpjpe_mm[-1] < 250 < curve.report_mpjpe_mm[0]


def test_label_free_training_copes_with_missing_joints(data):
    train, _ = data
    noisy = train.with_detector_noise(2.0, 0.3, generator(0))
    assert noisy.pixels.isnan().any()
    lifter, curve = trained(noisy.views(), label_free_loss, epochs=4, learning_rate=3e-3)
    assert curve.loss[-1] < curve.loss[0]
    assert all(weight.isfinite().all() for weight in weights(lifter))


def test_the_curve_measures_only_when_asked(data):
    train, test = data
    _, curve = trained(train.views(), label_free_loss, epochs=5, test=test, test_every=2)
    assert [value is None for value in curve.report_mpjpe_mm] == [True, False, True, False, False]
    assert curve.measured() == ([2, 4, 5], [curve.report_mpjpe_mm[k] for k in (1, 3, 4)])
    assert trained(train.views(), label_free_loss, epochs=1)[1].report_mpjpe_mm == [None]


@pytest.mark.parametrize(
    ("switch", "dropping", "learning"),
    [("none", True, True), ("both", False, False), ("dropout", False, True), ("norm", True, False)],
)
def test_the_switch(switch, dropping, learning):
    lifter = FrameLifter(15, width=8)
    set_mode(lifter, switch)
    assert {m.training for m in lifter.modules() if isinstance(m, nn.Dropout)} == {dropping}
    assert {m.training for m in lifter.modules() if isinstance(m, nn.BatchNorm1d)} == {learning}


def test_the_switch_comes_after_the_first_half_and_one_more(data):
    train, _ = data
    modes = []

    def spying(lifter, batch):
        modes.append(lifter.training)
        return label_free_loss(lifter, batch)

    trained(train.views(), spying, epochs=4, switch="both", batch_size=1000)
    assert modes == [True, True, True, False]


def test_batch_norm_statistics_stay_put_when_frozen(data):
    samples = data[0].views()
    seen = []

    def spying(lifter, batch):
        seen.append(lifter.inner[1].running_mean.clone())
        return label_free_loss(lifter, batch)

    lifter, _ = trained(samples, spying, epochs=4, switch="norm", batch_size=1000)
    assert not torch.equal(seen[1], seen[2])
    assert torch.equal(seen[3], lifter.inner[1].running_mean)


def test_a_last_batch_of_one_is_left_out(data):
    samples = data[0].labelled_poses()[torch.arange(9)]
    trained(samples, supervised_loss, batch_size=4)


@pytest.mark.parametrize("schedule", ["constant", "one_cycle"])
def test_an_interrupted_run_goes_on_to_the_same_bits(data, tmp_path, schedule):
    samples, path = data[0].views(), tmp_path / "run.pt"
    options = dict(epochs=4, schedule=schedule, switch="both", batch_size=200)
    whole, whole_curve = trained(samples, label_free_loss, **options)
    calls = []

    @wraps(label_free_loss)  # a checkpoint is of one loss
    def interrupted(lifter, batch):
        calls.append(1)
        if len(calls) == 11:  # in the third epoch
            raise KeyboardInterrupt
        return label_free_loss(lifter, batch)

    with pytest.raises(KeyboardInterrupt):
        trained(samples, interrupted, checkpoint=path, **options)
    assert path.exists()
    resumed, curve = trained(samples, label_free_loss, checkpoint=path, **options)
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(resumed)))
    assert (curve.epoch, curve.loss) == (whole_curve.epoch, whole_curve.loss)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_run_is_refused(data, tmp_path):
    samples, path = data[0].views(), tmp_path / "run.pt"

    def interrupted(lifter, batch):
        if path.exists():
            raise KeyboardInterrupt
        return label_free_loss(lifter, batch)

    with pytest.raises(KeyboardInterrupt):
        trained(samples, interrupted, checkpoint=path, epochs=3)
    with pytest.raises(ValueError, match=r"run\.pt is of another run: .*'epochs': 3.* this one has .*'epochs': 5"):
        trained(samples, label_free_loss, checkpoint=path, epochs=5)


def test_adaptation_fits_the_test_views_and_leaves_the_source_alone(data):
    train, test = data
    source, _ = trained(train.views(), label_free_loss, epochs=8, learning_rate=3e-3)
    before = [weight.clone() for weight in weights(source)]
    options = dict(epochs=15, learning_rate=1e-3, generator=generator(0), test=test)
    adapted, curve = adapt(source, test.views(), label_free_loss, **options)
    assert all(torch.equal(a, b) for a, b in zip(weights(source), before))
    assert curve.report_mpjpe_mm[-1] < 0.7 * report_mpjpe_mm(source, test)
    statistics = [name for name in adapted.state_dict() if "running" in name]
    assert all(torch.equal(adapted.state_dict()[name], source.state_dict()[name]) for name in statistics)


def test_adaptation_to_a_single_moment(data):
    train, test = data
    source, _ = trained(train.views(), label_free_loss, epochs=4, learning_rate=3e-3)
    one = test.views()[10:11]
    adapted, curve = adapt(source, one, label_free_loss, epochs=40, learning_rate=1e-3, generator=generator(0))
    assert curve.loss[-1] < curve.loss[0] / 4
    truth = test.poses_camera()[10]
    assert report_mpjpe(lift(adapted, one.screen[0]), truth).mean() < report_mpjpe(lift(source, one.screen[0]), truth).mean()


def test_adaptation_to_another_skeleton_is_refused(data):
    views = data[1].views()
    with pytest.raises(ValueError, match="takes poses of 17 joints, got 15"):
        adapt(FrameLifter(17, width=8), views, label_free_loss, epochs=1, generator=generator(0))


@pytest.mark.parametrize("make", [SequenceLifter, TemporalConvLifter])
def test_sequence_lifters_learn_from_the_same_loss(data, make):
    train, test = data
    source = generator(0)
    lifter = make(15, width=32, window=9, generator=source)
    windows = train.views().windows(train.surrounding_frames(9))
    options = dict(epochs=4, batch_size=64, learning_rate=3e-3)
    curve = fit(lifter, windows, middle_frame_loss, **options, generator=source, test=test)
    assert curve.loss[-1] < curve.loss[0] / 2
    assert curve.report_mpjpe_mm[-1] < 300


def test_lifters_of_clips_learn_and_lift_clip_by_clip(data):
    train, test = data
    source = generator(0)
    lifter = SequenceLifter(15, width=32, window=None, generator=source)
    clips = train.views().windows(train.clip_frames())
    curve = fit(lifter, clips, label_free_loss, epochs=20, batch_size=1, learning_rate=1e-3, generator=source)
    assert curve.loss[-1] < curve.loss[0] / 2
    poses = lift_dataset(lifter, test)
    for clip in test.clips:
        alone = lifter(test.screen()[clip.start : clip.stop])
        torch.testing.assert_close(poses[clip.start : clip.stop], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("make", [SequenceLifter, TemporalConvLifter])
def test_lifters_of_stretches_see_each_frame_with_its_surroundings(data, make):
    _, test = data
    lifter = make(15, width=8, window=9, root="free", generator=generator(0)).eval()
    poses = lift_dataset(lifter, test)
    assert poses.shape == test.poses_camera().shape
    for frame in (test.clips[-1].start, test.clips[-1].start + 20, len(test) - 1):
        around = test.views().windows(test.surrounding_frames(9)[frame])
        torch.testing.assert_close(poses[frame], lifter(around.screen), atol=1e-5, rtol=1e-5)


def test_the_middle_frame_loss_is_the_label_free_loss_of_that_frame(data):
    views = data[0].views()
    stretches = views.windows(data[0].surrounding_frames(9))[:50]
    lifter = FrameLifter(15, width=8, generator=generator(0)).eval()
    ours = middle_frame_loss(lambda screen: lifter(screen[:, 4]), stretches, terms=("own", "cross"))
    torch.testing.assert_close(ours, label_free_loss(lifter, views[:50], terms=("own", "cross")))


def test_a_broken_loss_stops_the_run(data):
    with pytest.raises(ValueError, match="no longer finite in epoch 1"):
        trained(data[0].views(), lambda lifter, batch: label_free_loss(lifter, batch) * torch.nan)


def test_weights_that_break_under_a_finite_loss_stop_the_run(data):
    def poisoned(lifter, batch):
        return label_free_loss(lifter, batch) + (0 * lifter.outer.linear.bias.sum()).sqrt()  # finite, its gradient is not

    with pytest.raises(ValueError, match=r"weights are no longer finite after epoch 1, .*: outer\.linear\.bias"):
        trained(data[0].views(), poisoned, batch_size=10000)


def test_training_on_nothing_is_no_success(data):
    train, _ = data
    unseen = replace(train, pixels=torch.full_like(train.pixels, torch.nan))
    unlabelled = replace(train, poses_world=torch.full_like(train.poses_world, torch.nan))
    never_both = replace(unseen, pixels=train.pixels.clone(), poses_world=train.poses_world.clone())
    never_both.pixels[::2] = torch.nan
    never_both.poses_world[1::2] = torch.nan
    for samples, loss in (
        (unseen.views(), label_free_loss),
        (unseen.labelled_poses(), supervised_loss),
        (unlabelled.labelled_poses(), supervised_loss),
        (never_both.labelled_poses(), supervised_loss),
    ):
        with pytest.raises(ValueError, match="the loss is 0 in epoch 1: the samples hold nothing to compare"):
            trained(samples, loss)
    with pytest.raises(ValueError, match="there are no samples"):
        trained(train.views()[:0], label_free_loss)


def test_supervised_training_copes_with_missing_labels(data):
    train, test = data
    holes = replace(train, poses_world=train.poses_world.clone())
    holes.poses_world[torch.rand(holes.poses_world.shape[:2], generator=generator(0)) < 0.3] = torch.nan
    holes.poses_world[:200] = torch.nan
    lifter, _ = trained(holes.labelled_poses(), supervised_loss, epochs=12, learning_rate=3e-3)
    assert all(weight.isfinite().all() for weight in weights(lifter))
    assert report_mpjpe_mm(lifter, test) < 250


def test_unknown_options_are_refused(data):
    with pytest.raises(ValueError, match="schedule must be one of"):
        trained(data[0].views(), label_free_loss, schedule="cosine")


def test_evaluation_is_in_eval_mode_in_chunks_and_puts_the_mode_back(data):
    _, test = data
    lifter = FrameLifter(15, width=16, generator=generator(0)).train()
    lifter.blocks.eval()
    whole = lift(lifter, test.screen())
    torch.testing.assert_close(lift(lifter, test.screen(), chunk=100), whole)
    assert whole.shape == test.poses_camera().shape
    assert lifter.inner.training
    assert not lifter.blocks.training


def test_the_share_behind_the_camera_is_seen_as_in_training(data):
    screen = data[0].views().screen[::10]
    lifter = FrameLifter(15, width=16, root="free", generator=generator(0)).eval()
    before = [value.clone() for value in weights(lifter)]
    shares = [share_behind(lifter, screen, generator(seed)) for seed in (1, 1, 2)]
    assert 0 < shares[0] < 1
    assert shares[0] == shares[1] != shares[2]  # dropout is on
    assert not lifter.training
    assert all(torch.equal(a, b) for a, b in zip(before, weights(lifter)))
    for depth, share in ((100.0, 0.0), (-100.0, 1.0)):
        lifter.outer.linear.bias.data[2] = depth
        assert share_behind(lifter, screen, generator(1)) == share
    assert share_behind(FrameLifter(15, width=16, generator=generator(0)), screen, generator(1)) == 0


def test_evaluation_averages_over_frames_views_and_actions(data):
    _, test = data
    lifter = FrameLifter(15, width=16, generator=generator(0))
    result = evaluate(lifter, test)
    errors = 1000 * report_mpjpe(lift(lifter, test.screen()), test.poses_camera())
    assert result.metrics_mm["report_mpjpe"] == pytest.approx(errors.mean().item())
    assert report_mpjpe_mm(lifter, test) == pytest.approx(errors.mean().item())
    assert list(result.by_action) == ["Walking", "Box"]
    shares = [sum(len(c) for c in test.clips if c.action == action) / len(test) for action in result.by_action]
    mean = sum(share * result.by_action[a]["mpjpe"] for a, share in zip(result.by_action, shares))
    assert result.metrics_mm["mpjpe"] == pytest.approx(mean, rel=1e-5)


def test_the_truth_has_no_error(data):
    _, test = data
    for name, value in evaluate_poses(test.poses_camera(), test).metrics_mm.items():
        assert value < 1e-3, name


def test_a_seed_gives_the_same_on_the_cpu_where_there_are_other_devices(monkeypatch):
    def weights():
        source = generator(0)
        lifter = FrameLifter(joints=15, width=8, root="free", generator=source)
        return [*lifter.parameters(), torch.rand(3, generator=source)]

    without = weights()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert all(torch.equal(one, other) for one, other in zip(without, weights()))


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 11, 20])
def test_any_number_of_steps_has_a_schedule(data, steps):
    train, _ = data
    lifter = FrameLifter(joints=15, width=8, root="free", generator=generator(0))
    samples = train.views()[: 8 * steps]
    options = dict(optimizer="adamw", schedule="one_cycle", generator=generator(1))
    assert len(fit(lifter, samples, label_free_loss, epochs=1, batch_size=8, **options).loss) == 1


def test_scenes_which_are_drawn_anew_cannot_validate(data):
    scenes = Scenes(data[0])
    lifter = RayLifter("humaneva15", width=8, blocks=1)
    with pytest.raises(ValueError, match=r"validation must be fixed samples, such as labelled_poses\(\), not scenes"):
        fit(lifter, scenes, scene_loss, epochs=1, generator=generator(0), validation=scenes)


def test_seeded_is_the_generator_itself():
    source = generator(3)
    with seeded(source):
        first = torch.rand(2)
    with seeded(source):
        second = torch.rand(2)
    expected = torch.rand(4, generator=generator(3))
    assert torch.equal(torch.cat([first, second]), expected)
