"""The built site in headless Chromium with software WebGL: every page, both themes, two widths, mouse, keys and touch.

With PICTURES=1 in the environment screenshots of all pages are kept, at the price of a third of the time.
"""

import gzip
import os
from urllib.parse import urlsplit

import pytest
from visits import PAGES, Visit, needs_browser

pytestmark = needs_browser

WIDE, NARROW = 1280, 360
PICTURES = "PICTURES" in os.environ
WCAG = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
    "rules": {"label-content-name-mismatch": {"enabled": True}, "region": {"enabled": True}},
    "resultTypes": ["violations"],
}
RESULTS = "notebooks/07_results"
FIRST_CHAPTER = "notebooks/01_one_pose_many_views"


@pytest.fixture(scope="module")
def opened(request, browser, address):
    """A page with everything drawn, opened in the light theme at a desktop's width or in the dark theme at a phone's."""
    name, width = request.param
    theme = {WIDE: "light", NARROW: "dark"}[width]
    with Visit(browser, address, name, theme, width, reduced_motion="reduce") as visit:
        visit.figures = visit.draw_all()
        yield visit


on_a_desktop = pytest.mark.parametrize("opened", [(name, WIDE) for name in PAGES], indirect=True)
at_both_widths = pytest.mark.parametrize("opened", [(name, width) for width in (WIDE, NARROW) for name in PAGES], indirect=True)


@at_both_widths
def test_the_page_shows_everything_without_complaint(opened):
    page, width = opened.page, opened.width
    first = opened.theme()
    for figure in opened.figures:
        assert figure.query_selector(".gl-container canvas, .main-svg .scatterlayer .trace, .main-svg .barlayer .trace"), (
            "nothing drawn"
        )
    for theme in (first, {"light": "dark", "dark": "light"}[first]):
        opened.turn(theme)
        assert opened.theme() == theme
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
        if PICTURES:
            opened.picture()
    assert opened.complaints == []


@at_both_widths
def test_no_word_of_a_chart_is_cut_off(opened):
    """Titles of axes and values beside bars lie within their figure."""
    cut = """() => [...document.querySelectorAll(".pk-canvas")].filter((one) => one.checkVisibility()).flatMap((canvas) => {
        const { left, right, top, bottom } = canvas.getBoundingClientRect();
        return [...canvas.querySelectorAll(".xtitle, .ytitle, .textpoint text, .legendtext")].filter((text) => {
            const box = text.getBoundingClientRect();
            return box.left < left - 1 || box.right > right + 1 || box.top < top - 1 || box.bottom > bottom + 1;
        }).map((text) => text.textContent);
    })"""
    assert opened.page.evaluate(cut) == []


@at_both_widths
def test_titles_of_panels_keep_off_each_other(opened):
    overlaps = """() => [...document.querySelectorAll(".pk-canvas")].filter(one => one.checkVisibility()).flatMap((canvas) => {
        const words = [...canvas.querySelectorAll(".annotation-text")];
        const titles = words.map((one) => [one.textContent, one.getBoundingClientRect()]);
        const over = (a, b) => Math.min(a.right, b.right) > Math.max(a.left, b.left) + 1
            && Math.min(a.bottom, b.bottom) > Math.max(a.top, b.top) + 1;
        const under = ([, a], k) => titles.slice(k + 1).filter(([, b]) => over(a, b)).map(([words]) => words);
        return titles.flatMap(under);
    })"""
    assert opened.page.evaluate(overlaps) == []


@at_both_widths
def test_what_a_cell_shows_lies_on_the_page_itself(opened):
    """On a dark page the theme lays a light ground under it, on which colours for the dark are not seen."""
    opened.turn("dark")
    grounds = opened.page.locator(".cell_output .text_html").evaluate_all(
        "all => all.map((one) => getComputedStyle(one).backgroundColor)"
    )
    assert set(grounds) <= {"rgba(0, 0, 0, 0)"}


