import inspect
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

import posekit
from posekit.datasets import DATASETS
from posekit.inputs import KINDS
from posekit.lifters import NORMS, ROOTS
from posekit.parameters import METHODS, parameters_of
from posekit.scenes import CAMERA_CHOICES
from posekit.settings import (
    PARAMETERS,
    PRESETS,
    Experiment,
    Options,
    notebook_options,
    notebook_parameters,
    parameters_cell,
)
from posekit.training import OPTIMIZERS, SCHEDULES, SWITCHES
from posekit.virtual_cameras import CHANGES

ROOT = Path(__file__).parent.parent
REFUSED = [
    (dict(sede=1), "unknown parameter 'sede'"),
    (dict(epochs="many"), "epochs must be int, got str 'many'"),
    (dict(epochs=1.5), "epochs must be int, got float 1.5"),
    (dict(seed=True), "seed must be int, got bool True"),
    (dict(method="supervized"), "method must be one of supervised, .*; got 'supervized'"),
    (dict(dropout="half"), "dropout must be like"),
    (dict(dropout="1.5"), "dropout must be like"),
    (dict(width=0), "width must be positive and finite"),
    (dict(loss_terms="own+corss"), "loss_terms must be some of own\\+cross\\+consistency"),
    (dict(loss_terms="own+own"), "loss_terms must be different names"),
    (dict(cameras="C1+C2+C1"), "cameras must be different names"),
    (dict(test_cameras="C1+"), "test_cameras must be different names"),
    (dict(measured_cameras="C1+"), "measured_cameras must be different names"),
    (dict(measured_cameras="C1", measured_against="labels+views"), "measures in all views of the test"),
    (dict(test_subjects="S1+S1"), "test_subjects must be different names"),
    (dict(test_seen_by="lower"), "test_seen_by must be one of own, higher, nearer, half_focal; got 'lower'"),
    (dict(test_seen_by="nearer", noise_px=2), "test_seen_by draws exact 2D: it needs noise_px=0, got 2.0"),
    (dict(floors="levelled"), "floors does not count for method 'label_free', only for scenes"),
    (dict(method="scenes", swapped=0.1), "people in scenes keep their sides: swapped=0.1 cannot be drawn for them"),
    (dict(noise_px=float("nan")), "noise_px must be a finite number"),
    (dict(noise_px=float("inf")), "noise_px must be a finite number"),
    (dict(noise_px=-1.0), "noise_px must be a finite number that is not negative"),
    (dict(seed=2**70), "seed must be .* at most"),
    (dict(seed=-1), "seed must be .* not negative"),
    (dict(method="sequence", width=130), "width must be a multiple of 4"),
    (dict(method="sequence", window=8), "window must be an odd number"),
    (dict(method="sequence", window=10**6 + 1), "window must be .* at most"),
    (dict(switch="norm"), "switch counts only where dropout is switched off"),
    (dict(triangulation="robust"), "triangulation does not count for method 'label_free', only for triangulation"),
    (dict(method="triangulation", width=64), "width does not count for method 'triangulation'"),
    (dict(window=9), "window does not count for method 'label_free', only for sequence, temporal_convolution"),
    (dict(adapt_epochs=3), "adapt_epochs does not count for method 'label_free'"),
    (dict(needs="rays"), "needs does not count for method 'label_free', only for scenes"),
    (dict(teacher="labels"), "teacher does not count for method 'label_free', only for supervised, scenes"),
    (dict(method="supervised", smooth_targets=2), "smooth_targets counts only with teacher='triangulation'"),
    (dict(method="scenes", teacher="labels", smooth_targets=2), "smooth_targets counts only with teacher='triangulation'"),
    (dict(method="scenes", targets="tracks"), "targets='tracks' counts only with teacher='triangulation', and needs smooth_t"),
    (dict(method="scenes", scene_noise="recorded", place="recorded"), "scene_noise='recorded' needs place='anywhere'"),
    (dict(loss_reach=-1), "loss_reach must be a finite number that is not negative"),
    (dict(offsets_from="S1+S1"), "offsets_from must be different names"),
    (dict(method="scenes", norm="layer"), "norm does not count for method 'scenes'"),
    (dict(method="scenes", mirror=1.5), "mirror must be .* at most 1"),
    (dict(method="supervised", clamp="on"), "clamp does not count for method 'supervised'"),
    (dict(test_noise="loud"), "noise must be .exact. or like"),
    (dict(test_noise="noise_px=5+noise_px=6"), "noise must be .exact. or like"),
    (dict(method="scenes", frames=8), "frames must be an odd number"),
    (dict(method="scenes", frames=9, smooth_2d=1.0), "smooth_2d and output count only for lifters that see one frame"),
    (dict(method="triangulation", smooth_3d=2.0), "smooth_3d does not count for method 'triangulation'"),
    (dict(noise_correlation=5), "noise_correlation=5.0 changes nothing without noise_px"),
    (dict(test_noise="noise_px=5+missing_run=5"), "missing_run=5.0 changes nothing without missing or swapped"),
    (dict(missing=1.5), "missing must be .* at most 1"),
    (dict(method="temporal_convolution", blocks=3), "blocks does not count for method 'temporal_convolution'"),
]


