"""The list of recorded runs, and rerunning them."""

import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import jupytext
import psutil
import pytest
import yaml

from posekit.parameters import parameters_of
from posekit.records import Record, load_record
from posekit.settings import Experiment, Options

LIST = """
rows:
- name: first
  seeds: [3, 4]
  width: 8
  epochs: 1

- name: second
  like: first
  method: supervised
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "runs.yml"
        path.write_text(text)
        return path

    return write


def test_rows_take_over_what_they_are_like(reproduce, write):
    runs = reproduce.read_runs(write(LIST))
    assert [(run.name, run.experiment.seed) for run in runs] == [("first", 3), ("first", 4), ("second", 3), ("second", 4)]
    assert runs[2].experiment == Experiment().but(method="supervised", width=8, epochs=1, seed=3)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("like: first", "like: third"), "second is like third, which is not above it"),
        (("name: second", "name: first"), "two rows are called first"),
        (("method: supervised", "method: magic"), "second: method must be one of"),
        (("width: 8", "wdith: 8"), "first: unknown parameter 'wdith'"),
    ],
)
def test_a_bad_list_is_refused_by_file_and_row(reproduce, write, change, complaint):
    with pytest.raises(ValueError, match=r"runs\.yml") as error:
        reproduce.read_runs(write(LIST.replace(*change)))
    assert complaint in str(error.value)


def test_runs_are_chosen_by_row_or_by_seed(reproduce, write):
    runs = reproduce.read_runs(write(LIST))
    assert [run.is_called("f*") for run in runs] == [True, True, False, False]
    assert [run.is_called("*-seed4") for run in runs] == [False, True, False, True]


@pytest.fixture
def copy(reproduce, monkeypatch, write, tmp_path):
    """`main` on a list and folder of its own, with the real notebook."""
    monkeypatch.setattr(reproduce, "RESULTS", tmp_path)
    read = reproduce.read_runs
    monkeypatch.setattr(reproduce, "read_runs", lambda: read(tmp_path / "runs.yml"))
    write(LIST.replace("[3, 4]", "[3]"))

    def main(*arguments):
        monkeypatch.setattr(sys, "argv", ["reproduce.py", *arguments])
        return reproduce.main()

    return main


@pytest.mark.slow
def test_missing_runs_are_made_and_recorded_ones_skipped(reproduce, copy, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "run"))
    assert copy("first", "--threads", "1") == 0
    record = load_record(tmp_path / "synthetic" / "first-seed3.json")
    assert record.experiment["width"] == 8
    assert copy("first") == 0
    assert "1 run, 1 of them recorded" in capsys.readouterr().err


def test_a_failed_run_keeps_the_record_that_was_there(reproduce, copy, tmp_path, monkeypatch, capsys):
    other = tmp_path / "synthetic" / "first-seed3.json"
    other.parent.mkdir()
    recorded = next(iter(sorted((reproduce.ROOT / "book" / "results" / "humaneva").glob("*.json"))))
    other.write_bytes(recorded.read_bytes())  # of other settings
    failure = [sys.executable, "-c", "import sys; sys.exit('broken')"]
    monkeypatch.setattr(reproduce.Run, "command", lambda run, *options: failure)
    assert copy("first") == 1
    assert "failed\nbroken" in capsys.readouterr().out
    assert other.read_bytes() == recorded.read_bytes()


@pytest.mark.parametrize(("said", "starts"), [("Kernel died before replying to kernel_info", 3), ("broken", 1)])
def test_a_kernel_that_did_not_start_is_started_again(reproduce, tmp_path, said, starts):
    counted = tmp_path / "starts"
    child = f"import sys; open({str(counted)!r}, 'a').write('x'); sys.exit({said!r})"
    task = reproduce.Task([sys.executable, "-c", child], Path("record.json"), {})
    text, error = reproduce.make_record(task, lambda: False)
    assert (text, error.strip(), counted.read_text()) == ("", said, "x" * starts)


def test_a_run_is_recorded_although_its_kernel_did_not_start_at_first(reproduce, tmp_path):
    child = f"""
import pathlib, sys
mark = pathlib.Path({str(tmp_path / "mark")!r})
if not mark.exists():
    mark.touch()
    sys.exit("Kernel died before replying to kernel_info")
