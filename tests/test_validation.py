"""The validation split, and training that stops early by it."""

from dataclasses import replace
from functools import wraps

import pytest
import torch

from posekit.datasets import load_dataset
from posekit.lifters import FrameLifter
from posekit.losses import label_free_loss, supervised_loss
from posekit.random import generator
from posekit.training import fit, mean_loss


@pytest.fixture(scope="module")
def train():
    return load_dataset("synthetic", "train")


@pytest.fixture(scope="module")
def parts():
    return load_dataset("synthetic", "train", subjects=("S2",), actions=("Walking",)).every(2).validation_split()


def numbered(dataset):
    """The dataset with each frame's number as its poses, so that parts of it can be told."""
    number = torch.arange(len(dataset), dtype=torch.float32)
    return replace(
        dataset,
        poses_world=number[:, None, None].expand_as(dataset.poses_world),
        pixels=number[:, None, None, None].expand_as(dataset.pixels),
        confidence=number[:, None, None].expand_as(dataset.confidence),
    )


def test_the_last_quarter_of_each_persons_action_is_held_out(train):
    kept, held_out = (part.poses_world[:, 0, 0].long() for part in numbered(train).validation_split())
    for subject, action in {(clip.subject, clip.action) for clip in train.clips}:
        clips = [clip for clip in train.clips if (clip.subject, clip.action) == (subject, action)]
        frames = torch.cat([torch.arange(clip.start, clip.stop) for clip in clips])
        quarter = len(frames) // 4
        assert torch.equal(held_out[torch.isin(held_out, frames)], frames[-quarter:])
        assert torch.equal(kept[torch.isin(kept, frames)], frames[: -quarter - 10])


@pytest.mark.parametrize(("share", "gap"), [(0.25, 10), (0.5, 0), (0.7, 30), (0.01, 1)])
def test_cut_clips_keep_their_names_cameras_and_frames(train, share, gap):
    for part in numbered(train).validation_split(share, gap):
        for number, clip in enumerate(part.clips):
            frames = part.poses_world[clip.start : clip.stop, 0, 0].long()
            assert (frames.diff() == 1).all()
            (origin,) = set(train.clip_of_frame[frames].tolist())
            assert replace(clip, start=0, stop=0) == replace(train.clips[origin], start=0, stop=0)
            assert torch.equal(part.cameras.R_world_to_camera[number], train.cameras.R_world_to_camera[origin])
        number = part.poses_world[:, 0, 0]
        assert torch.equal(part.pixels[:, 0, 0, 0], number)
        assert torch.equal(part.confidence[:, 0, 0], number)


def test_clips_too_short_to_split_are_named(train):
    with pytest.raises(ValueError, match="synthetic: S1's 12 frames of Jog are too few to hold out 25% .* gap of 10"):
        train.every(30).validation_split()
    box = train.select_clips([clip for clip in train.clips if (clip.subject, clip.action) == ("S1", "Box")])
    kept, held_out = box.validation_split(gap=269)
    assert (len(kept), len(held_out)) == (1, 90)
    with pytest.raises(ValueError, match="S1's 360 frames of Box are too few"):
        box.validation_split(gap=270)
    with pytest.raises(ValueError, match="share must be in"):
        train.validation_split(share=1.0)


def run(parts, loss=label_free_loss, epochs=12, **options):
    kept, held_out = (part.labelled_poses() if loss is supervised_loss else part.views() for part in parts)
    source = generator(0)
    lifter = FrameLifter(15, width=32, dropout=0.2, generator=source)
    options = dict(learning_rate=0.003, batch_size=16, validation=held_out) | options
    return lifter, fit(lifter, kept, loss, epochs=epochs, generator=source, **options), held_out


# At these rates the last epoch is worse than the best one by a tenth or more, so that the processor's rounding changes nothing.
@pytest.mark.parametrize(("loss", "learning_rate"), [(label_free_loss, 0.003), (supervised_loss, 0.03)])
def test_the_weights_of_the_best_epoch_are_kept(parts, loss, learning_rate):
    lifter, curve, held_out = run(parts, loss, learning_rate=learning_rate)
    best = min(curve.validation_loss)
    assert len(curve.epoch) == 12
    assert curve.validation_loss[curve.best_epoch() - 1] == best < curve.validation_loss[-1]
    assert mean_loss(lifter, held_out, loss, 16) == best


def test_training_stops_after_as_many_epochs_without_progress_as_allowed(parts):
    whole = run(parts)[1]
    lifter, curve, held_out = run(parts, patience=2)
    stop = next(e for e in range(1, 13) if e - (whole.validation_loss.index(min(whole.validation_loss[:e])) + 1) >= 2)
    assert stop < 12
    assert curve.validation_loss == whole.validation_loss[:stop]
    assert mean_loss(lifter, held_out, label_free_loss, 16) == min(curve.validation_loss)


def test_validation_changes_nothing_in_training(parts):
    assert run(parts)[1].loss == run(parts, validation=None)[1].loss
    assert run(parts, validation=None, epochs=1)[1].validation_loss == [None]


def test_an_interrupted_run_stops_early_with_the_same_bits(parts, tmp_path):
    whole, whole_curve, _ = run(parts, patience=2)
    path = tmp_path / "run.pt"

    def stopping_at(call):
        calls = iter(range(1, 10**6))

        @wraps(label_free_loss)
        def interrupted(lifter, batch):
            if next(calls) == call:
                raise KeyboardInterrupt
            return label_free_loss(lifter, batch)

        return interrupted

    calls = len(whole_curve.epoch) * sum(-(-len(part) // 16) for part in parts)
    for call in (calls // 3, calls):  # the latter after the best epoch
        with pytest.raises(KeyboardInterrupt):
            run(parts, stopping_at(call), patience=2, checkpoint=path)
        assert path.exists()
        resumed, curve, _ = run(parts, patience=2, checkpoint=path)
        assert curve == whole_curve
        assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values()))
        assert not path.exists()


def test_patience_needs_something_to_wait_for(parts):
    with pytest.raises(ValueError, match="patience must be at least 1 and needs validation samples, got 3"):
        run(parts, validation=None, patience=3)
    blind = replace(parts[1], pixels=torch.full_like(parts[1].pixels, torch.nan))
    with pytest.raises(ValueError, match="the validation loss is 0 in epoch 1"):
        run((parts[0], blind))