@at_both_widths
def test_the_words_of_drawings_are_large_enough_to_read(opened):
    words = """async () => {
        const found = [];
        for (const shown of document.querySelectorAll(".bd-article :is(svg.pk-drawing, img[src$='.svg'])")) {
            const text = shown.src ? await (await fetch(shown.src)).text() : shown.outerHTML;
            const drawing = new DOMParser().parseFromString(text, "image/svg+xml");
            const scale = shown.getBoundingClientRect().width / drawing.documentElement.getAttribute("viewBox").split(" ")[2];
            const sizes = [...drawing.querySelectorAll("[font-size]")].map((word) => word.getAttribute("font-size"));
            found.push(scale * Math.min(...sizes));
        }
        return found;
    }"""
    found = opened.page.evaluate(words)
    assert all(pixels >= 11 for pixels in found), found


@on_a_desktop
def test_everyone_can_use_the_page(opened):
    from axe_playwright_python.sync_playwright import Axe  # here: the tests without a browser need no browser library

    for theme in ("light", "dark"):
        opened.turn(theme)
        found = Axe().run(opened.page, options=WCAG)
        assert found.violations_count == 0, f"{theme}: {found.generate_report()}"


@on_a_desktop
def test_every_icon_is_drawn(opened):
    icons = "[...document.querySelectorAll('.svg-inline--fa, i[class*=fa-]')]"
    assert opened.page.evaluate(f"{icons}.length") > 10
    assert opened.page.evaluate(f"{icons}.filter(i => !i.querySelector(':scope > path')).map(i => i.outerHTML)") == []


@on_a_desktop
def test_scripts_are_light_and_plotly_comes_with_figures_only(opened, site):
    files = {site / urlsplit(url).path.lstrip("/") for url in opened.scripts}
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < 2_000_000
    assert any("plotly" in file.name for file in files) == bool(opened.figures)


@pytest.fixture
def moving(browser, address):
    with Visit(browser, address, FIRST_CHAPTER, reduced_motion="reduce") as visit:
        figure, *_ = [figure for figure in visit.draw_all() if figure.query_selector(".pk-controls")]
        yield visit, figure


POINTS = "f => Array.from(f.querySelector('.pk-canvas')._fullData.find(t => t.type === 'scatter3d' && t.name === 'left').x)"
EYES = """f => {
    const layout = f.querySelector('.pk-canvas')._fullLayout;
    return Object.keys(layout).filter(key => /^scene\\d*$/.test(key)).map(key => layout[key].camera.eye);
}"""
EYE = "f => f.querySelector('.pk-canvas')._fullLayout.scene.camera.eye"


def test_the_slider_moves_the_skeleton(moving):
    visit, figure = moving
    before = visit.page.evaluate(POINTS, figure)
    slider = figure.query_selector("input[type=range]")
    slider.focus()
    for _ in range(5):
        visit.page.keyboard.press("ArrowRight")
    visit.page.wait_for_timeout(500)
    assert slider.input_value() == "5"
    after = visit.page.evaluate(POINTS, figure)
    assert max(abs(a - b) for a, b in zip(before, after) if a is not None and b is not None) > 0.05


def test_play_plays_and_pauses_and_keeps_the_readers_view(moving):
    visit, figure = moving
    figure.query_selector(".pk-canvas").focus()
    visit.page.keyboard.press("ArrowLeft")
    visit.page.wait_for_timeout(300)
    turned = visit.page.evaluate(EYE, figure)
    button, slider = figure.query_selector("button.pk-play"), figure.query_selector("input[type=range]")
    button.click()
    visit.page.wait_for_function("s => Number(s.value) >= 3", arg=slider)
    button.click()
    stopped = slider.input_value()
    visit.page.wait_for_timeout(400)
    assert slider.input_value() == stopped
    assert visit.page.evaluate(EYE, figure) == pytest.approx(turned)