(pathlib.Path(sys.argv[-1]) / "record.json").write_text("made")
"""
    task = reproduce.Task([sys.executable, "-c", child], Path("record.json"), {})
    assert reproduce.make_record(task, lambda: False) == ("made", None)


def test_the_list_says_what_is_missing_and_runs_nothing(copy, capsys, tmp_path):
    assert copy("--list") == 0
    shown = capsys.readouterr()
    assert "2 runs, 0 of them recorded" in shown.err
    assert "papermill notebooks/experiment.ipynb - -k python3 -p method supervised -p seed 3 -p width 8" in shown.out
    assert not list(tmp_path.rglob("*.json"))


def parameters(line):
    """The parameters of a papermill command: those of the experiment, and how and where it runs."""
    words = shlex.split(line)
    pairs = {words[i + 1]: words[i + 2] for i, word in enumerate(words) if word == "-p"}
    options = {option.name for option in parameters_of(Options)}
    settings = {name: yaml.safe_load(value) for name, value in pairs.items() if name not in options}
    return Experiment.parse(settings), Options(
        **{name: pairs[name] for name in ("name", "results_dir", "device", "models_dir")}
    )


def test_the_list_is_complete_commands_alone(reproduce, copy, capsys, tmp_path):
    assert copy("--list", "--device", "cuda", "--threads", "3", "--models", "kept models") == 0
    lines = capsys.readouterr().out.splitlines()
    runs = reproduce.read_runs()
    assert len(lines) == len(runs) == 2
    for line, run in zip(lines, runs):
        experiment, options = parameters(line)
        assert line.startswith("papermill notebooks/experiment.ipynb - ")
        assert "-p threads 3 " in line
        assert (options.name, experiment) == run
        assert (options.device, options.models_dir) == ("cuda", str(Path("kept models").resolve()))
        assert (reproduce.ROOT / options.results_dir).resolve() == tmp_path


@pytest.mark.slow
def test_a_line_of_the_list_can_be_run_as_it_is(reproduce, copy, capsys, tmp_path):
    assert copy("--list", "first") == 0
    command = capsys.readouterr().out
    assert command.count("\n") == 1
    places = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "run"),
    }
    subprocess.run(command, shell=True, cwd=reproduce.ROOT, env=os.environ | places, check=True, capture_output=True)
    assert copy("--list", "first") == 0
    assert capsys.readouterr() == ("", "1 run, 1 of them recorded\n")


def test_the_list_names_records_of_other_settings(reproduce, copy, made_up, tmp_path, capsys):
    made_up(width=99).save(tmp_path, "first")
    assert copy("--list", "first") == 0
    assert "first-seed3.json is in the way" in capsys.readouterr().err


def test_the_script_runs_as_it_stands(reproduce):
    done = subprocess.run([sys.executable, reproduce.__file__, "--list", "no-such-row"], capture_output=True, text=True)
    said = "no row in book/results/runs.yml is called no-such-row"
    assert (done.returncode, done.stdout, done.stderr.strip()) == (1, "", said)


def test_a_record_that_cannot_be_read_is_named_and_made_again(reproduce, copy, tmp_path, capsys):
    damaged = tmp_path / "synthetic" / "first-seed3.json"
    damaged.parent.mkdir()
    damaged.write_text("{")
    assert copy("--list", "first") == 0
    said = capsys.readouterr()
    assert f"not counted: {damaged}: not a JSON file" in said.err
    assert f"{damaged} is in the way" in said.err
    assert said.out.count("papermill") == 1


def test_a_record_that_cannot_be_written_costs_only_its_own_run(reproduce, copy, monkeypatch, capsys):
    full = [OSError("disk full")]

    def write(path, text):
        if full:
            raise full.pop()
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    some = next(iter(sorted((reproduce.ROOT / "book" / "results" / "humaneva").glob("*.json")))).read_text()
    monkeypatch.setattr(reproduce, "make_record", lambda task, stopped: (some, None))
    monkeypatch.setattr(reproduce, "write_atomically", write)
    assert copy() == 1
    said = capsys.readouterr().out
    assert said.count("failed\nOSError: disk full") == 1
    assert said.count("report_mpjpe") == 1


# ---- Stopped and killed


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_script_says_so_in_a_word(reproduce, monkeypatch, how):
    monkeypatch.setattr(reproduce, "main", lambda: signal.raise_signal(how))
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(SystemExit, match="^stopped$"):
            reproduce.script()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@pytest.fixture
def made_up(reproduce):
    """A record of the row "first", seed 3, with some settings changed."""

    def made_up(**changes):
        some = load_record(next(iter(sorted((reproduce.ROOT / "book" / "results" / "humaneva").glob("*.json")))))
        settings = dict(dataset="synthetic", width=8, epochs=1, seed=3) | changes
        return Record(**asdict(some) | {"experiment": Experiment.parse(settings).flat()})

    return made_up


SERVER = """
import os, pathlib, sys, reproduce
reproduce.RESULTS = pathlib.Path(sys.argv[1])
del sys.argv[1:]
exec(os.environ.get("CHANGES", ""))
for line in sys.stdin:
    if not (script := os.fork()):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1), os.dup2(nowhere, 2)
        sys.exit(reproduce.script())
    print(script, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(script, 0)[1]), flush=True)
