"""The strict build, and what the built files alone can show."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from jupyter_cache import get_cache
from nbclient import NotebookClient

from posebook import JUPYTER

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent


class Page(HTMLParser):
    """The links, sources, anchors and figures of an HTML file."""

    def __init__(self, path):
        super().__init__()
        self.links, self.sources, self.anchors, self.figures = [], [], set(), 0
        self.specs, self._plotted, self._in_spec = [], False, False
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if identifier := attributes.get("id") or attributes.get("name"):
            self.anchors.add(identifier)
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if tag in ("script", "img", "iframe", "source") and attributes.get("src"):
            self.sources.append(attributes["src"])
        if tag == "link" and attributes.get("href") and attributes.get("rel") not in ("canonical", "search", "next", "prev"):
            self.sources.append(attributes["href"])
        self.figures += "pk-figure" in (attributes.get("class") or "").split()
        if tag == "figure":
            self._plotted = "pk-figure" in (attributes.get("class") or "").split()
        self._in_spec = self._plotted and tag == "script" and attributes.get("type") == "application/json"

    def handle_data(self, data):
        if self._in_spec:
            self.specs.append(json.loads(data))
            self._in_spec = False


@pytest.fixture(scope="session")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}


def test_nothing_is_loaded_from_elsewhere(pages):
    for path, page in pages.items():
        assert not [source for source in page.sources if urlsplit(source).netloc], path


def test_everything_loaded_and_linked_is_there(site, pages):
    for path, page in pages.items():
        for target in [*page.sources, *page.links]:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert file.exists(), f"{path.name} points at {target}"
            if parts.fragment and file in pages:
                assert unquote(parts.fragment) in pages[file].anchors, f"{path.name} points at {target}"


def test_what_is_launched_and_downloaded_is_there(site, pages):
    launched = set()
    for path, page in pages.items():
        for link in map(urlsplit, page.links):
            if link.netloc == "mybinder.org":
                launched.add(parse_qs(link.query)["urlpath"][0].removeprefix("lab/tree/"))
        if path.parent.name == "notebooks":
            source = f"_sources/{path.relative_to(site).with_suffix('.ipynb')}"
            assert any(link.endswith(source) for link in page.links), f"{path.name} offers no notebook to download"
    assert len(launched) > 3
    assert not [target for target in launched if not (ROOT / target).is_file()]


def test_stylesheets_load_nothing_from_elsewhere(site):
    for path in site.rglob("*.css"):
        assert not re.findall(r"url\(['\"]?(?:https?:)?//", path.read_text()), path


def test_every_figure_of_every_executed_notebook_is_on_its_page(site, pages):
    executed = site.parent / "jupyter_execute"
    (folder,) = (site.parent / ".jupyter_cache").iterdir()
    cache = get_cache(folder)
    counted = 0
    for path in executed.rglob("*.ipynb"):
        # What a build takes from the cache it leaves without outputs in jupyter_execute.
        _, notebook = cache.merge_match_into_notebook(nbformat.read(path, as_version=4))
        outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
        assert not [o for o in outputs if o.output_type == "error"]
        drawn = sum("application/vnd.plotly.v1+json" in o.get("data", {}) for o in outputs)
        page = pages[(site / path.relative_to(executed)).with_suffix(".html")]
        assert page.figures == drawn, path
        counted += drawn
    assert counted > 5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its memory limit")
@pytest.mark.parametrize("greed", ["bytearray(1_600_000_000)", "import torch; torch.ones(400_000_000)"])
def test_chapters_run_in_as_little_memory_as_readers_have(greed, monkeypatch, tmp_path):
    """The strict build runs every chapter with this kernel, so one that needs more memory or time fails it."""
    monkeypatch.setenv("JUPYTER_PATH", str(JUPYTER))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "run"))
    limits = "import resource; print(resource.getrlimit(resource.RLIMIT_DATA)[0], resource.getrlimit(resource.RLIMIT_CPU)[0])"
    cells = [nbformat.v4.new_code_cell(code) for code in (limits, greed)]
    client = NotebookClient(nbformat.v4.new_notebook(cells=cells), kernel_name="python3", allow_errors=True)
    client.execute()
    printed, failed = (cell.outputs[-1] for cell in client.nb.cells)
    memory, seconds = map(int, printed.text.split())
    assert memory <= 1.5 * 2**30
    assert seconds <= 2 * 120  # two minutes on two cores
    assert failed.output_type == "error"
    assert "memory" in (failed.ename + failed.evalue).lower()


@pytest.mark.skipif(sys.platform != "linux", reason="as above")
def test_the_build_ran_every_chapter_with_that_kernel(site):
    assert "1.5 GB of memory and 240 s of processor time" in (site / "book" / "rerun.html").read_text()
    (folder,) = (site.parent / ".jupyter_cache").iterdir()
    ran = {Path(record.uri).stem for record in get_cache(folder).list_cache_records()}
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} <= ran


def test_no_page_holds_a_control_without_a_kernel(pages):
    for path in pages:
        assert "application/vnd.jupyter.widget" not in path.read_text(), path


def test_every_figure_says_what_it_shows(pages):
    for path, page in pages.items():
        for spec in page.specs:
            assert len(spec["layout"]["meta"]["alt"]) > 30, path


def test_no_output_shows_characters_as_python_escapes_them(pages):
    for path in pages:
        text = path.read_text()
        if re.search(escaped := r"\\x[0-9a-f]{2}", text):
            outputs = BeautifulSoup(text, "html.parser").select(".cell_output pre")
            assert not [output for output in outputs if re.search(escaped, output.get_text())], path


def test_options_keep_their_two_hyphens(pages):
    for path in pages:
        assert not re.search(r"[ (\[]\N{EN DASH}[a-z]", path.read_text()), path


def test_numbers_in_figures_are_float32(pages):
    for path, page in pages.items():
        assert '"dtype":"f8"' not in path.read_text()
        assert page.figures == len(page.specs)


def test_chapters_open_with_their_numbered_figure(site):
    opened = [path for path in (ROOT / "notebooks").glob("[0-9]*.py") if '"opening"' in path.read_text()]
    assert len(opened) >= 10
    for path in opened:
        page = BeautifulSoup((site / "notebooks" / f"{path.stem}.html").read_text(), "html.parser")
        opening = page.select_one("article h1").find_next_sibling()  # another one is for print
        assert opening["id"] == "opening", path
        assert opening.select_one("figure.pk-figure .pk-still")["aria-label"]
        assert opening.select_one("figcaption .caption-number"), path


def test_pages_that_open_with_a_figure_and_no_others_fetch_plotly_early(site):
    opened = 0
    for path in (site / "notebooks").glob("*.html"):
        page = BeautifulSoup(path.read_text(), "html.parser")
        early = [link["href"] for link in page.select("link[rel=preload]") if link["href"].endswith("/plotly.min.js")]
        opens = page.select_one("#opening") is not None
        assert len(early) == opens, path
        assert all((path.parent / address).exists() for address in early)
        opened += opens
    assert opened >= 4


def test_the_search_finds_prose_not_data(site):
    assert "bdata" not in (site / "searchindex.js").read_text()


def test_pages_are_light(site, pages):
    for path in pages:
        assert path.stat().st_size < 500_000, path