def test_the_keyboard_turns_zooms_and_resets(moving):
    visit, figure = moving
    first = visit.page.evaluate(EYE, figure)
    figure.query_selector(".pk-canvas").focus()
    for key in ("ArrowRight", "ArrowUp", "+"):
        visit.page.keyboard.press(key)
        visit.page.wait_for_timeout(200)
    turned = visit.page.evaluate(EYE, figure)
    assert turned != pytest.approx(first)
    assert sum(v**2 for v in turned.values()) < sum(v**2 for v in first.values())
    visit.page.keyboard.press("Home")
    visit.page.wait_for_timeout(200)
    assert visit.page.evaluate(EYE, figure) == pytest.approx(first)


def test_side_by_side_figures_turn_together(browser, address):
    with Visit(browser, address, "notebooks/02_lift_with_labels") as visit:
        (figure,) = [f for f in visit.draw_all() if len(visit.page.evaluate(EYES, f)) > 1]
        figure.scroll_into_view_if_needed()
        box = figure.query_selector(".pk-canvas").bounding_box()
        x, y = box["x"] + box["width"] / 6, box["y"] + box["height"] / 2
        before = visit.page.evaluate(EYES, figure)
        visit.page.mouse.move(x, y)
        visit.page.mouse.down()
        visit.page.mouse.move(x + 60, y + 10, steps=5)
        visit.page.mouse.up()
        visit.page.wait_for_timeout(600)
        eyes = visit.page.evaluate(EYES, figure)
        assert len(eyes) == 3
        assert eyes[0] != pytest.approx(before[0], abs=0.05)
        assert eyes[1:] == [pytest.approx(eyes[0])] * 2


def test_every_mark_of_the_results_leads_to_a_record_of_the_site(browser, address):
    with Visit(browser, address, RESULTS) as visit:
        links = visit.page.eval_on_selector_all(".pk-overview a", "links => links.map(link => link.href)")
        assert len(links) > 60
        for link in links[::10]:
            record = visit.page.request.get(link).json()
            assert record["metrics_mm"]["report_mpjpe"] >= 0
        chart = visit.page.locator(".pk-overview")
        assert chart.bounding_box()["y"] < 900
        assert chart.bounding_box()["height"] < 1700
        visit.page.locator(".pk-strip").nth(30).scroll_into_view_if_needed()
        scale = "() => document.querySelector('.pk-axis').getBoundingClientRect().top >= 0"
        visit.page.wait_for_function(scale)  # it stays in sight
        assert visit.page.get_by_text("Show code").count() == 0


def test_a_row_of_a_table_shows_its_command_when_asked(browser, address):
    with Visit(browser, address, RESULTS, width=NARROW) as visit:
        visit.page.locator(".pk-fold > summary").first.click()
        source = visit.page.locator(".pk-fold .pk-source").first
        assert not source.locator("pre").is_visible()
        source.get_by_role("button", name="run").click()
        assert "papermill" in source.locator("pre").inner_text()
        box = source.locator("pre").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= NARROW


@on_a_desktop
def test_a_page_says_what_it_is_to_those_who_pass_it_on(opened, site):
    def said(name):
        return opened.page.get_attribute(f'meta[property="{name}"]', "content")

    title = opened.page.title()
    assert title.count("Lifting poses without labels") == 1
    assert said("og:title") in title
    assert len(said("og:description")) > 30
    assert said("og:image").startswith("https://")
    assert (site / urlsplit(said("og:image")).path.removeprefix("/posekit/")).stat().st_size < 300_000


@on_a_desktop
def test_mathjax_comes_with_formulas_only_and_nothing_names_another_host(opened):
    formulas = opened.page.locator(".math").count()
    assert any("mathjax" in url for url in opened.scripts) == bool(formulas)
    inline = opened.page.eval_on_selector_all("script:not([src])", "all => all.map(script => script.textContent).join()")
    assert "unpkg" not in inline


def test_on_paper_there_are_no_bars(browser, address):
    with Visit(browser, address, RESULTS) as visit:
        visit.page.emulate_media(media="print")
        for bar in (".bd-header-article", ".bd-sidebar-primary", ".bd-sidebar-secondary", ".prev-next-footer", ".pk-source"):
            assert not any(part.is_visible() for part in visit.page.locator(bar).all()), bar
        assert visit.page.locator(".pk-overview").is_visible()