"""


class Script:
    """The script on a list and folder of its own, started again and again without importing torch each time."""

    def __init__(self, root, folder, changes=""):
        environment = {"PYTHONPATH": os.pathsep.join([str(root), str(root / "book")]), "CHANGES": changes}
        environment |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        environment |= {"TMPDIR": str(folder / "temporary"), "JUPYTER_RUNTIME_DIR": str(folder / "run")}
        (folder / "temporary").mkdir()
        words = [sys.executable, "-c", SERVER, str(folder)]
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.server = subprocess.Popen(words, env=os.environ | environment, **pipes)

    def start(self):
        """Start it; returns its process id."""
        print("go", file=self.server.stdin, flush=True)
        return int(self.server.stdout.readline())

    def wait(self):
        """Its exit code."""
        return int(self.server.stdout.readline())


@pytest.fixture
def script(reproduce, write, tmp_path):
    """Make a `Script` that runs only the row "first", with changes made to it."""
    write(LIST[: LIST.index("- name: second")].replace("[3, 4]", "[3]"))
    servers = []

    def script(changes=""):
        servers.append(Script(reproduce.ROOT, tmp_path, changes))
        return servers[-1]

    yield script
    for each in servers:
        each.server.communicate(timeout=60)


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return value


CHANGES = """
child = "import os, pathlib, shutil, sys, time; here = pathlib.Path(sys.argv[1]); "
child += "(here / 'started').write_text(str(os.getpid())); "
child += "time.sleep(0.2); shutil.copytree(here / 'new', sys.argv[-1], dirs_exist_ok=True); time.sleep(0.2)"
reproduce.Run.command = lambda run, *options: [sys.executable, "-c", child, str(reproduce.RESULTS)]
"""  # instead of a notebook: says that it runs, copies a record into results_dir after a while, ends after another


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with a killed parent")
def test_stopped_at_any_moment_nothing_is_lost_or_left(script, made_up, tmp_path):
    """The old record stays until the new one is there, and the run ends with the script."""
    old, new, changed = made_up(width=99), made_up(), script(CHANGES)
    new.save(tmp_path / "new", "first")
    temporary = tmp_path / "temporary"
    started, kept = tmp_path / "started", tmp_path / "synthetic" / "first-seed3.json"
    chance = random.Random(0)
    for how in 5 * [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]:
        kept.unlink(missing_ok=True)
        old.save(tmp_path, "first")
        process = changed.start()
        run = int(wait_for(lambda: started.exists() and started.read_text()))
        time.sleep(chance.uniform(0, 0.5))
        with suppress(ProcessLookupError):  # it may have ended
            os.kill(process, how)
        changed.wait()
        wait_for(lambda run=run: not psutil.pid_exists(run), 10)
        started.unlink()
        assert list(kept.parent.iterdir()) == [kept]
        assert load_record(kept) in (old, new)
        assert how == signal.SIGKILL or not list(temporary.iterdir())
        shutil.rmtree(temporary)  # a killed script cannot clean up what lies there
        temporary.mkdir()
    changed.start()
    assert changed.wait() == 0
    assert list(kept.parent.iterdir()) == [kept]
    assert load_record(kept) == new


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with a killed parent")
def test_a_killed_script_takes_its_kernels_along(script, tmp_path):
    process = script().start()
    family = psutil.Process(process)

    def kernel():
        return [child for child in family.children(recursive=True) if "ipykernel" in " ".join(child.cmdline())]

    wait_for(kernel)
    children = family.children(recursive=True)
    assert len(children) >= 2  # papermill and its kernel
    family.kill()
    assert not psutil.wait_procs(children, timeout=15)[1]
    assert not list(tmp_path.rglob("*-seed*.json"))


# ---- On a cluster, and side by side

RUN = """
# %% tags=["parameters"]
name, seed, results_dir = "", 0, ""
# %%
import os, pathlib, shutil, time
pathlib.Path("started", f"{name}-{seed}-{os.getpid()}").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.05)
place = pathlib.Path("synthetic", f"{name}-seed{seed}.json")
pathlib.Path(results_dir, "synthetic").mkdir(exist_ok=True)
shutil.copy(pathlib.Path("made") / place, pathlib.Path(results_dir) / place)
"""  # instead of the notebook: says that it runs, waits for a file called "go", copies a record that was made before


class Project:
    """A folder with the script and a tiny notebook in place of the real one, and a Dask cluster for it."""

    def __init__(self, root, folder):
        self.folder, self.processes = folder, []
        self.results, self.started = folder / "book" / "results", folder / "started"
        for path in (self.results, self.started, folder / "notebooks", folder / "temporary"):
            path.mkdir(parents=True)
        shutil.copy(root / "book" / "reproduce.py", folder / "book")
        notebook = jupytext.reads(RUN, fmt="py:percent")
        notebook.metadata["kernelspec"] = dict(name="python3", display_name="Python 3", language="python")
        jupytext.write(notebook, folder / "notebooks" / "experiment.ipynb")
        self.environment = os.environ | {
            "PYTHONPATH": str(root),
            "TMPDIR": str(folder / "temporary"),
            "JUPYTER_RUNTIME_DIR": str(folder / "run"),
            "DASK_TEMPORARY_DIRECTORY": str(folder / "temporary"),
        }

    def python(self, *words):
        """Start Python in the folder; ended with the test."""
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.processes.append(subprocess.Popen([sys.executable, *words], cwd=self.folder, env=self.environment, **pipes))
        return self.processes[-1]

    def reproduce(self, *options):
        return self.python("book/reproduce.py", *options)

    def scheduler(self):
        """Start Dask's scheduler on this machine alone; returns its address."""
        file = self.folder / "scheduler.json"
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-jupyter", "--scheduler-file", str(file)]
        self.python("-m", "dask", "scheduler", *options)
        return json.loads(wait_for(lambda: file.exists() and file.read_text()))["address"]

    def worker(self, address):
        """Start a worker, one run at a time, with the nanny that starts it again."""
        self.python("-m", "dask", "worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard")

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            process.communicate(timeout=60)

    def runs(self):
        """How often each run was started."""
        return Counter(path.name.rpartition("-")[0] for path in self.started.iterdir())

    def kernels(self):
        """The process ids of all runs that were started."""
        return [int(path.name.rpartition("-")[2]) for path in self.started.iterdir()]

    def written(self):
        """What is in the folder of results, and what is left of temporary folders."""
        results = {str(path.relative_to(self.results)) for path in self.results.rglob("*.*")} - {"runs.yml"}
        return results, list((self.folder / "temporary").rglob("posekit-*"))


