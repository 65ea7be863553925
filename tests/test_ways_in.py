"""Entry points for readers and contributors.

Colab, Binder, pip, the lock file, GitHub's workflows, a cluster, a release, licences, hooks, the chapter template.
"""

import base64
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, distributions
from pathlib import Path

import jupytext
import papermill
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from traitlets.config import Config

from posebook import ASSETS, licences
from posebook.plotly_js import has_partial
from posebook.yourself import detector, shipped

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "notebooks" / "template" / "chapter.py"
CHAPTERS = sorted((ROOT / "notebooks").glob("*.py"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]}
REPOSITORY = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
PINNED = {canonicalize_name(pin.name): pin.specifier for pin in PINS}
CUDA = re.compile("nvidia|cuda|triton")  # what torch asks for in its build for GPUs


def colab_cells(chapter):
    return [cell for cell in jupytext.read(chapter).cells if "google.colab" in cell.source]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_prepares_colab_first_and_out_of_sight(chapter):
    (cell,) = colab_cells(chapter)
    assert cell.source == colab_cells(TEMPLATE)[0].source
    assert "remove-cell" in cell.metadata["tags"]
    code = [cell for cell in jupytext.read(chapter).cells if cell.cell_type == "code"]
    assert code[0].source == cell.source


RUN_CELL = """
import sys
sys.path.insert(0, sys.argv[1])
class Shell:
    def system(self, command): print("system", command)
    def run_line_magic(self, name, line): print("magic", name, line)
exec(sys.argv[2], {"get_ipython": Shell})
"""


def run_colab_cell(path):
    """What the cell asks of IPython, in a Python with nothing but the standard library and the contents of `path`."""
    command = [sys.executable, "-I", "-S", "-c", RUN_CELL, path, colab_cells(TEMPLATE)[0].source]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_elsewhere_the_cell_does_nothing(tmp_path):
    assert run_colab_cell(tmp_path) == []
    (tmp_path / "google").mkdir()  # Google has other packages, too
    assert run_colab_cell(tmp_path) == []


def test_on_colab_the_cell_installs_the_repository_and_goes_to_its_chapters(tmp_path):
    package = tmp_path / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "output.py").write_text("def enable_custom_widget_manager(): print('widgets')")
    widgets, clone, install, go = run_colab_cell(tmp_path)
    assert widgets == "widgets"
    *_, url, folder = clone.split()
    assert clone.startswith("system git clone ")
    assert url == REPOSITORY
    assert install.split()[:3] == ["magic", "pip", "install"]
    assert install.split()[-1] == folder
    assert go.split()[1::2] == ["cd", f"{folder}/notebooks"]