def test_on_paper_a_title_has_its_number_and_fits(browser, address):
    with Visit(browser, address, RESULTS, width=794) as visit:  # A4
        visit.page.emulate_media(media="print")
        (title,) = [title for title in visit.page.locator("h1").all() if title.is_visible()]
        assert title.inner_text().split(".")[0].isdigit()
        box = title.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 794
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 794


def test_on_a_phone_the_index_does_not_scroll_sideways(browser, address):
    with Visit(browser, address, "genindex", width=NARROW, has_touch=True, is_mobile=True) as visit:
        assert visit.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]") == [NARROW, NARROW]


def test_references_have_the_keys_of_the_text(browser, address):
    with Visit(browser, address, "book/references") as visit:
        labels = visit.page.locator(".citation .label").all_inner_texts()
        assert "[Jain et al., 2022]" in labels
        assert len(labels) == len(set(labels))


def test_the_search_finds_prose(browser, address):
    with Visit(browser, address, "search") as visit:
        words = visit.page.locator("main input[type=search]")
        words.fill("yardstick")
        words.press("Enter")
        visit.page.wait_for_selector("#search-results .context")
        assert "yardstick" in visit.page.locator("#search-results li a").first.inner_text()
        for context in visit.page.locator("#search-results .context").all_inner_texts():
            assert not set('{}"') & set(context), "data, not prose"
            assert not [word for word in ("Contents", "Download", "Toggle", "Binder") if word in context], "menus, not prose"
        assert visit.complaints == []


def test_without_scripts_a_still_picture_stands_there(browser, address):
    with Visit(browser, address, FIRST_CHAPTER, java_script_enabled=False) as visit:
        still = visit.page.query_selector("figure.pk-figure .pk-still svg")
        assert still.bounding_box()["height"] > 200
        assert len(still.query_selector_all("polyline")) > 20


def test_on_paper_the_still_picture_stands_there(moving):
    visit, figure = moving
    visit.page.emulate_media(media="print")
    assert figure.query_selector(".pk-still svg").is_visible()
    assert not figure.query_selector(".pk-canvas").is_visible()
    assert not figure.query_selector(".pk-controls").is_visible()


def test_the_keyboard_alone_works_the_first_chapters_figure(browser, address):
    with Visit(browser, address, FIRST_CHAPTER) as visit:
        figure, *_ = [figure for figure in visit.draw_all() if figure.query_selector(".pk-controls")]
        keyboard = visit.page.keyboard
        visit.page.evaluate("window.scrollTo(0, 0)")
        for _ in range(300):
            keyboard.press("Tab")
            if figure.evaluate("f => document.activeElement === f.querySelector('.pk-canvas')"):
                break
        first = visit.page.evaluate(EYE, figure)
        keyboard.press("ArrowLeft")
        visit.page.wait_for_timeout(300)
        assert visit.page.evaluate(EYE, figure) != pytest.approx(first)

        slider = figure.query_selector("input[type=range]")
        keyboard.press("Tab")
        keyboard.press("Space")
        visit.page.wait_for_function("s => Number(s.value) >= 2", arg=slider)
        keyboard.press("Space")
        keyboard.press("Tab")
        keyboard.press("Home")  # wherever it was paused
        keyboard.press("ArrowRight")
        assert slider.input_value() == "1"


def test_a_phone_gets_through_the_first_chapter(browser, address):
    with Visit(browser, address, FIRST_CHAPTER, width=NARROW, has_touch=True, is_mobile=True, device_scale_factor=2) as visit:
        page = visit.page
        moving, *_ = [figure for figure in visit.draw_all() if figure.query_selector(".pk-controls")]
        moving.query_selector("button.pk-play").tap()
        page.wait_for_function("s => Number(s.value) >= 2", arg=moving.query_selector("input[type=range]"))
        moving.query_selector("button.pk-play").tap()
        solution = page.locator("details.hide, .toggle-details, details").last
        solution.locator("summary").tap()
        assert solution.evaluate("d => d.open")
        assert page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]") == [NARROW, NARROW]
        assert visit.complaints == []