@pytest.fixture
def project(reproduce, tmp_path, made_up):
    project = Project(reproduce.ROOT, tmp_path)
    (project.results / "runs.yml").write_text(LIST[: LIST.index("- name: second")].replace("[3, 4]", "[0, 1, 2, 3]"))
    for seed in range(4):
        made_up(seed=seed).save(tmp_path / "made", "first")
    yield project
    project.stop()


ALL = {f"synthetic/first-seed{seed}.json" for seed in range(4)}


@pytest.fixture
def dask():
    return pytest.importorskip("distributed", reason="distributed is not installed: pip install '.[cluster]'")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with a killed parent")
def test_the_rows_of_a_killed_worker_run_again(project, dask):
    """Two workers, one of which is killed in the middle of a row: every row is recorded once, and nothing is left behind."""
    address = project.scheduler()
    project.worker(address)
    project.worker(address)
    script = project.reproduce("--scheduler", address)
    wait_for(lambda: len(project.kernels()) == 2)
    lost, _ = project.kernels()
    family = psutil.Process(lost).parents()  # of the kernel: papermill, the worker, the nanny, ...
    worker = family[1]
    assert "papermill" in " ".join(family[0].cmdline())
    os.kill(worker.pid, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(lost), 15)
    wait_for(lambda: len(project.kernels()) == 3)
    assert project.written()[0] == set()
    (project.folder / "go").touch()
    shown, errors = script.communicate(timeout=120)
    assert script.returncode == 0, errors
    assert sorted(shown.splitlines()) == sorted(set(shown.splitlines()))
    assert shown.count("first, seed") == 4
    assert sorted(project.runs().values()) == [1, 1, 1, 2]
    wait_for(lambda: project.written() == (ALL, []), 15)
    for place in ALL:
        assert (project.results / place).read_bytes() == (project.folder / "made" / place).read_bytes()


