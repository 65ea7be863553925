import json
import re
import threading
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
import torch

from posekit import experiments
from posekit.experiments import run
from posekit.lifters import FrameLifter, save_lifter
from posekit.poses import trunk_frame
from posekit.settings import PARAMETERS, Experiment

TINY = Experiment().but(width=16, epochs=2, batch_size=500)


@pytest.fixture(scope="module")
def record():
    return run(TINY)[0]


def test_a_run_fills_a_record(record):
    assert record.experiment == TINY.flat()
    assert set(record.metrics_mm) == {"report_mpjpe", "mpjpe", "root_error", "pa_mpjpe", "n_mpjpe"}
    assert set(record.by_action) == {"Walking", "Jog", "Box"}
    assert record.curve["epoch"] == [1, 2]
    assert record.curve["report_mpjpe_mm"][-1] == record.metrics_mm["report_mpjpe"]
    assert (record.data["frames_train"], record.data["views"]) == (3600, ["C1", "C2", "C3"])
    assert re.fullmatch(r"[0-9a-f]{64}", record.data["sha256"]["train"])
    expected = {
        "commit",
        "uncommitted_changes",
        "posekit",
        "python",
        "torch",
        "platform",
        "device",
        "threads",
        "peak_memory_mb",
        "seconds",
    }
    assert set(record.provenance) == expected


def test_the_same_experiment_gives_the_same_numbers(record):
    again = run(TINY)[0]
    assert (again.metrics_mm, again.curve) == (record.metrics_mm, record.curve)
    assert run(TINY.but(seed=1))[0].metrics_mm != record.metrics_mm


@pytest.mark.parametrize(
    "options",
    [
        dict(method="supervised"),
        dict(method="supervised", teacher="triangulation", smooth_targets=2.0, noise_px=3.0),
        dict(method="adaptation", adapt_epochs=1, dropout="0.5"),
        dict(method="sequence", window=9),
        dict(method="sequence", batch_size=1, window=0, positions="none", parametrisation="published"),
        dict(method="temporal_convolution", window=9),
        dict(stride=5, noise_px=3.0, cameras="C1+C2", test_cameras="C3"),
        dict(loss_terms="cross", lens="human36m"),
        dict(parametrisation="published", lens="human36m", dropout="0.5->0.0"),
        dict(norm="layer", schedule="constant"),
        dict(optimizer="adamw", average=0.9),
        dict(method="scenes", needs="screen", scene_cameras="drawn", noise_px=3.0, smooth_targets=2.0),
        dict(method="scenes", needs="rays", teacher="labels", place="recorded", mirror=0, arms=0, upper=0, jitter=0),
        dict(method="scenes", optimizer="adamw", average=0.9, precision="bfloat16", output="free", mirrored="off"),
        dict(measured_on="validation"),
        dict(method="scenes", frames=9, needs="rays", scene_noise="mixed", noise_px=3.0, test_noise="noise_px=3+swapped=0.1"),
        dict(method="scenes", smooth_2d=2.0, smooth_3d=2.0, noise_px=3.0, missing=0.1, missing_run=5.0),
        dict(method="scenes", floors="levelled", test_seen_by="half_focal"),
        dict(loss_weights="confidence", loss_reach=0.1, noise_px=3.0),
        dict(method="scenes", targets="tracks", smooth_targets=2.0, scene_noise="recorded", frames=9, noise_px=3.0),
        dict(method="scenes", teacher="labels", scene_noise="recorded", noise_px=3.0),
        dict(method="scenes", offsets_from="S1+S2", measured_against="labels+views", noise_px=3.0),
    ],
    ids=str,
)
def test_every_way_runs(options):
    assert run(TINY.but(epochs=1, **options))[0].metrics_mm["mpjpe"] > 0


@pytest.mark.parametrize("kind", ["dlt", "midpoint", "refined", "robust"])
def test_triangulation_needs_no_training(kind):
    record, lifter = run(Experiment().but(method="triangulation", triangulation=kind))
    assert lifter is None
    assert record.metrics_mm["mpjpe"] < 0.1
    assert record.curve["epoch"] == []


def lifters(folder):
    """What a run leaves in a folder of models, beside the folder of locks and the note about each lifter."""
    left = sorted(path for path in folder.iterdir() if path.name != ".locks")
    kept = [path for path in left if path.suffix != ".json"]
    assert [path for path in left if path.suffix == ".json"] == [path.with_suffix(".json") for path in kept]
    return kept


