"""The gallery in a real browser: searched, unfolded, with hostile data, by keyboard, on a phone, without scripts."""

from __future__ import annotations

import pytest
from browser.chromium import PHONE_PX
from laid_reports import found, headline, lay, number, read, stop

from toolkit.archive import write_gallery
from toolkit.workspace import open_workspace

EVIL = "<img src=x onerror='document.title=1'><script>document.title = 'taken over'</script>\u2028&amp;"
SETTINGS = 'schema_version = 2\nname = "tiny"\n\n[tables]\n'
VERSIONS = 60
UNFOLD = "document.querySelectorAll('details').forEach(each => { each.open = true; })"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Two templates, a long history, a failure, a refusal, a damaged report, and data that would rather be a page."""
    root = tmp_path_factory.mktemp("gallery") / "tiny"
    root.mkdir()
    (root / "toolkit.toml").write_text(SETTINGS, encoding="utf-8")
    workspace = open_workspace(root)
    for version in range(1, VERSIONS + 1):
        said = f"round {version} of the engine"
        lay(workspace, "triage/eta", headline(said), number("brier", 0.1 + version / 1000, 0.1, 0.2), hours=version)
    for each in range(2):
        rows = (headline(EVIL), {**number(EVIL, each + 1.0), "unit": EVIL})
        lay(workspace, 'triage/"><img src=x>', *rows, title=EVIL, parameters={EVIL: EVIL}, hours=100 + each)
    lay(workspace, "readout/delay", headline("ship it"), title="Outcome", parameters={"city": "Oslo"}, hours=24 * 40)
    damaged = lay(workspace, "readout/broken", title="Outcome", hours=24 * 41)
    (workspace.reports / damaged.series / damaged.folder_name / "results.json").write_text("{", encoding="utf-8")
    stop(workspace, "refused", "readout/delay", type="NotReady", reason="ready on 2013-05-08", hours=24 * 42)
    stop(workspace, "failed", "triage/eta", reason=EVIL, hours=24 * 43)
    write_gallery(workspace)
    return workspace


@pytest.fixture(scope="module")
def page(workspace):
    return (workspace.reports / "index.html").as_uri()


@pytest.fixture
def opened(browser, page):
    """The page, freshly opened on a desk."""
    browser.open("about:blank", width=1280)
    browser.open(page, width=1280)
    return browser


def act(browser, statement):
    """Do something in the page, and wait until what it sets off is done."""
    done = f"new Promise((done) => {{ {statement}; requestAnimationFrame(() => setTimeout(done)); }})"
    browser.call("Runtime.evaluate", expression=done, awaitPromise=True)


def fill(browser, **fields):
    """Fill fields as a person would, and give what the page then says of it."""
    for field, value in fields.items():
        named = f"const field = document.getElementById({field!r}); field.value = {value!r}"
        act(browser, f"{named}; field.dispatchEvent(new Event('input')); field.dispatchEvent(new Event('change'))")
    return browser.ask("document.getElementById('count').textContent")


def hits(browser):
    """The names of what was found, and is shown."""
    return browser.ask("[...document.querySelectorAll('#hits li')].map(row => row.children[1].textContent)")


def press(browser, key, **more):
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key=key, **more)


def test_it_is_one_file_and_quiet(opened, page):
    assert {url for url in opened.requested() if not url.startswith("data:")} == {page}
    assert opened.noise() == []
    assert opened.ask("document.title") == "Reports of tiny"
    assert opened.ask("document.documentElement.classList.contains('scripts')")


def test_words_are_searched_in_everything_at_once(opened):
    assert fill(opened, query="eta ROUND 17") == "1 of 64 reports"
    assert hits(opened) == ["triage/eta@17"]
    assert opened.ask("document.getElementById('overview').hidden")
    assert fill(opened, query="oslo") == "1 of 64 reports"
    assert hits(opened) == ["readout/delay@1"]
    assert fill(opened, query="outcome 2013-05-08") == "0 of 64 reports, and 1 refused or failed"
    assert hits(opened) == ["readout/delay"]
    assert fill(opened, query="2026-02-10") == "1 of 64 reports"
    assert fill(opened, query="damaged") == "1 of 64 reports"
    assert fill(opened, query="nowhere to be found") == "0 of 64 reports"
    assert hits(opened) == []
    assert fill(opened, query=" ") == ""
    assert not opened.ask("document.getElementById('overview').hidden")


def test_filters_by_template_state_time_and_latest(opened):
    assert fill(opened, template="readout") == "2 of 64 reports, and 1 refused or failed"
    assert hits(opened) == ["readout/delay", "readout/broken@1", "readout/delay@1"]
    assert fill(opened, state="1") == "1 of 64 reports"
    assert hits(opened) == ["readout/broken@1"]
    assert fill(opened, state="2", template="") == "0 of 64 reports, and 1 refused or failed"
    assert fill(opened, state="3") == "0 of 64 reports, and 1 refused or failed"
    assert fill(opened, state="0", **{"from": "2026-02-01"}) == "1 of 64 reports"
    assert hits(opened) == ["readout/delay@1"]
    assert fill(opened, to="2026-02-01", **{"from": ""}) == "62 of 64 reports"
    act(opened, "document.getElementById('latest').click()")
    assert hits(opened) == ['triage/"><img src=x>@2', "triage/eta@60"]
    act(opened, "document.getElementById('clear').click()")
    fields = "[...document.querySelectorAll('.tools input, .tools select')]"
    assert opened.ask(f"{fields}.every(field => !field.checked && (field.value === '' || field.id === 'latest'))")
    assert not opened.ask("document.getElementById('overview').hidden")
    assert opened.ask("document.activeElement.id") == "query"


def test_found_reports_lead_to_their_pages(opened, workspace):
    fill(opened, query="img src")
    links = opened.ask("[...document.querySelectorAll('#hits a')].map(each => each.href)")
    assert links[0] == f"{workspace.reports.as_uri()}/triage/%22%3E%3Cimg%20src%3Dx%3E/v0002/report.html"


def test_many_hits_are_shown_a_step_at_a_time(opened):
    fill(opened, query="triage/eta@")
    assert len(hits(opened)) == 50
    act(opened, "document.querySelector('#hits button').click()")
    assert hits(opened) == [f"triage/eta@{version}" for version in range(VERSIONS, 0, -1)]
    assert opened.ask("document.querySelector('#hits button').hidden")
    assert opened.ask("document.activeElement.textContent") == "triage/eta@10"


def test_the_question_is_in_the_address_and_comes_back(opened, page):
    fill(opened, query="round 17", state="0")
    address = opened.ask("location.href")
    assert address == f"{page}#?q=round+17&s=0"
    opened.open("about:blank", width=1280)
    opened.open(address, width=1280)
    assert opened.ask("document.getElementById('query').value") == "round 17"
    assert hits(opened) == ["triage/eta@17"]
    act(opened, "document.getElementById('clear').click()")
    assert opened.ask("location.href") == page


def test_a_history_is_filled_when_it_is_unfolded(opened):
    history = "document.querySelector('details[data-series=\"triage/eta\"]')"
    assert opened.ask(f"{history}.querySelector('summary').textContent") == "59 earlier versions"
    assert opened.ask(f"{history}.querySelectorAll('a').length") == 0
    act(opened, f"{history}.open = true")
    names = opened.ask(f"[...{history}.querySelectorAll('li a')].map(each => each.textContent)")
    assert names == [f"triage/eta@{version}" for version in range(59, 9, -1)]
    act(opened, f"{history}.open = false")
    act(opened, f"{history}.open = true")
    assert opened.ask(f"{history}.querySelectorAll('ol').length") == 1
    assert opened.ask(f"{history}.querySelector('code').textContent") == (
        "toolkit reports compare triage/eta@1 triage/eta@60"
    )


def test_no_data_become_markup(opened, workspace):
    assert EVIL in {row[3] for row in found(read(workspace))}
    for query in ("img src", "onerror", "triage", ""):
        fill(opened, query=query)
    act(opened, UNFOLD)
    assert opened.ask("document.images.length") == 0
    assert opened.ask("document.scripts.length") == 2
    assert opened.ask("document.title") == "Reports of tiny"
    assert opened.noise() == []


def test_a_script_that_got_in_would_not_run(opened):
    evil = "Object.assign(document.createElement('script'), {text: 'document.title = 1'})"
    act(opened, f"document.body.append({evil})")
    assert opened.ask("document.title") == "Reports of tiny"
    assert opened.noise()  # the page's policy refused it


def test_it_can_be_used_from_the_keyboard(opened):
    press(opened, "Tab", code="Tab", windowsVirtualKeyCode=9)
    assert opened.ask("document.activeElement.textContent") == "Skip to the reports"
    press(opened, "/", text="/", windowsVirtualKeyCode=191)
    assert opened.ask("document.activeElement.id") == "query"
    for letter in "oslo":
        press(opened, letter, text=letter)
    assert hits(opened) == ["readout/delay@1"]
    assert opened.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_everything_has_its_name_and_place(opened):
    fields = "[...document.querySelectorAll('input, select')]"
    assert opened.ask(f"{fields}.every(field => field.labels[0].textContent.trim())")
    for place in ("header", "main", "nav", "[role=search]"):
        assert opened.ask(f"document.querySelectorAll('{place}').length") == 1, place
    assert opened.ask("document.getElementById('count').getAttribute('aria-live')") == "polite"
    assert opened.ask("document.querySelectorAll('h1').length") == 1
    drawings = opened.ask(
        "[...document.querySelectorAll('svg')].map(each => [each.getAttribute('role'), "
        "each.querySelector('title').textContent, each.querySelector('desc').textContent])"
    )
    assert ["img", "Brier, period", "0.101 → 0.16 over 60 versions"] in drawings
    ids = opened.ask("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(ids) == len(set(ids))


CONTRAST = r"""
(() => {
  const parse = (text) => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const part = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const paper = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3) return colour;
    }
  };
  const silent = "script, style, noscript, option, button:disabled, svg, svg *";
  let weakest = [99, ""];
  for (const node of document.querySelectorAll(`body *:not(${silent})`)) {
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(paper(node))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < weakest[0]) weakest = [contrast, `${node.className}: ${node.textContent.slice(0, 40)}`];
  }
  return weakest;
})()
"""
"""The weakest contrast of any text with the paper behind it, and which text that is."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_paper(opened, scheme):
    opened.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    try:
        ratio, text = opened.ask(CONTRAST)
    finally:
        opened.call("Emulation.setEmulatedMedia", features=[])
    assert 4.5 <= ratio < 99, text


