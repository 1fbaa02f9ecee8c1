"""Completion in a real shell, and the man page."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from daemons import write_config

from feedd.cli.commands import COMMANDS
from feedd.cli.completing import scripts
from feedd.cli.exits import EXIT_CODES
from feedd.cli.manual import manual

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "man" / "feedd.1"

# what readline does at a Tab
BASH = """
source "$1"
COMP_WORDS=("${@:2}")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_feedd_completion feedd
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment whose `feedd` is this one, on a configuration with three feeds."""
    write_config(
        tmp_path, {name: {"url": "https://x.example/f"} for name in ("shop", "shoes", "b")}
    )
    program = tmp_path / "bin" / "feedd"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m feedd "$@"\n')
    program.chmod(0o755)
    return os.environ | {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "FEEDD_CONFIG": str(tmp_path / "feedd.toml"),
    }


def completed(words: list[str], shell: dict[str, str], tmp_path: Path) -> set[str]:
    script = tmp_path / "feedd.bash"
    script.write_text(scripts()["bash"])
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", script, "feedd", *words],
        env=shell,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["resy"], {"resync"}),
        (["key", ""], {"create", "list", "revoke", "rotate"}),
        (["metrics", ""], {"chart", "list", "timeline"}),
        (["resync", "sho"], {"shop", "shoes"}),
        (["resync", "shop", "b"], {"b"}),
        (["resync", "--acc"], {"--accept-removals"}),
        (["changes", ""], {"shop", "shoes", "b"}),
        (["rejects", "shoe"], {"shoes"}),
        (["cancel", "b"], {"b"}),
        (["item", "4711", "--feed", "s"], {"shop", "shoes"}),
        (["resync", "nothing"], set()),
    ],
)
def test_bash_completes(
    words: list[str], offered: set[str], shell: dict[str, str], tmp_path: Path
) -> None:
    assert completed(words, shell, tmp_path) == offered


def test_the_configuration_that_is_typed_is_asked(shell: dict[str, str], tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    config = write_config(other, {"elsewhere": {"url": "https://x.example/f"}})
    assert completed(["--config", str(config), "resync", ""], shell, tmp_path) == {"elsewhere"}


def test_a_broken_configuration_completes_nothing_and_says_nothing(
    shell: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "feedd.toml").write_text("nonsense = 1\n")
    assert completed(["resync", ""], shell, tmp_path) == set()


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_every_shells_script_has_feedd_asked(name: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(scripts()[name])
    assert "_FEEDD_COMPLETE=complete_" in scripts()[name]
    if shutil.which(name):
        subprocess.run([name, "-n", script], check=True)


def test_completing_a_feed_opens_no_database(shell: dict[str, str]) -> None:
    code = """
import json, sys
from feedd.cli import main
sys.argv = ["feedd"]
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
    asked = {"_FEEDD_COMPLETE": "complete_bash", "COMP_WORDS": "feedd resync s", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=shell | asked, capture_output=True, text=True
    )
    assert done.stdout.split() == ["shop", "shoes"]
    modules = set(json.loads(done.stderr))
    assert not modules & {"sqlalchemy", "feedd.app", "httpx", "structlog", "numpy", "lxml"}


def test_the_man_page_is_that_of_these_commands() -> None:
    assert PAGE.read_text() == manual(), "run: python -m feedd.cli.manual > man/feedd.1"


def test_the_man_page_names_every_command_and_exit_code() -> None:
    text = manual()
    for command in COMMANDS:
        assert f".SS \\fBfeedd {command.name.replace('-', chr(92) + '-')}\\fR" in text
    told = text.partition(".SH EXIT STATUS")[2].partition(".SH ")[0]
    assert set(map(int, re.findall(r"^\.B (\d+)$", told, re.MULTILINE))) == {
        0,
        *EXIT_CODES.values(),
    }


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
def test_the_man_page_renders_without_a_warning() -> None:
    done = subprocess.run(
        ["man", "--warnings", "-l", PAGE],
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "100"},
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert "feedd resync" in done.stdout
