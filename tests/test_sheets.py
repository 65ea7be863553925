"""The sheets of commands and records, in Chromium; they need no script."""

import pytest
from visits import launched, needs_browser

from posebook import ASSETS
from posekit.sources import sheet

pytestmark = needs_browser


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("sheets") / "page.html"
    two = sheet("first", "one", "<pre>a command</pre>") + " " + sheet("second", "two", "<pre>another</pre>")
    css = (ASSETS / "posebook.css").read_text()
    path.write_text(f'<!doctype html><style>{css}</style><p id="text">text</p><div class="pk-sources">{two}</div>')
    with launched() as browser:
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(f"file://{path}")
        yield page


@pytest.mark.parametrize("close", ["Escape", "outside", "button"])
def test_a_sheet_opens_by_keyboard_and_closes(page, close):
    opener, opened = page.get_by_role("button", name="first"), page.get_by_text("a command")
    opener.press("Enter")
    opened.wait_for(state="visible")
    if close == "Escape":
        page.keyboard.press("Escape")
    elif close == "outside":
        page.mouse.click(5, 5)
    else:
        page.get_by_role("button", name="close").click()
    opened.wait_for(state="hidden")
    if close != "outside":
        page.locator("button:focus", has_text="first").wait_for()  # the focus is where it was


def test_one_sheet_is_open_at_a_time(page):
    for link, there, not_there in (("first", "a command", "another"), ("second", "another", "a command")):
        page.get_by_role("button", name=link).press("Enter")
        page.get_by_text(there).wait_for(state="visible")
        page.get_by_text(not_there).wait_for(state="hidden")