def test_binder_gets_the_pinned_torch_and_posekit_itself():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    (torch,) = re.findall(r"^torch==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert f"pytorch-cpu={torch}" in conda
    assert "--constraint constraints.txt" in pip["pip"]
    assert "--editable .[book]" in pip["pip"]


def test_binder_starts_with_one_thread():
    done = subprocess.run([ROOT / "start", "sh", "-c", "echo $OMP_NUM_THREADS"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_everything_asked_for_is_pinned():
    for line in [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]:
        asked = Requirement(line)
        (version,) = PINNED[canonicalize_name(asked.name)]
        assert version.version in asked.specifier, line


def test_pins_suit_the_oldest_python_we_promise():
    oldest = re.match(r">=([\d.]+)", PROJECT["requires-python"])[1] + ".0"
    installed = [package.metadata for package in distributions() if canonicalize_name(package.name) in PINNED]
    assert len(installed) > 50
    needs = {about["Name"]: about.get("Requires-Python", "") for about in installed}
    assert not {name: need for name, need in needs.items() if oldest not in SpecifierSet(need)}


def locked():
    """Each package of the lock file with its requirement and its hashes."""
    entries = (ROOT / "requirements.lock").read_text().replace("\\\n", " ").splitlines()
    for entry in entries:
        requirement, *hashes = re.split(r"\s+--hash=", entry.strip())
        yield Requirement(requirement), hashes


def test_the_lock_has_every_pin_but_torch_with_hashes():
    assert all(hashes for _, hashes in locked())
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", one) for _, hashes in locked() for one in hashes)
    pins = {canonicalize_name(requirement.name): requirement.specifier for requirement, _ in locked()}
    assert pins | {"torch": PINNED["torch"]} == PINNED, "see CONTRIBUTING.md, Change a dependency"


def test_the_lock_has_all_that_the_project_and_its_packages_ask_for():
    here = {canonicalize_name(one.name) for one, _ in locked() if one.marker is None or one.marker.evaluate()} | {"torch"}
    asked = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    installed = {canonicalize_name(package.metadata["Name"]): package for package in distributions()}
    asked += [line for name in here if name in installed for line in installed[name].requires or []]
    needs = [one for one in map(Requirement, asked) if one.marker is None or one.marker.evaluate({"extra": ""})]
    assert not {name for one in needs if (name := canonicalize_name(one.name)) not in here and not CUDA.match(name)}


def test_the_lock_does_not_bring_cuda():
    assert not [one.name for one, _ in locked() if CUDA.match(one.name)]


def test_make_checks_the_hashes_before_it_fetches_anything_else():
    lines = (ROOT / "Makefile").read_text().split("$(INSTALLED): ")[1].splitlines()
    installs = [line for line in lines if "$(PIP) install" in line]
    assert "--require-hashes" in installs[0]
    assert "requirements.lock" in installs[0]
    assert all("--constraint constraints.txt" in line for line in installs[1:])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the working tree, built beside it with this environment's setuptools."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("posekit", "book"):  # what lies beside the library must not get in
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", "."]
    subprocess.run(command, cwd=folder, check=True)
    (path,) = (folder / "dist").iterdir()
    return path


@pytest.mark.slow
def test_the_wheel_holds_the_library_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    library = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    files = [path for path in (ROOT / "posekit").rglob("*") if path.suffix in (".py", ".json", ".npz", ".txt", ".js")]
    assert library == {str(path.relative_to(ROOT)) for path in files}
    assert any(name.endswith(".json") for name in library)
    assert not [name for name in names if name.endswith("entry_points.txt")]
    assert [name for name in names if name.endswith("licenses/LICENSE")]


SET_UP = """
import sys
from importlib.metadata import entry_points
sys.path[:0] = sys.argv[1:3]
import posekit
assert posekit.__file__.startswith(sys.argv[1]), posekit.__file__
from myst_nb.core.render import load_mime_renders
from sphinx.application import Sphinx
app = Sphinx(".", None, "out", "doctrees", "dummy", {"extensions": ["myst_nb", "posebook"]}, status=None)
app.build()
from posebook.figure import PlotlyFigure
assert load_mime_renders().count(PlotlyFigure) == 1
assert "posebook" in app.extensions
"""


@pytest.mark.slow
def test_the_site_finds_posebook_beside_an_installed_wheel(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    (tmp_path / "index.md").write_text("# Title\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", SET_UP, str(tmp_path / "installed"), str(ROOT / "book")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def make_targets():
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_make_and_only_targets_there_are(path):
    jobs = yaml.safe_load(path.read_text())["jobs"].values()
    commands = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    called = [target for line in commands if line.startswith("make ") for target in line.split()[1:]]
    assert called
    assert set(called) <= make_targets()
    assert all(job["env"]["TORCH_INDEX"] == "${{ vars.TORCH_INDEX }}" for job in jobs)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_reads_only_and_its_actions_are_pinned_by_commit(path):
    assert yaml.safe_load(path.read_text())["permissions"] == "read-all"
    used = re.findall(r"uses: (.+)$", path.read_text(), re.MULTILINE)
    assert used
    assert not [action for action in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", action)]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
@pytest.mark.parametrize("index", ["", "file:///wheels"])
def test_a_workflow_stops_before_it_fetches_cuda(path, index):
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        first = job["steps"][0]["run"]
        done = subprocess.run(["sh", "-ec", first], env={"TORCH_INDEX": index}, capture_output=True, text=True)
        assert (done.returncode == 0) == bool(index)
        assert ("TORCH_INDEX" in done.stdout) == (not index)


def test_every_python_we_promise_is_tested():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())["jobs"]
    tested = [re.match(r"python:([\d.]+)", jobs["test"]["container"])[1], *jobs["unit"]["strategy"]["matrix"]["python"]]
    promised = [f"3.{minor}" for minor in range(30) if f"3.{minor}.0" in SpecifierSet(PROJECT["requires-python"])]
    assert tested == promised


def test_the_workflows_test_publish_and_check_links():
    text = {path.stem: path.read_text() for path in WORKFLOWS}
    assert "make test" in text["test"]
    assert "make book" in text["pages"]
    assert "make linkcheck" in text["weekly"]
    assert "cron:" in text["weekly"]
    newer = yaml.safe_load(text["weekly"])["jobs"]["newer-sphinx"]
    assert newer["continue-on-error"] is True
    assert newer["steps"][-1] == {"run": "make newer"}


def test_only_the_librarys_pages_have_raw_restructuredtext():
    """Jupyter Book 2 knows MyST alone: what a later move would have to rewrite stays in one folder."""
    pages = [*(ROOT / "book").rglob("*.md"), *(ROOT / "notebooks").glob("*.py")]
    assert {path.parent for path in pages if "{eval-rst}" in path.read_text()} == {ROOT / "book" / "api"}


def run_task(folder, *arguments, **array):
    """What a task of a job array of book/slurm.sh returns and complains of."""
    environment = os.environ | {f"SLURM_ARRAY_TASK_{name.upper()}": str(value) for name, value in array.items()}
    command = [ROOT / "book" / "slurm.sh", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def run_array(tmp_path, commands, tasks):
    """The same of each task of an array."""
    (tmp_path / "runs.txt").write_text("".join(f"{command}\n" for command in commands))
    for task in range(1, tasks + 1):
        yield run_task(tmp_path, "runs.txt", id=task, count=tasks, min=1, max=tasks)


@pytest.mark.parametrize(
    ("arguments", "array", "complaint"),
    [
        ([], dict(id=1, count=1, min=1, max=1), "the file of commands is missing"),
        (["runs.txt"], {}, "submit it with --array"),
        (["typo.txt"], dict(id=1, count=1, min=1, max=1), "typo.txt cannot be read"),
        (["runs.txt"], dict(id=3, count=2, min=1, max=3), "an array without gaps is expected"),
    ],
)
def test_a_job_array_that_would_leave_lines_out_fails(tmp_path, arguments, array, complaint):
    (tmp_path / "runs.txt").write_text("touch done\n")
    done = run_task(tmp_path, *arguments, **array)
    assert done.returncode != 0
    assert complaint in done.stderr
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("tasks", [1, 3, 12])
def test_a_job_array_runs_each_line_once(tmp_path, tasks):
    commands = [f"echo '{number} x' >> done; echo $OMP_NUM_THREADS >> threads" for number in range(10)]
    results = list(run_array(tmp_path, commands, tasks))
    assert [(done.returncode, done.stdout, done.stderr) for done in results] == [(0, "", "")] * tasks
    assert sorted((tmp_path / "done").read_text().splitlines()) == [f"{number} x" for number in range(10)]
    assert set((tmp_path / "threads").read_text().split()) == {"1"}


def test_a_failing_line_of_a_job_array_is_named_and_the_others_go_on(tmp_path):
    first, second = run_array(tmp_path, ["cat; false", "true", "touch after"], tasks=2)
    assert (first.returncode, first.stderr) == (1, "failed: cat; false\n")
    assert (tmp_path / "after").exists()
    assert (second.returncode, second.stderr) == (0, "")


def git(folder, *arguments):
    user = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *user, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def repository(tmp_path):
    """A repository of the working tree with one commit, tagged as a release, and a tiny site, ignored, under `_build`."""
    folder = tmp_path / "clone"
    files = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, files):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    version = PROJECT["version"]
    site = folder / "_build" / "html"
    (site / "_static").mkdir(parents=True)
    (site / "index.html").write_text("<title>Book</title>")
    (site / "_static" / "a.js").write_text("1")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "all")
    git(folder, "tag", f"v{version}")
    return folder


def release(folder, out, umask=-1):
    command = [sys.executable, "book/release.py", "--out", str(out)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, umask=umask)


@pytest.mark.slow
def test_a_release_is_one_archive_whose_checksums_hold(repository, tmp_path):
    for out, umask in (("first", 0o022), ("second", 0o077)):
        done = release(repository, tmp_path / out, umask)
        assert done.returncode == 0, done.stderr
    name = f"posekit-{PROJECT['version']}"
    first, second = ((tmp_path / out / f"{name}.zip").read_bytes() for out in ("first", "second"))
    assert first == second
    digest = hashlib.sha256(first).hexdigest()
    assert (tmp_path / "first" / f"{name}.zip.sha256").read_text() == f"{digest}  {name}.zip\n"

    archive = zipfile.ZipFile(tmp_path / "first" / f"{name}.zip")
    sums = [line.split("  ") for line in archive.read(f"{name}/SHA256SUMS").decode().splitlines()]
    for digest, file in sums:
        assert hashlib.sha256(archive.read(f"{name}/{file}")).hexdigest() == digest, file
    files = {file for _, file in sums}
    assert {f"{name}/{file}" for file in files} | {f"{name}/SHA256SUMS"} == set(archive.namelist())
    assert {"site/index.html", "site/_static/a.js", f"wheel/{name}-py3-none-any.whl"} <= files
    committed = {f"source/{file}" for file in git(repository, "ls-files").splitlines()}
    assert {file for file in files if file.startswith("source/")} == committed
    assert {f"source/{file}" for file in ("CHANGELOG.md", "requirements.lock", "book/results/runs.yml")} <= committed
    assert archive.getinfo(f"{name}/source/start").external_attr >> 16 & 0o111
    assert git(repository, "status", "--porcelain") == ""


def change_a_file(folder):
    (folder / "README.md").write_text("changed")


def commit_once_more(folder):
    change_a_file(folder)
    git(folder, "commit", "--quiet", "-a", "-m", "more")


def set_another_version(folder):
    about = folder / "pyproject.toml"
    about.write_text(re.sub(r'^version = ".*"$', 'version = "9.9.9"', about.read_text(), flags=re.MULTILINE))
    git(folder, "commit", "--quiet", "-a", "-m", "version")


def log_another_version(folder):
    set_another_version(folder)
    (folder / "CHANGELOG.md").write_text("## 9.9.9\n")
    git(folder, "commit", "--quiet", "-a", "-m", "changes")


def remove_the_site(folder):
    shutil.rmtree(folder / "_build")


SPOILS = {
    change_a_file: "clean working tree.*README.md",
    commit_once_more: "the tag v",
    set_another_version: "CHANGELOG.md: expected a section ## 9.9.9",
    log_another_version: "CITATION.cff: expected version 9.9.9",
    remove_the_site: "index.html; run make book",
}


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
def test_what_is_not_ready_is_not_released(repository, tmp_path, spoil):
    spoil(repository)
    done = release(repository, tmp_path / "out")
    assert done.returncode == 1
    assert re.search(SPOILS[spoil], done.stderr, re.DOTALL)
    assert not (tmp_path / "out").exists()


def test_citation_and_zenodo_agree_with_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    zenodo = yaml.safe_load((ROOT / ".zenodo.json").read_text())  # JSON is YAML
    assert citation["version"] == PROJECT["version"]
    assert citation["title"] == zenodo["title"]
    assert citation["license"] == zenodo["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [creator["name"] for creator in zenodo["creators"]]
    cited = {citation["repository-code"], *(reference["url"] for reference in citation["references"])}
    assert {related["identifier"] for related in zenodo["related_identifiers"]} == cited


def test_every_installed_package_names_its_licence():
    packages = licences.installed(ROOT / "constraints.txt")
    assert len(packages) > 50
    for package in packages:
        assert 2 < len(licences.licence_of(package)) < 150


def test_every_package_in_the_site_brings_its_licence():
    for name in licences.IN_SITE:
        assert distribution(name).metadata["Name"] == name
        assert licences.texts_in_site(distribution(name)), name


def origins():
    """The installed package of each file, by the digest of its content."""
    found = {}
    for package in distributions():
        for file in package.files or []:
            if file.hash and file.size and not str(file).startswith(".."):
                found.setdefault(file.hash.value, set()).add(package.metadata["Name"])
    return found


@pytest.mark.slow
def test_the_site_carries_the_licence_of_all_it_was_given(site):
    static, known, given = site / "_static", origins(), set()
    for path in filter(Path.is_file, static.rglob("*")):
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
        ours = licences.TEXTS in path.parts or (ASSETS / path.relative_to(static)).exists()
        if digest in known and not ours:
            given.add(next((name for name in licences.IN_SITE if name in known[digest]), path.name))
    assert given == set(licences.IN_SITE) - ({"plotly"} if has_partial() else set())
    page = (site / "book" / "licences.html").read_text()
    for name in licences.IN_SITE:
        for text in licences.texts_in_site(distribution(name)):
            assert f'href="../_static/{text}"' in page
            assert len((static / text).read_text()) > 100
    apache = ["vendor/mathjax/LICENSE"]
    if shipped(detector(ROOT)):
        apache.append("licences/mediapipe-pose/LICENSE")
        assert f'href="../_static/{apache[-1]}"' in page
    assert all("Version 2.0, January 2004" in (static / text).read_text() for text in apache)


def test_hooks_need_no_network():
    assert {hook["language"] for hook in HOOKS.values()} == {"system"}


@pytest.mark.parametrize("name", ["ruff-check", "ruff-format"])
def test_the_style_hooks_pass(name):
    command, *options = shlex.split(HOOKS[name]["entry"])
    tool = shutil.which(command, path=Path(sys.executable).parent) or command
    done = subprocess.run([tool, *options, *CHAPTERS, TEMPLATE], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pair_hook_selects_the_pair_tests():
    *_, file, option, word = shlex.split(HOOKS["pairs"]["entry"])
    assert option == "-k"
    assert len(re.findall(rf"^def test_\w*{word}", (ROOT / file).read_text(), re.MULTILINE)) == 2


@pytest.mark.slow
def test_the_chapter_template_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "run"))
    jupytext.write(jupytext.read(TEMPLATE), tmp_path / "chapter.ipynb")
    config = Config()
    config.KernelManager.transport = "ipc"
    papermill.execute_notebook(
        tmp_path / "chapter.ipynb", None, kernel_name="python3", progress_bar=False, execution_timeout=300, config=config
    )