@pytest.mark.parametrize(("parameters", "complaint"), REFUSED, ids=str)
def test_bad_parameters_are_refused_in_one_line(parameters, complaint):
    """So that the reason stands at the end of what papermill prints."""
    with pytest.raises(ValueError, match=complaint) as error:
        Experiment.parse(parameters)
    assert "\n" not in str(error.value)


def test_an_unknown_parameter_has_the_valid_ones_listed():
    with pytest.raises(ValueError, match=f"^unknown parameter 'sede'; .*: {', '.join(PARAMETERS)}$"):
        Experiment.parse(dict(sede=1))
    assert [line.split(":")[0].strip() for line in Experiment.help().splitlines()] == list(PARAMETERS)


def test_groups_check_their_values_however_they_are_made():
    with pytest.raises(ValueError, match="width must be positive and finite; got 0"):
        type(Experiment().network)(width=0)


def test_a_whole_number_in_a_group_is_the_float_that_it_stands_for():
    """In a process of its own, since types are checked here, and a reader's are not."""
    by_group, by_name = "Experiment(data=Data(noise_px=5))", "Experiment.parse(dict(noise_px=5.0))"
    code = f"from posekit.settings import Data, Experiment; assert {by_group}.digest() == {by_name}.digest()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_flat_names_and_groups_are_two_ways_to_say_the_same():
    experiment = Experiment.parse(dict(method="sequence", width=64, window=9, seed=3, noise_px=2))
    assert (experiment.network.width, experiment.input.window, experiment.data.noise_px) == (64, 9, 2.0)
    assert Experiment.parse(experiment.flat()) == experiment
    assert experiment.differing() == dict(method="sequence", seed=3, noise_px=2.0, window=9, width=64)
    assert repr(experiment) == "Experiment(method='sequence', seed=3, noise_px=2.0, window=9, width=64)"
    assert experiment.but(seed=0) == Experiment.parse(dict(method="sequence", width=64, window=9, noise_px=2.0))


def test_numbers_as_papermill_gives_them():
    parsed = Experiment.parse(dict(dropout=0.5, learning_rate=1, epochs=3))
    assert (parsed.network.dropout, parsed.training.learning_rate, parsed.training.epochs) == ("0.5", 1.0, 3)
    assert Experiment.parse(dict(cameras=54138969)).data.cameras == "54138969"  # a camera of Human3.6M


@pytest.mark.parametrize("name", PRESETS["sound"])
def test_a_preset_holds_until_it_is_departed_from(name):
    other = dict(root="positive", clamp="off", feedforward=77)[name]
    published = Experiment.parse(dict(method="sequence", parametrisation="published"))
    assert published.preset(name) == PRESETS["published"][name]
    assert published.but(**{name: other}).preset(name) == other
    assert Experiment().preset(name) == PRESETS["sound"][name]


def test_targets_are_labels_if_supervised_and_triangulated_for_scenes_unless_said():
    supervised, scenes = (Experiment().but(method=method) for method in ("supervised", "scenes"))
    assert (supervised.target_poses, scenes.target_poses) == ("labels", "triangulation")
    for experiment in (supervised, scenes):
        assert [experiment.but(teacher=teacher).target_poses for teacher in ("labels", "triangulation")] == [
            "labels",
            "triangulation",
        ]


