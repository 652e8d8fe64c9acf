"""What the pages say is true: their Python runs, their settings parse, their commands and links exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.crash import forks
from tests.docs.pages import ROOT, Block, blocks, pages

PAGES = {str(page.relative_to(ROOT)): page for page in pages()}
RUN = ("python", "console")
LANGUAGES = {*RUN, "bash", "toml", "text", ""}


def all_blocks(*languages: str) -> list[object]:
    return [
        pytest.param(block, id=f"{name}:{block.line}")
        for name, page in PAGES.items()
        for block in blocks(page)
        if block.language in languages
    ]


def environment(folder: Path) -> dict[str, str]:
    """That of a reader who has set nothing: own home, no settings of this project or of dlt."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DLT_", "HEADRACE_")) and "__" not in k}
    return {**kept, "HOME": str(folder), "HEADRACE_DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("name", [n for n, p in PAGES.items() if any(b.language in RUN for b in blocks(p))])
def test_blocks_run(name: str, tmp_path: Path) -> None:
    """The blocks of a page run one after the other as one script, without network, and print what the page shows."""
    code = "import sys; from tests.docs.run_page import main; main(sys.argv[1])"
    done = forks.python(code, PAGES[name], cwd=tmp_path, env=environment(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", all_blocks("toml"))
def test_toml_parses(block: Block) -> None:
    import tomlkit

    assert tomlkit.parse(block.text)


@pytest.mark.parametrize("block", all_blocks("bash"))
def test_shell_is_valid_and_its_make_targets_exist(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
    known = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    lines = [shlex.split(line, comments=True) for line in block.text.splitlines()]
    used = [word for words in lines if words[:1] == ["make"] for word in words[1:] if "=" not in word]
    assert set(used) <= set(known)


@pytest.mark.parametrize("name", PAGES)
def test_blocks_say_their_language_and_why_they_are_not_run(name: str) -> None:
    for block in blocks(PAGES[name]):
        assert block.language in LANGUAGES, f"{name}:{block.line}"
        if block.word in ("not run", "file"):
            assert block.argument, f"{name}:{block.line} gives no reason"
    text = PAGES[name].read_text()
    assert len(re.findall(r"<!-- (?:not run|file|output)", text)) == sum(bool(b.word) for b in blocks(PAGES[name]))


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files(name: str) -> None:
    text = re.sub(r"```.*?```", "", PAGES[name].read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://", "#")):
            assert (PAGES[name].parent / target.partition("#")[0]).exists(), f"{name} links to {target}"


@pytest.mark.parametrize("name", PAGES)
def test_paths_named_in_code_exist(name: str) -> None:
    """Files of the repository that a page names in backticks are there."""
    places = [ROOT, ROOT / "src" / "headrace"]
    roots = {p.name for place in places for p in place.iterdir() if p.is_dir()}
    for named in re.findall(r"`([a-z_]+(?:/[a-z_]+)*/(?:[a-z_]+\.py)?)`", PAGES[name].read_text()):
        if named.split("/")[0] in roots:
            assert any((place / named).exists() for place in places), f"{name} names {named}"


def test_the_navigation_has_every_page() -> None:
    told = re.findall(r"^ +- .*: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(told) == sorted(n.removeprefix("docs/") for n in PAGES if n.startswith("docs/"))
