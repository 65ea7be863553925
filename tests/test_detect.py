"""From videos to 2D joints: what is refused, and that `posekit.rig` reads what is written. No video is looked at here:
what `mediapipe_joints.py` would say stands in for it."""

import shlex
import subprocess
import sys
from pathlib import Path

import detect
import pytest
import torch
from click.testing import CliRunner

from posekit.datasets import load_dataset
from posekit.formats import write_toml
from posekit.formats.contents import Calibration, DataFileError
from posekit.rig import read_rig
from posekit.rig.__main__ import main as rig_command
from posekit.skeletons import MEDIAPIPE_33, keypoints_of

ABOUT = dict(width=1088, height=1920, frame_rate=60.0, frames=100)


@pytest.fixture
def people():
    return load_dataset("balancing", "all", detector="mediapipe")


@pytest.fixture
def folder(tmp_path, people):
    """A calibration and four files by the names of videos, as OpenCV never gets to see them."""
    write_toml(tmp_path / "cameras.toml", Calibration(people.view_names, people.cameras[0]))
    for view in range(1, 5):
        (tmp_path / f"cam{view}.MP4").touch()
    return tmp_path


@pytest.fixture
def ask(monkeypatch, people):
    """Instead of MediaPipe: what it found in the embedded recording. What is said of a video can be changed."""
    own = [MEDIAPIPE_33.index(joint) for joint in keypoints_of(MEDIAPIPE_33)]
    found = torch.cat([people.pixels, people.confidence.unsqueeze(-1)], dim=-1)[:, :, own]
    changes = {}

    def answer(task, video):
        view = int(video.stem[-1]) - 1
        if task == "look":
            return iter([ABOUT | changes.get(video.stem, {})])
        return iter([None if changes.get("empty") == video.stem else frame for frame in found[:, view].tolist()])

    monkeypatch.setattr(detect, "_ask", answer)
    return changes


def test_what_is_written_is_read_and_checked(folder, people, ask, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["detect.py", str(folder)])
    detect.main()
    assert f"python -m posekit.rig check {folder} --frame-rate 60" in capsys.readouterr().out
    rig = read_rig(folder, frame_rate=60.0)
    assert rig.detections.view_names == ("cam1", "cam2", "cam3", "cam4")
    torch.testing.assert_close(rig.detections.pixels, people.pixels, atol=0.011, rtol=0)
    torch.testing.assert_close(rig.detections.confidence, people.confidence, atol=1e-4, rtol=0)
    done = CliRunner().invoke(rig_command, ["check", str(folder), "--frame-rate", "60"])
    assert "mediapipe, joints.csv; 100 frames, 4 views" in done.output
    assert "cam2: in 2" in done.output  # percent of the frames, left and right are exchanged
    assert (folder / "posekit" / "report.html").exists()


def test_a_folder_may_have_a_space_in_its_name(folder, ask, monkeypatch, capsys):
    command = ["make", "--dry-run", "--directory", str(detect.SCRIPT.parent.parent), "detect", "VIDEOS=~/my videos"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in said.splitlines() if "book/detect.py" in line]
    given = shlex.split(line)[2:]
    assert given == ["~/my videos"]
    files = list(folder.iterdir())
    (folder / "my videos").mkdir()
    for path in files:
        path.rename(folder / "my videos" / path.name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr("sys.argv", ["detect.py", *given])
    detect.main()
    assert f"python -m posekit.rig check '{folder}/my videos' --frame-rate 60" in capsys.readouterr().out


def test_videos_may_lie_in_a_folder_of_their_own(folder):
    beside = detect.videos_in(folder)
    (folder / "videos").mkdir()
    for path in beside.values():
        path.rename(folder / "videos" / path.name)
    within = detect.videos_in(folder)
    assert list(within) == list(beside) == ["cam1", "cam2", "cam3", "cam4"]
    assert all(path.exists() for path in within.values())


def test_folders_that_hold_no_videos_of_several_cameras_name_themselves(folder):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        detect.videos_in(folder / "nowhere")
    (folder / "cam1.mov").touch()
    with pytest.raises(DataFileError, match="two videos of the name cam1"):
        detect.videos_in(folder)
    for path in [*folder.glob("*.MP4")]:
        path.unlink()
    with pytest.raises(DataFileError, match=r"expected two videos or more \(.avi, .*\) in it or in videos/; found cam1.mov"):
        detect.videos_in(folder)
    (folder / "cam1.mov").unlink()
    with pytest.raises(DataFileError, match="found none"):
        detect.videos_in(folder)


def test_a_video_without_a_camera_is_named_before_any_is_looked_at(folder, monkeypatch):
    monkeypatch.setattr(detect, "_ask", lambda *_: pytest.fail("too early"))
    (folder / "cam5.mp4").touch()
    with pytest.raises(DataFileError, match="cameras.toml: no camera for the view 'cam5'; the file has cam_01, cam_02"):
        detect.detect(folder)
    (folder / "cameras.toml").unlink()
    with pytest.raises(DataFileError, match="no calibration: expected a .toml file"):
        detect.detect(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(frames=99), "same frames, but cam1 has 100, cam2 has 100, cam3 has 99, cam4 has 100; cut them"),
        (dict(frame_rate=29.97), "one frame rate, but cam1 has 60.00, .* cam3 has 29.97"),
        (dict(width=1920, height=1088), r"cam3 has images of 1920 x 1088 pixels, but .*cameras.toml is for 1088 x 1920"),
        (dict(width=544, height=960), "cam3 has images of 544 x 960 pixels"),
    ],
)
def test_videos_that_cannot_be_one_recording_are_refused(folder, ask, change, words):
    ask["cam3"] = change
    with pytest.raises(DataFileError, match=words):
        detect.detect(folder)


def test_a_few_pixels_that_the_encoder_cut_off_are_no_other_size(folder, ask):
    ask["cam3"] = dict(width=1080)
    assert len(detect.detect(folder)[0]) == 100


def test_a_view_in_which_nobody_was_found_is_named(folder, ask):
    ask["empty"] = "cam4"
    with pytest.raises(DataFileError, match="nobody was found in any frame of cam4"):
        detect.detect(folder)


def test_a_frame_without_a_person_is_missing():
    person = [[10.0, 20.0, 0.5]] * 33
    found = detect.detections_from({"a": [person, None], "b": [None, person]}, Path())
    assert found.pixels[0, 1].isnan().all()
    assert (found.confidence[0, 1] == 0).all()
    assert (found.confidence[1, 1] == 0.5).all()
    assert found.pixels[1, 1, 0].tolist() == [10.0, 20.0]


def test_without_the_environment_it_says_what_makes_it(folder, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(detect, "PYTHON", tmp_path / "python")
    monkeypatch.setattr("sys.argv", ["detect.py", str(folder)])
    with pytest.raises(SystemExit, match="1"):
        detect.main()
    assert "no environment with MediaPipe; `make detect` makes it" in capsys.readouterr().err


def test_what_the_other_script_says_of_a_broken_video_is_passed_on(folder, monkeypatch, tmp_path):
    script = tmp_path / "fails.py"
    script.write_text("import sys\nprint('a warning', file=sys.stderr)\nsys.exit(f'{sys.argv[2]}: not a video')\n")
    monkeypatch.setattr(detect, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(detect, "SCRIPT", script)
    with pytest.raises(DataFileError, match="^.*cam1.MP4: not a video$"):
        detect.detect(folder)