def test_adaptation_takes_a_kept_source_model_and_does_not_train_again(tmp_path):
    source, _ = run(TINY.but(dropout="0.5"), models_dir=tmp_path)
    (kept,) = lifters(tmp_path)
    before = kept.read_bytes()
    adaptation = TINY.but(dropout="0.5", method="adaptation", adapt_epochs=1)
    with_kept, _ = run(adaptation, models_dir=tmp_path)
    assert with_kept.metrics_mm == run(adaptation)[0].metrics_mm
    assert with_kept.metrics_mm != source.metrics_mm
    assert kept.read_bytes() == before
    assert lifters(tmp_path) == [kept]


def test_a_record_says_what_made_the_lifter_it_took_and_other_data_has_it_trained_anew(tmp_path):
    at_test = TINY.but(test_cameras="C1")
    assert "lifter" not in run(at_test, models_dir=tmp_path)[0].provenance
    (kept,) = lifters(tmp_path)
    note = json.loads(kept.with_suffix(".json").read_text())
    kept.with_suffix(".json").write_text(json.dumps(note | {"commit": "of another day"}))
    again, _ = run(at_test, models_dir=tmp_path)
    assert again.provenance["lifter"] == {key: value for key, value in note.items() if key != "sha256"} | {
        "commit": "of another day"
    }
    again.save(tmp_path / "records")  # such a record is a sound one
    save_lifter(FrameLifter(15, 8), kept)  # as if trained on other poses
    kept.with_suffix(".json").write_text(json.dumps(note | {"sha256": "of other poses"}))
    anew, _ = run(at_test, models_dir=tmp_path)
    assert "lifter" not in anew.provenance
    assert anew.metrics_mm == again.metrics_mm


def test_an_adaptation_stopped_in_its_sources_training_goes_on_when_another_run_has_finished_that(tmp_path, monkeypatch):
    source, adaptation = TINY.but(epochs=3), TINY.but(epochs=3, method="adaptation", adapt_epochs=1)
    whole, _ = run(adaptation)

    def stopped(epoch, _):
        if epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "fit", partial(experiments.fit, after_epoch=stopped))
    with pytest.raises(KeyboardInterrupt):
        run(adaptation, models_dir=tmp_path)
    monkeypatch.undo()
    run(source, models_dir=tmp_path)
    assert run(adaptation, models_dir=tmp_path)[0].metrics_mm == whole.metrics_mm
    assert len(lifters(tmp_path)) == 1  # and nothing unfinished


def test_what_the_data_lack_is_said_before_the_training(monkeypatch):
    monkeypatch.setattr(experiments, "fit", None)
    for changes, words in (
        (dict(measured_cameras="C9"), "measured_cameras names C9; there are C1, C2, C3"),
        (dict(offsets_from="S9"), "offsets_from names S9; there are S1, S2, S3"),
    ):
        with pytest.raises(ValueError, match=words):
            run(TINY.but(**changes))


AT_TEST = dict(test_cameras="C2+C3", measured_cameras="C3", test_subjects="S2", test_seen_by="nearer")


@pytest.mark.parametrize("method", ["label_free", "scenes"])
def test_one_kept_lifter_is_tested_in_many_ways(tmp_path, method):
    trained = TINY.but(method=method, epochs=1, cameras="C1+C2", subjects="S1+S3")
    plain, _ = run(trained, models_dir=tmp_path)
    (kept,) = lifters(tmp_path)
    before = kept.read_bytes()
    for changes in [{name: value} for name, value in AT_TEST.items()] + [AT_TEST]:
        record, _ = run(trained.but(**changes), models_dir=tmp_path)
        assert record.metrics_mm != plain.metrics_mm
        assert record.experiment == trained.but(**changes).flat()
        assert record.curve["epoch"] == []
    assert record.metrics_mm == run(trained.but(**AT_TEST))[0].metrics_mm
    assert lifters(tmp_path) == [kept]
    assert kept.read_bytes() == before
    assert run(trained, models_dir=tmp_path)[0].curve == plain.curve  # one with nothing of its own at the test trains


def test_cameras_can_be_measured_one_at_a_time(tmp_path):
    every = TINY.but(noise_px=3.0)
    apart = [run(every.but(measured_cameras=name), models_dir=tmp_path)[0] for name in ("C1", "C2", "C3")]
    errors = [record.metrics_mm["mpjpe"] for record in apart]
    assert len(set(errors)) == 3
    assert sum(errors) / 3 == pytest.approx(run(every)[0].metrics_mm["mpjpe"], abs=0.002)  # records are rounded