@pytest.mark.parametrize("width", [PHONE_PX, 760, 1000])
@pytest.mark.parametrize("asked", ["", "triage", "broken"])
def test_no_width_needs_sideways_scrolling(browser, page, asked, width):
    browser.open("about:blank", width=width)
    browser.open(page, width=width)
    fill(browser, query=asked)
    act(browser, UNFOLD)
    assert browser.ask("document.documentElement.scrollWidth") <= width
    widest = "Math.max(...[...document.querySelectorAll('main *')].map(each => each.getBoundingClientRect().right))"
    assert browser.ask(widest) <= width


def test_without_scripts_the_latest_reports_are_there(browser, page):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page, width=1280)
        tree = browser.call("DOM.getDocument", depth=-1)["root"]["nodeId"]
        for name, count in {"article h3 a": 4, "noscript p": 1, "article svg": 2}.items():
            assert len(browser.call("DOM.querySelectorAll", nodeId=tree, selector=name)["nodeIds"]) == count, name
        for name in (".tools", "details.history", "#hits"):
            hidden = browser.call("DOM.querySelector", nodeId=tree, selector=name)["nodeId"]
            with pytest.raises(AssertionError, match="Could not compute box model"):  # it has no room on the page
                browser.call("DOM.getBoxModel", nodeId=hidden)
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
