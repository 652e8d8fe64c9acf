"""The page in a real browser: it opens without a network, nothing of the data becomes markup, all can be reached."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from headrace.observers.lineage.graph import Graph, view
from headrace.observers.lineage.graph.html import as_html
from headrace.observers.lineage.graph.local import LocalGraph
from headrace.observers.lineage.graph.serving import LineageServer
from tests.lineage.graph import samples
from tests.lineage.graph.browser import CHROMIUM, MISSING, Browser, Page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
ORDERS = "d:postgres://dwh:5432|dwh.raw.orders"


def written(folder: Path, events: list[samples.Event], title: str = "Lineage") -> str:
    path = folder / "lineage.html"
    path.write_text(as_html(view(Graph().add_all(events)), title), encoding="utf-8")
    return path.as_uri()


def lit(page: Page) -> set[str]:
    return set(page.js("[...document.querySelectorAll('.node.lit')].map((g) => g.dataset.id)"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    opened = Browser()
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(browser, written(tmp_path_factory.mktemp("page"), samples.everything(), "Lineage of shop")) as opened:
        yield opened


def test_it_opens_without_a_network(page: Page) -> None:
    assert page.js("document.querySelectorAll('.node.dataset').length") == 6
    assert page.js("document.querySelectorAll('.node.job').length") == 5
    assert page.js("document.title") == "Lineage of shop"
    assert [url for url in page.requests if not url.startswith(("file:", "about:"))] == []
    assert page.errors == []


def test_a_click_shows_what_a_dataset_comes_from_and_goes_into(page: Page) -> None:
    page.click(".node.dataset", "raw.orders__lines")
    assert lit(page) == {"d:https://api.shop.example|/orders", "j:prod|shop.orders", f"{ORDERS}__lines"}
    assert "200 rows" in page.js("document.getElementById('panel').innerText")
    page.key("Escape")
    assert lit(page) == set() and page.js("document.getElementById('panel').hidden")


def test_columns_open_and_a_click_follows_one(page: Page) -> None:
    page.click(".node.dataset .more", "3")
    names = page.js("[...document.querySelectorAll('.col text:first-of-type')].map((t) => t.textContent)")
    assert {"id", "customer__email", "_dlt_id"} <= set(names)
    page.click(".col", "id")
    named = "(c) => c.closest('.node').dataset.id + '|' + c.dataset.column"
    shown = page.js(f"[...document.querySelectorAll('.col.lit')].map({named})")
    assert set(shown) == {
        "d:https://api.shop.example|/orders|id",
        f"{ORDERS}|id",
        "d:postgres://dwh:5432|dwh.marts.fct_orders|order_id",
        "d:s3://lake|warehouse/orders|order_id",
    }
    assert page.js("document.querySelectorAll('.colink.lit').length") == 3
    page.key("Escape")
    page.click(".node.dataset .more", "3")


def test_search_and_keys(page: Page) -> None:
    page.key("/")
    page.type("fct_orders em")
    assert page.js("document.querySelector('#results li').textContent") == "emaildwh.marts.fct_orders"
    page.key("Enter")
    assert page.js("document.querySelector('#panel h2').textContent") == "email"
    page.key("Escape")
    page.click(".node.dataset", "raw.orders__lines")
    page.key("ArrowLeft")
    page.key("Enter")
    assert page.js("document.querySelector('#panel h2').textContent") == "shop.orders"
    assert "done" in page.js("document.getElementById('panel').innerText")
    before = page.js("document.documentElement.dataset.theme")
    page.key("t")
    assert {before, page.js("document.documentElement.dataset.theme")} == {"light", "dark"}
    assert page.js("localStorage.getItem('headrace-lineage-theme')") in ("light", "dark")
    page.js("localStorage.clear()")
    page.key("Escape")
    assert page.errors == []


EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`&amp;${alert(3)}<!--"


def test_names_are_text_and_never_markup(browser: Browser, tmp_path: Path) -> None:
    about = {"documentation": {"description": EVIL}}
    one = samples.dataset(f"ns{EVIL}", f"table{EVIL}", {f"col{EVIL}": f"type{EVIL}"}, **about)
    other = samples.dataset("ns", "plain", {"id": "int"}, tags={"tags": [{"key": EVIL, "value": EVIL}]})
    other["facets"]["columnLineage"] = samples.columns(id=[(f"ns{EVIL}", f"table{EVIL}", f"col{EVIL}")])
    bad_code = {"sourceCodeLocation": {"url": "javascript:alert(4)"}, "sql": {"query": EVIL}}
    failure = {"errorMessage": {"message": EVIL, "programmingLanguage": EVIL}}
    told = samples.event("FAIL", f"job{EVIL}", 1, 0, [one], [other], job_facets=bad_code, run_facets=failure)
    with Page(browser, written(tmp_path, [told], f"title{EVIL}")) as page:
        for chosen in (f"d:ns{EVIL}|table{EVIL}", "d:ns|plain", f"j:prod|job{EVIL}"):
            page.js(f"location.hash = {json.dumps('select=' + quote(chosen, safe=''))}; location.reload()")
            page.until("document.documentElement.dataset.ready === 'yes' && document.querySelector('#panel h2')")
        page.click("#columns")
        page.click(".col", "col")
        assert page.js("document.querySelector('#panel h2').textContent") == f"col{EVIL}"
        assert page.js("document.querySelectorAll('img, body script:not([type])').length") == 1  # our own script
        assert page.js("document.querySelectorAll('a[href^=javascript]').length") == 0
        assert page.dialogs == [] and page.js("document.title") == f"title{EVIL}"


def timed(act: str) -> str:
    return f"(() => {{ const begun = performance.now(); {act}; return performance.now() - begun; }})()"


def test_500_datasets_with_5000_columns(browser: Browser, tmp_path: Path) -> None:
    with Page(browser, written(tmp_path, samples.large(500, 10)), dark=True) as page:
        assert page.js("document.documentElement.dataset.theme") == "dark"
        assert page.js("document.querySelectorAll('.node.dataset').length") == 500
        # milliseconds of a whole redraw with a column followed up and down, and of one with all columns open
        click = "dispatchEvent(new MouseEvent('click', {bubbles: true}))"
        picked = page.js(timed(f"document.querySelector('.node.dataset').{click}"))
        opened = page.js(timed(f"document.getElementById('columns').{click}"))
        assert page.js("document.querySelectorAll('.col').length") == 5000
        assert picked < 3000 and opened < 9000, (picked, opened)
        assert page.errors == []


@pytest.mark.parametrize("size", [(1400, 800), (420, 760)])
def test_cards_do_not_overlap_and_the_window_is_not_left(
    browser: Browser, tmp_path: Path, size: tuple[int, int]
) -> None:
    url = written(tmp_path, samples.everything())
    with Page(browser, f"{url}#select={quote(ORDERS, safe='')}&expand=all", size) as page:
        sides = "(r) => [r.left, r.top, r.right, r.bottom]"
        rects = "[...document.querySelectorAll('.node > .box')].map((b) => b.getBoundingClientRect())"
        boxes = page.js(f"{rects}.map({sides})")
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                assert a[2] <= b[0] + 1 or b[2] <= a[0] + 1 or a[3] <= b[1] + 1 or b[3] <= a[1] + 1, (a, b)
        root = "document.documentElement"
        assert page.js(f"{root}.scrollWidth <= innerWidth && {root}.scrollHeight <= innerHeight")
        chosen = page.js(f"({sides})(document.querySelector('.node.own').getBoundingClientRect())")
        assert 0 <= chosen[0] < size[0] and 0 <= chosen[1] < size[1]


def test_a_served_page_takes_what_is_new(browser: Browser, tmp_path: Path) -> None:
    graph = LocalGraph(None, tmp_path / "graph")
    server = LineageServer(graph, "127.0.0.1", 0)
    server.look_again = 0.2
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        with Page(browser, server.url) as page:
            assert page.js("document.querySelectorAll('.node').length") == 0
            assert not page.js("document.getElementById('empty').hidden")
            server.keep(samples.everything())
            page.until("document.querySelectorAll('.node.dataset').length === 6", 400)
            assert all(url.startswith((server.url, "about:")) for url in page.requests)
            assert page.errors == []
    finally:
        server.shutdown()
        server.server_close()
        graph.close()


def test_a_job_that_failed_before_it_wrote_is_there(browser: Browser, tmp_path: Path) -> None:
    parent = {"parent": {"run": {"runId": samples.run_id(1)}, "job": {"namespace": "prod", "name": "night"}}}
    error = {"errorMessage": {"message": "no such host", "programmingLanguage": "python"}}
    failed = samples.event("FAIL", "night.new_york.airports", 2, 0, run_facets={**parent, **error})
    with Page(browser, written(tmp_path, [samples.event("START", "night", 1, 0), failed])) as page:
        drawn = page.js("[...document.querySelectorAll('.node')].map((g) => g.dataset.id)")
        assert drawn == ["j:prod|night.new_york.airports"], "the one that only holds it is not drawn"
        assert page.js("document.getElementById('empty').hidden")
        page.click(".node.job", "airports")
        assert "no such host" in page.js("document.getElementById('panel').innerText")