def test_cameras_that_are_not_measured_still_count_for_triangulation():
    triangulation = Experiment().but(method="triangulation", noise_px=3.0)
    every, some, two = (
        run(triangulation.but(**cameras))[0].metrics_mm["mpjpe"]
        for cameras in ({}, dict(measured_cameras="C1+C2"), dict(test_cameras="C1+C2"))
    )
    assert some == pytest.approx(every, rel=1e-3)
    assert two > 1.05 * every


def test_what_counts_at_the_test_alone_is_marked():
    assert {name for name, p in PARAMETERS.items() if p.at_test} >= set(AT_TEST)
    adaptation = TINY.but(method="adaptation", adapt_epochs=3, **AT_TEST)
    assert experiments._source_model(adaptation) == TINY
    assert experiments._source_model(TINY.but(subjects="S1")) == TINY.but(subjects="S1")


def test_people_and_cameras_are_chosen_apart_for_training_and_test():
    apart = TINY.but(subjects="S1+S3", test_subjects="S2", cameras="C1+C2", test_cameras="C3")
    for measured_on in ("test", "validation"):
        train, test = experiments.load_splits(apart.but(measured_on=measured_on))
        assert (train.subjects, train.view_names) == (("S1", "S3"), ("C1", "C2"))
        assert (test.subjects, test.view_names) == (("S2",), ("C3",))
    triangulation = Experiment().but(method="triangulation", test_cameras="C1+C2", measured_on="validation")
    assert experiments.load_splits(triangulation)[1].view_names == ("C1", "C2")
    with pytest.raises(ValueError, match="unknown subject 'S4'; choose from S1, S2, S3"):
        run(TINY.but(test_subjects="S4"))


@pytest.mark.parametrize("measured_on", ["test", "validation"])
def test_training_may_see_the_first_part_of_every_action(measured_on):
    whole, test = experiments.load_splits(TINY.but(measured_on=measured_on))
    half, same = experiments.load_splits(TINY.but(measured_on=measured_on, training_share=0.5))
    assert torch.equal(same.poses_world, test.poses_world)
    part, all_of_it = (sum((Counter({(c.subject, c.action): len(c)}) for c in d.clips), Counter()) for d in (half, whole))
    assert part == {who: pytest.approx(frames / 2, abs=1) for who, frames in all_of_it.items()}
    assert torch.equal(half.poses_world[0], whole.poses_world[0])


def test_levelled_floors_are_those_of_triangulated_ankles():
    experiment = TINY.but(method="scenes", floors="levelled")
    train, _ = experiments.load_splits(experiment)
    given, flat = (experiments.make_samples(one, train) for one in (experiment.but(floors="given"), experiment))
    assert flat.cameras.t_world_to_camera.ne(given.cameras.t_world_to_camera).any()


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="device 'warp' cannot be used here"):
        run(TINY, device="warp")


@pytest.mark.parametrize("method", ["scenes", "supervised"])
def test_triangulated_targets_touch_no_label(monkeypatch, method):
    experiment = TINY.but(method=method, teacher="triangulation", epochs=1, targets="tracks", smooth_targets=1.0)
    if method == "scenes":
        experiment = experiment.but(scene_noise="recorded")
    sighted = run(experiment)[1]
    load = experiments.load_splits

    def blindfolded(experiment, data_root):
        train, test = load(experiment, data_root)
        return replace(train, poses_world=torch.full_like(train.poses_world, torch.nan)), test

    monkeypatch.setattr(experiments, "load_splits", blindfolded)
    blind = run(experiment)[1]
    assert all(torch.equal(a, b) for a, b in zip(sighted.state_dict().values(), blind.state_dict().values()))
    if method == "scenes":
        with pytest.raises(ValueError, match="scenes need poses with a root"):
            run(experiment.but(teacher="labels", targets="frames", smooth_targets=0))


def test_exact_views_teach_the_report_s_network_what_labels_do():
    experiment = TINY.but(method="supervised", epochs=1)
    errors = [run(experiment.but(teacher=teacher))[0].metrics_mm["mpjpe"] for teacher in ("labels", "triangulation")]
    assert errors[0] != errors[1]
    assert errors[0] == pytest.approx(errors[1], rel=1e-3)


