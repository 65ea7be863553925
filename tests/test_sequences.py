import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from posekit.colors import COLORS
from posekit.datasets import load_dataset
from posekit.evaluation import evaluate_poses
from posekit.random import generator
from posekit.sequences import Clip, LabelledPoses, Views, from_clips

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("synthetic", "test", subjects=("S1", "S3"), actions=("Walking", "Box"))


def test_a_label_free_batch_has_no_room_for_labels(dataset):
    assert [f.name for f in fields(Views)] == ["screen", "confidence", "cameras"]
    without = replace(dataset, poses_world=torch.full_like(dataset.poses_world, torch.nan)).views()
    assert torch.equal(dataset.views().screen, without.screen)


def test_frames_know_their_clip_and_cameras(dataset):
    for index, clip in enumerate(dataset.clips):
        assert (dataset.clip_of_frame[clip.start : clip.stop] == index).all()
    assert dataset.frame_cameras.shape == (len(dataset), 3)
    torch.testing.assert_close(dataset.frame_cameras[-1].centers_world, dataset.cameras[-1].centers_world)


def test_samples_line_up(dataset):
    views, poses = dataset.views(), dataset.labelled_poses()
    assert (len(views), len(poses)) == (len(dataset), 3 * len(dataset))
    batch = poses[torch.tensor([0, 4])]
    assert isinstance(batch, LabelledPoses)
    torch.testing.assert_close(batch.screen[1], views.screen[1, 1])
    pixels = dataset.frame_cameras[1, 1].camera_to_pixels(batch.poses_camera[1])
    torch.testing.assert_close(pixels, dataset.pixels[1, 1])
    assert views[torch.tensor([5, 6])].cameras.shape == (2, 3)
    assert views.to(torch.float64).cameras.focal_px.dtype == torch.float64


def test_choosing_clips_and_views(dataset):
    some = dataset.select_clips([dataset.clips[2], dataset.clips[0]])
    assert [(c.subject, c.action) for c in some.clips] == [(dataset.clips[i].subject, dataset.clips[i].action) for i in (2, 0)]
    assert (some.clips[0].start, some.clips[-1].stop) == (0, len(some))
    torch.testing.assert_close(some.poses_world[0], dataset.poses_world[dataset.clips[2].start])
    two = dataset.select_views(["C3", "C1"])
    torch.testing.assert_close(two.pixels[:, 0], dataset.pixels[:, 2])
    torch.testing.assert_close(two.frame_cameras.world_to_pixels(two.poses_world[:, None]), two.pixels)
    with pytest.raises(ValueError, match="no camera 'C9'; it has C1, C2, C3"):
        dataset.select_views(["C9"])
    with pytest.raises(ValueError, match=r"cameras must be one name or more; got \[\]"):
        dataset.select_views([])


def test_every_other_frame(dataset):
    half = dataset.every(2)
    assert half.frame_rate == dataset.frame_rate / 2
    assert [len(c) for c in half.clips] == [-(-len(c) // 2) for c in dataset.clips]
    last, whole = half.clips[-1], dataset.clips[-1]
    torch.testing.assert_close(half.pixels[last.start : last.stop], dataset.pixels[whole.start : whole.stop : 2])
    assert dataset.every(1) is dataset
    with pytest.raises(ValueError, match="from 1 to the longest clip.s 240 frames, got 0"):
        dataset.every(0)


def test_detector_noise(dataset):
    noisy = dataset.with_detector_noise(4.0, 0.1, generator(0))
    gone = noisy.confidence == 0
    assert torch.equal(gone, noisy.pixels.isnan().any(-1))
    assert gone.float().mean().item() == pytest.approx(0.1, abs=0.01)
    offset = (noisy.pixels - dataset.pixels)[~gone]
    assert offset.std().item() == pytest.approx(4.0, rel=0.1)
    sure = noisy.confidence[~gone] > 0.8
    assert offset[sure].std() < 0.7 * offset[~sure].std()
    assert torch.equal(noisy.poses_world, dataset.poses_world)
    again = dataset.with_detector_noise(4.0, 0.1, generator(0))
    torch.testing.assert_close(again.pixels, noisy.pixels, equal_nan=True, rtol=0, atol=0)
    with pytest.raises(ValueError, match="noise_px must not be negative, got -1.0"):
        dataset.with_detector_noise(-1.0, 0.0, generator(0))


def test_noise_comes_with_any_dataset_and_differs_between_splits():
    clean = load_dataset("synthetic", "test", actions=("Box",))
    noisy = load_dataset("synthetic", "test", actions=("Box",), noise_px=2.0, missing=0.05)
    assert noisy.pixels.isnan().any()
    assert not torch.equal(noisy.pixels, clean.pixels)
    assert torch.equal(noisy.poses_world, clean.poses_world)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (dict(view_names=("C1",)), "3 views in the data"),
        (dict(clips=(Clip("S1", "Walking", "w", 0, 5),)), "cameras must have shape|clips must cover"),
        (dict(poses_world=torch.zeros(3, 15, 3)), "poses_world"),
    ],
)
def test_parts_that_do_not_fit_are_refused(dataset, change, complaint):
    with pytest.raises((ValueError, TypeError), match=complaint):
        replace(dataset, **change)