def test_choices_are_those_of_the_modules_that_act_on_them():
    choices = {name: parameter.choices for name, parameter in PARAMETERS.items() if parameter.choices}
    assert choices["dataset"] == tuple(DATASETS)
    assert choices["norm"] == tuple(NORMS)
    assert set(choices["schedule"]) == set(SCHEDULES)
    assert set(choices["switch"]) == set(SWITCHES) - {"none"}
    assert set(choices["optimizer"]) == set(OPTIMIZERS)
    assert choices["needs"] == KINDS
    assert choices["scene_cameras"] == CAMERA_CHOICES
    assert choices["test_seen_by"] == ("own", *CHANGES)
    assert set(choices["root"]) == {"preset", *ROOTS}


def test_every_parameter_says_what_it_means_and_when_it_counts():
    for parameter in PARAMETERS.values():
        assert parameter.note
        assert parameter.methods
        assert set(parameter.methods) <= set(METHODS)


def test_notebook_parameters_find_values_of_any_kind_and_misspelt_names():
    namespace = dict(width=3, sede=1, device="cpu", _i=2, json=json, run=shutil, In=[""], Out={})
    assert notebook_parameters(namespace) == dict(width=3, sede=1)
    assert notebook_options(namespace) == Options(device="cpu")
    for value in (["S1"], None, {}, Path("S1")):
        with pytest.raises(ValueError, match="subjects must be str, got"):
            Experiment.parse(notebook_parameters(dict(subjects=value)))
    with pytest.raises(ValueError, match="unknown parameter 'subject'"):
        Experiment.parse(notebook_parameters(dict(subject=["S1"])))


@pytest.mark.parametrize("name", ["../up", "/tmp/x", "a/b", "two\nlines", "..", "a b"])
def test_a_name_that_is_no_file_name_is_refused(name):
    with pytest.raises(ValueError, match="name must be letters, digits"):
        notebook_options(dict(name=name))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (dict(results_dir=""), "results_dir must name a folder"),
        (dict(test_every=0), "test_every must be positive"),
        (dict(threads=-1), "threads must be a finite number that is not negative"),
        (dict(threads="two"), "threads must be int, got str"),
    ],
)
def test_bad_options_are_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        notebook_options(options)


def test_the_notebooks_parameters_cell_is_the_declaration():
    notebook = jupytext.read(ROOT / "notebooks" / "experiment.py")
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    assert cell.source == parameters_cell(), "run: make notebooks"
    namespace = {}
    exec(cell.source, namespace)
    assert Experiment.parse(notebook_parameters(namespace)) == Experiment()
    assert notebook_options(namespace) == Options()
    assert set(notebook_parameters(namespace)) == set(PARAMETERS)


def test_the_command_is_quoted_for_a_shell_and_means_the_same_run():
    experiment = Experiment().but(dropout="0.5->0.0", seed=3)
    text = experiment.command_text()
    assert text.splitlines()[1:] == ["  -p seed 3 \\", "  -p dropout '0.5->0.0'"]
    assert shlex.split(text.replace("\\\n", "")) == experiment.command()


GROWN = """
import json
from pathlib import Path
import sys
sys.path.insert(0, sys.argv[1])
import reproduce
from posekit.settings import Experiment, PARAMETERS
runs = reproduce.read_runs()
print(json.dumps(dict(
    knows=PARAMETERS["momentum"].default,
    runs=len(runs),
    recorded=sum(run.is_recorded() for run in runs),
    digest=Experiment().but(width=99).digest(),
    command=Experiment().but(width=99).command(),
)))
"""


def test_a_new_parameter_voids_no_record_and_renames_no_model(tmp_path, reproduce):
    source = Path(inspect.getfile(posekit)).parent
    shutil.copytree(source, tmp_path / "posekit", ignore=shutil.ignore_patterns("__pycache__"))
    settings = tmp_path / "posekit" / "settings.py"
    line = '    norm: Literal["batch", "layer"] ='
    grown = settings.read_text().replace(line, '    momentum: float = parameter(0.1, "of batch norm")\n' + line)
    settings.write_text(grown)
    done = subprocess.run([sys.executable, "-c", GROWN, ROOT / "book"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    before = reproduce.read_runs()
    assert said["knows"] == 0.1
    assert said["runs"] == len(before)
    assert said["recorded"] == sum(run.is_recorded() for run in before) > 100
    assert said["digest"] == Experiment().but(width=99).digest()
    assert said["command"] == Experiment().but(width=99).command()


def test_options_are_no_part_of_an_experiment():
    assert not {parameter.name for parameter in parameters_of(Options)} & set(PARAMETERS)
