"""The documentation is true where that can be checked: its links, its configuration, its commands."""

import os
import re
from pathlib import Path

import pytest
from forked import forker

from feedd.settings import load

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_page_is_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+)\)", (ROOT / "README.md").read_text()))
    assert linked == {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}


def test_the_readmes_first_feed_is_a_configuration(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    block = re.search(r"^    # feedd\.toml\n((?:(?:    .*)?\n)+)", text, re.MULTILINE)
    assert block is not None
    path = tmp_path / "feedd.toml"
    path.write_text(block[0].replace("\n    ", "\n").strip() + "\n")
    settings = load(path, environ={}, cwd=tmp_path)
    assert list(settings.feeds) == ["shop"]


def test_the_readme_has_one_line_for_each_of_its_two_jobs() -> None:
    lines = re.findall(
        r"^    (python3 -m venv .*)$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert len(lines) == 2
    assert lines[0].endswith("feedd demo")
    assert lines[1].endswith("pytest")


def test_every_command_that_is_written_exists() -> None:
    told = forker().run(["--help"], os.environ | {"NO_COLOR": "1"}).stdout
    commands = set(re.findall(r"^│ ([a-z-]+) ", told, re.MULTILINE))
    for page in PAGES:
        for command in re.findall(
            r"(?:^    |`|\$ )feedd ([a-z-]+)", page.read_text(), re.MULTILINE
        ):
            assert command in commands, f"{page.name} names feedd {command}"