@pytest.mark.slow
def test_a_stopped_script_stops_its_runs_on_the_cluster(project, dask):
    address = project.scheduler()
    project.worker(address)
    script = project.reproduce("--scheduler", address)
    (kernel,) = wait_for(project.kernels)
    script.terminate()
    assert script.wait(timeout=30) == 1
    wait_for(lambda: not psutil.pid_exists(kernel), 15)
    wait_for(lambda: project.written() == (set(), []), 15)
    (project.folder / "go").touch()
    assert project.reproduce("--scheduler", address, "first-seed1").wait(timeout=60) == 0
    assert project.written() == ({"synthetic/first-seed1.json"}, [])


@pytest.mark.slow
def test_a_run_that_fails_on_the_cluster_is_named_and_not_repeated(project, dask):
    (project.folder / "go").touch()
    (project.folder / "made" / "synthetic" / "first-seed2.json").unlink()
    address = project.scheduler()
    project.worker(address)
    script = project.reproduce("--scheduler", address)
    shown, _ = script.communicate(timeout=120)
    assert script.returncode == 1
    assert "first, seed 2: failed" in shown
    assert "FileNotFoundError" in shown
    assert set(project.runs().values()) == {1}
    assert project.written() == (ALL - {"synthetic/first-seed2.json"}, [])


@pytest.mark.slow
def test_a_scheduler_that_goes_away_ends_the_script(project, dask):
    address = project.scheduler()
    project.worker(address)
    script = project.reproduce("--scheduler", address)
    wait_for(project.kernels)
    project.processes[0].kill()
    shown, errors = script.communicate(timeout=120)
    assert script.returncode == 1
    assert shown.count("failed\nthe scheduler is gone") == 4, shown + errors
    assert project.written()[0] == set()


@pytest.fixture
def silent():
    """The address of a server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://here", "silent"])
def test_a_scheduler_that_does_not_answer_is_an_error_in_bounded_time(reproduce, copy, dask, silent, address, monkeypatch):
    monkeypatch.setattr(reproduce, "PATIENCE", 1)
    address = silent if address == "silent" else address
    start = time.monotonic()
    with pytest.raises(SystemExit, match=f"no Dask scheduler answers at {address} .*dask scheduler"):
        copy("--scheduler", address)
    assert time.monotonic() - start < 20


def test_without_dask_the_error_says_what_to_install(copy, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SystemExit, match=r"--scheduler needs Dask; install it with: pip install '\.\[cluster\]'"):
        copy("--scheduler", "tcp://127.0.0.1:1")


def test_jobs_and_a_scheduler_exclude_each_other(copy, capsys):
    with pytest.raises(SystemExit):
        copy("--scheduler", "tcp://127.0.0.1:1", "--jobs", "2")
    assert "not allowed with argument" in capsys.readouterr().err


SHARED = """
rows:
- name: one
  seeds: [3]
  method: adaptation
  width: 8
  epochs: 2
  stride: 60
  adapt_epochs: 1

- name: other
  like: one
  adapt_epochs: 2
"""


@pytest.mark.slow
def test_two_scripts_at_once_share_a_source_model_and_a_folder(reproduce, project):
    """Both make both rows, two at a time: four runs start from one model, each row is made twice, and nothing collides."""
    (project.results / "runs.yml").write_text(SHARED)
    shutil.copy(reproduce.ROOT / "notebooks" / "experiment.ipynb", project.folder / "notebooks")
    models = project.folder / "models"
    scripts = [project.reproduce("--jobs", "2", "--models", str(models)) for _ in range(2)]
    for script in scripts:
        shown, errors = script.communicate(timeout=400)
        assert script.returncode == 0, shown + errors
        assert sorted(line.split(",")[0] for line in shown.splitlines()) == ["one", "other"]
    assert project.written() == ({"synthetic/one-seed3.json", "synthetic/other-seed3.json"}, [])
    assert sorted((path.name.split("-")[1], path.suffix) for path in models.glob("*") if path.is_file()) == [
        ("label_free", ".json"),
        ("label_free", ".safetensors"),
    ]
    one, other = (load_record(project.results / "synthetic" / f"{name}-seed3.json") for name in ("one", "other"))
    assert len(other.curve["epoch"]) > len(one.curve["epoch"])
    again = project.reproduce("one", "--models", str(models))
    assert "1 of them recorded" in again.communicate(timeout=60)[1]