def test_validation_keeps_away_from_the_test_set_and_from_what_it_trains_on():
    train, held = experiments.load_splits(TINY.but(measured_on="validation", cameras="C1+C2", test_cameras="C3"))
    whole, test = experiments.load_splits(TINY)
    assert (train.view_names, held.view_names) == (("C1", "C2"), ("C3",))
    poses = {name: set(map(tuple, data.poses_world[:, 3].tolist())) for name, data in dict(train=train, held=held).items()}
    assert not poses["train"] & poses["held"]
    assert poses["train"] | poses["held"] < set(map(tuple, whole.poses_world[:, 3].tolist()))
    assert not poses["held"] & set(map(tuple, test.poses_world[:, 3].tolist()))


def test_one_camera_cannot_train_without_labels():
    with pytest.raises(ValueError, match="at least two views"):
        run(TINY.but(cameras="C1"))
    with pytest.raises(ValueError, match="triangulated targets need at least two views"):
        run(TINY.but(method="scenes", cameras="C1"))
    with pytest.raises(ValueError, match="triangulated targets need at least two views"):
        run(TINY.but(method="supervised", teacher="triangulation", cameras="C1"))


def test_two_adaptations_side_by_side_share_one_source_model(tmp_path):
    adaptations = [TINY.but(method="adaptation", adapt_epochs=1, test_cameras=cameras) for cameras in ("C1+C2", "C2+C3")]
    alone = [run(one)[0].metrics_mm for one in adaptations]
    together = [None, None]

    def work(index):
        together[index] = run(adaptations[index], models_dir=tmp_path)[0].metrics_mm

    threads = [threading.Thread(target=work, args=(index,)) for index in (0, 1)]
    with torch.random.fork_rng():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert together == alone
    assert len(lifters(tmp_path)) == 1


def test_other_noise_at_test_needs_no_other_training(tmp_path):
    windows = TINY.but(method="scenes", frames=9, noise_px=3.0, stride=10, epochs=1)
    first, _ = run(windows, models_dir=tmp_path)
    (kept,) = lifters(tmp_path)
    before = kept.stat().st_mtime_ns
    exact, smooth = (
        run(windows.but(**change), models_dir=tmp_path)[0] for change in (dict(test_noise="exact"), dict(smooth_3d=2.0))
    )
    assert lifters(tmp_path) == [kept]
    assert kept.stat().st_mtime_ns == before
    assert exact.data["sha256"]["train"] == smooth.data["sha256"]["train"] == first.data["sha256"]["train"]
    assert exact.data["sha256"]["test"] != first.data["sha256"]["test"] == smooth.data["sha256"]["test"]
    assert len({record.metrics_mm["report_mpjpe"] for record in (first, exact, smooth)}) == 3
    assert exact.curve["epoch"] == smooth.curve["epoch"] == []


def test_offsets_bring_triangulated_poses_to_the_labels_and_need_no_other_training(tmp_path, monkeypatch):
    """A detector whose hips are elsewhere; one person's labels tell where."""
    load = experiments.load_splits

    def elsewhere(experiment, data_root):
        return tuple(map(with_lower_hips, load(experiment, data_root)))

    def with_lower_hips(people):
        hips = [people.skeleton.index(joint) for joint in ("left_hip", "right_hip")]
        seen = people.poses_world.clone()
        seen[:, hips] -= 0.06 * trunk_frame(seen, people.skeleton)[:, None, :, 0]
        return replace(people, pixels=people.frame_cameras.world_to_pixels(seen.unsqueeze(1)))

    monkeypatch.setattr(experiments, "load_splits", elsewhere)
    triangulation = Experiment().but(method="triangulation", stride=5)
    errors = [run(triangulation.but(offsets_from=names))[0].metrics_mm["mpjpe"] for names in ("none", "all", "S3")]
    assert errors[0] > 5
    assert max(errors[1:]) < 1
    learnt = TINY.but(method="scenes", stride=5, measured_against="labels+views")
    plain, _ = run(learnt, models_dir=tmp_path)
    moved, _ = run(learnt.but(offsets_from="all"), models_dir=tmp_path)
    assert len(lifters(tmp_path)) == 1
    assert moved.curve["epoch"] == []
    assert moved.metrics_mm["mpjpe"] != plain.metrics_mm["mpjpe"]
    assert moved.metrics_mm["triangulated_mpjpe"] == plain.metrics_mm["triangulated_mpjpe"]


def test_offsets_of_people_that_training_does_not_have_are_refused():
    with pytest.raises(ValueError, match="offsets_from names S9; there are S1, S2, S3"):
        run(Experiment().but(method="triangulation", stride=20, offsets_from="S1+S9"))