def test_clips_must_cover_all_frames(dataset):
    with pytest.raises(ValueError, match="without gap or overlap"):
        replace(dataset, clips=(replace(dataset.clips[0], stop=dataset.clips[0].stop - 1), *dataset.clips[1:]))


def test_clip_frames_hold_each_clip_once(dataset):
    frames = dataset.clip_frames()
    assert frames.shape == (len(dataset.clips), max(map(len, dataset.clips)))
    for row, clip in zip(frames, dataset.clips):
        assert row[row >= 0].tolist() == list(range(clip.start, clip.stop))


@pytest.mark.parametrize("window", [1, 9, 301])
def test_surrounding_frames_never_leave_the_clip(dataset, window):
    frames = dataset.surrounding_frames(window)
    assert torch.equal(frames[:, window // 2], torch.arange(len(dataset)))
    for frame in (0, dataset.clips[0].stop - 1, dataset.clips[-1].start, len(dataset) - 1):
        clip = dataset.clips[dataset.clip_of_frame[frame]]
        inside = [k if clip.start <= k < clip.stop else -1 for k in range(frame - window // 2, frame + window // 2 + 1)]
        assert frames[frame].tolist() == inside


def test_surroundings_have_a_middle(dataset):
    with pytest.raises(ValueError, match="odd number of frames, got 26"):
        dataset.surrounding_frames(26)


def test_old_names_still_work(dataset):
    with pytest.warns(DeprecationWarning, match="length is now called window"):
        assert torch.equal(dataset.surrounding_frames(length=9), dataset.surrounding_frames(window=9))
    with pytest.warns(DeprecationWarning, match="source is now called generator"):
        noisy = dataset.with_detector_noise(1.0, 0.0, source=generator(0))
    assert torch.equal(noisy.pixels, dataset.with_detector_noise(1.0, 0.0, generator=generator(0)).pixels)


def test_padding_is_missing(dataset):
    frames = dataset.surrounding_frames(27)
    windows = dataset.views().windows(frames)
    assert windows.screen.shape == (*frames.shape, 3, 15, 2)
    assert windows.cameras.shape == (*frames.shape, 3)
    assert torch.equal(windows.screen.isnan().all(-1).all(-1).all(-1), frames < 0)
    assert torch.equal(windows.confidence.sum((-1, -2)) == 0, frames < 0)
    torch.testing.assert_close(windows.screen[:, 13], dataset.screen())


def test_reprs_summarise(dataset):
    assert repr(dataset) == f'MultiViewDataset("synthetic": {len(dataset)} frames, 6 clips, 3 views, 15 joints, 60 fps)'
    views = dataset.select_views(["C2"]).views()
    assert repr(views) == f"Views({len(dataset)} samples, 1 view, 15 joints)"
    assert repr(views[0]) == "Views(1 sample, 1 view, 15 joints)"
    assert repr(dataset.views().windows(dataset.surrounding_frames(9)[:4])) == "Views(4 x 9 samples, 3 views, 15 joints)"
    assert repr(dataset.labelled_poses()) == f"LabelledPoses({3 * len(dataset)} samples, 15 joints)"


def test_a_notebook_shows_the_first_moment(dataset):
    shown = ElementTree.fromstring(f"<div>{dataset._repr_html_()}</div>")
    assert shown.find("p").text == repr(dataset)
    pictures = list(shown.iter("svg"))
    assert [picture.get("aria-label") for picture in pictures] == [f"2D pose, camera {name}" for name in dataset.view_names]
    for view, picture in enumerate(pictures):
        lines = list(picture.iter("line"))
        for (parent, child), line in zip(dataset.skeleton.bones, lines, strict=True):
            ends = torch.tensor([float(line.get(key)) for key in ("x1", "y1", "x2", "y2")]).view(2, 2)
            torch.testing.assert_close(ends, dataset.pixels[0, view, [parent, child]], atol=0.51, rtol=0)
            assert line.get("stroke") == COLORS[dataset.skeleton.sides[child]]


def test_a_bone_with_a_missing_joint_is_not_drawn(dataset):
    pixels = dataset.pixels.clone()
    pixels[0, 1, dataset.skeleton.index("head")] = torch.nan
    shown = ElementTree.fromstring(f"<div>{replace(dataset, pixels=pixels)._repr_html_()}</div>")
    assert [len(list(picture.iter("line"))) for picture in shown.iter("svg")] == [14, 13, 14]
    assert "nan" not in ElementTree.tostring(shown, encoding="unicode")


WRONG_TYPES = """
from posekit.datasets import load_dataset
wrong = [dict(stride=1.5), dict(missing="x"), dict(subjects="S1"), dict(cameras="C1")]
for options in (*wrong, dict(name="balancing", cameras="cam_01")):
    try:
        load_dataset(**options)
    except ValueError as error:
        print(error)
"""


def test_values_of_another_type_are_refused_in_words():
    """In a process of its own, for here the types are checked before."""
    done = subprocess.run([sys.executable, "-c", WRONG_TYPES], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "stride must be a whole number of frames, got 1.5",
        "missing must be a number, got 'x'",
        "subjects must be several names, such as ('S1',); got the text 'S1'",
        "cameras must be several names, such as ('C1',); got the text 'C1'",
        "cameras must be several names, such as ('cam_01',); got the text 'cam_01'",
    ]


@pytest.mark.parametrize(
    ("faults", "complaint"),
    [
        (dict(noise_correlation=5.0), "noise_correlation=5.0 changes nothing without noise_px"),
        (dict(noise_correlation=5.0, missing=0.1), "noise_correlation=5.0 changes nothing without noise_px"),
        (dict(missing_run=5.0, noise_px=2.0), "missing_run=5.0 changes nothing without missing or swapped"),
        (dict(noise_correlation=-1.0), "noise_correlation must not be negative"),
    ],
)
def test_faults_that_change_nothing_or_are_none_are_refused(faults, complaint):
    with pytest.raises(ValueError, match=complaint):
        load_dataset("synthetic", "test", subjects=("S1",), actions=("Box",), **faults)


@pytest.mark.parametrize("stride", [0, -1, 10**6])
def test_a_stride_that_leaves_no_clip_is_refused(dataset, stride):
    with pytest.raises(ValueError, match="stride must be from 1 to the longest clip's"):
        dataset.every(stride)


def test_swapped_sides_twice_are_the_same(dataset):
    everywhere = dataset.with_detector_noise(0.0, 0.0, generator(0), swapped=1.0)
    assert not torch.equal(everywhere.pixels, dataset.pixels)
    again = everywhere.with_detector_noise(0.0, 0.0, generator(1), swapped=1.0)
    assert torch.equal(again.pixels, dataset.pixels)
    head = dataset.skeleton.index("head")
    assert torch.equal(everywhere.pixels[:, :, head], dataset.pixels[:, :, head])
    some = dataset.with_detector_noise(0.0, 0.0, generator(0), swapped=0.3, missing_run=10.0)
    swapped = (some.pixels != dataset.pixels).any(-1).any(-1)
    assert swapped.float().mean() == pytest.approx(0.3, abs=0.1)
    assert torch.equal(some.pixels[swapped], everywhere.pixels[swapped])
    assert (swapped[1:] != swapped[:-1]).float().mean() < 0.1  # in runs


def test_detector_noise_over_time_keeps_the_labels_and_the_confidence(dataset):
    plain, slow = (dataset.with_detector_noise(4.0, 0.0, generator(0), noise_correlation=c) for c in (0.0, 10.0))
    assert torch.equal(plain.confidence, slow.confidence)
    assert torch.equal(slow.poses_world, dataset.poses_world)
    starts = [clip.start for clip in dataset.clips]
    assert torch.equal(plain.pixels[starts], slow.pixels[starts])
    jumps = [(noisy.pixels - dataset.pixels).diff(dim=0).std() for noisy in (plain, slow)]
    assert jumps[1] < 0.8 * jumps[0]


def clip(dataset, index=0, **changes):
    """One clip as `from_clips` takes it."""
    described = dataset.clips[index]
    frames = slice(described.start, described.stop)
    kept = {field: getattr(dataset, field)[frames] for field in ("pixels", "confidence", "poses_world")}
    names = {field: getattr(described, field) for field in ("subject", "action", "name")}
    return names | kept | {"cameras": dataset.cameras[index]} | changes


def assembled(dataset, *clips):
    return from_clips("again", dataset.skeleton, dataset.frame_rate, dataset.view_names, list(clips))


def test_a_dataset_without_3d_is_normal(dataset):
    without = clip(dataset)
    del without["poses_world"]
    mine = assembled(dataset, without, clip(dataset, 1, poses_world=None))
    assert mine.poses_world.shape == (len(mine), 15, 3)
    assert mine.poses_world.isnan().all()
    assert torch.equal(mine.views().screen, dataset.frames(0, len(mine)).views().screen)
    with pytest.raises(ValueError, match=r"again has no 3D labels.*dataset.with_poses"):
        evaluate_poses(torch.zeros(len(mine), 3, 15, 3), mine)
    poses = dataset.poses_world[: len(mine)]
    assert torch.equal(mine.with_poses(poses.double()).poses_world, poses)
    assert replace(dataset, poses_world=None).poses_world.isnan().all()
    with pytest.raises((ValueError, TypeError), match="poses_world"):
        mine.with_poses(poses[1:])


def test_clips_may_be_arrays_and_lists_of_any_precision(dataset):
    arrays = clip(dataset, pixels=dataset.pixels[: len(dataset.clips[0])].double().numpy(), confidence=None)
    arrays["poses_world"] = arrays["poses_world"].tolist()
    arrays["cameras"] = arrays["cameras"].to(torch.float64)
    mine = assembled(dataset, arrays)
    assert {t.dtype for t in (mine.pixels, mine.confidence, mine.poses_world, mine.cameras.focal_px)} == {torch.float32}
    expected = dataset.frames(0, len(mine))
    assert torch.equal(mine.pixels, expected.pixels)
    assert torch.equal(mine.confidence, expected.confidence)
    torch.testing.assert_close(mine.poses_world, expected.poses_world)


@pytest.mark.parametrize("order", [1, -1])
def test_every_clip_decides_for_itself_whether_it_has_a_confidence(dataset, order):
    sure, unsure = clip(dataset, confidence=None), clip(dataset, 1)
    unsure["confidence"] = torch.full_like(unsure["confidence"], 0.25)
    mine = assembled(dataset, *[sure, unsure][::order])
    means = [mine.confidence[c.start : c.stop].mean().item() for c in mine.clips]
    assert means == [1.0, 0.25][::order]


def test_confidence_zero_is_missing_and_missing_is_confidence_zero(dataset):
    found = clip(dataset)
    pixels, confidence = found["pixels"].clone(), found["confidence"].clone()
    pixels[0, 0, 3], confidence[0, 0, 3] = 0.0, 0.0  # as OpenPose writes a joint it did not find
    pixels[1, 1, 4] = torch.nan
    confidence[2, 2, 5] = torch.nan
    mine = assembled(dataset, found | dict(pixels=pixels, confidence=confidence))
    missing = mine.confidence == 0
    assert missing.nonzero().tolist() == [[0, 0, 3], [1, 1, 4], [2, 2, 5]]
    assert torch.equal(mine.pixels.isnan().all(-1), missing)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (dict(confidences=torch.ones(240, 3, 15)), "again: S1/.*unknown part 'confidences'; a clip has pixels, confidence"),
        (dict(confidence=torch.full((240, 3, 15), 1.5)), "again: S1/.*confidence must be from 0 to 1, got 1.5 to 1.5"),
        (dict(confidence=torch.full((240, 3, 15), -1.0)), "from 0 to 1, got -1 to -1"),
        (dict(confidence=torch.ones(239, 3, 15)), r"confidence must have shape \(240, 3, 15\).*got \(239, 3, 15\)"),
        (dict(poses_world=torch.ones(240, 17, 3)), r"poses_world must have shape \(240, 15, 3\).*got \(240, 17, 3\)"),
        (dict(pixels=torch.ones(240, 15, 2)), r"pixels must have shape \(frames, views, joints, 2\), got \(240, 15, 2\)"),
    ],
)
def test_a_clip_that_does_not_fit_names_itself(dataset, changes, complaint):
    sized = [dict(pixels=torch.ones(240, 3, 15, 2), confidence=None, poses_world=None), changes]
    with pytest.raises(ValueError, match=complaint):
        assembled(dataset, clip(dataset) | sized[0] | sized[1])


def test_frames_split_a_dataset_in_time(dataset):
    middle = len(dataset) // 2 + 7
    first, last = dataset.frames(0, middle), dataset.frames(middle)
    assert len(first) + len(last) == len(dataset)
    for field in ("pixels", "confidence", "poses_world"):
        assert torch.equal(torch.cat([getattr(first, field), getattr(last, field)]), getattr(dataset, field))
    torch.testing.assert_close(last.frame_cameras.centers_world, dataset.frame_cameras.centers_world[middle:])
    assert sum(map(len, first.clips)) == middle
    with pytest.raises(ValueError, match=f"no frames from 5 to 5; it has {len(dataset)}"):
        dataset.frames(5, 5)
