"""[templates] becomes settings, or every problem with its place and what to write instead."""

import os
from pathlib import Path
from typing import Any

import pytest

from feedd.errors import ConfigError
from feedd.settings import TemplateSettings, load
from feedd.settings.template_keys import TEMPLATE_KEYS


def settings_of(folder: Path, text: str) -> TemplateSettings:
    path = folder / "feedd.toml"
    path.write_text(text)
    return load(path, environ={}, cwd=folder.parent).templates


def test_everything_can_be_said(tmp_path: Path) -> None:
    text = '[templates]\ndirectory = "mails"\ninline_css = false\nprocesses = 3'
    assert settings_of(tmp_path, text) == TemplateSettings(
        directory=tmp_path / "mails", inline_css=False, processes=3
    )


@pytest.mark.parametrize("text", ["", "[templates]"])
def test_nothing_need_be_said(tmp_path: Path, text: str) -> None:
    found = settings_of(tmp_path, text)
    assert (found.directory, found.inline_css) == (None, True)
    assert found.processes == min(os.cpu_count() or 1, 8)


@pytest.mark.parametrize("key", TEMPLATE_KEYS, ids=lambda key: key.name)
def test_a_documented_default_is_the_default(tmp_path: Path, key: Any) -> None:
    if not key.default.startswith("("):
        found = settings_of(tmp_path, f"[templates]\n{key.name} = {key.default}")
        assert found == TemplateSettings()


@pytest.mark.parametrize(
    ("text", "key", "message", "hint"),
    [
        ('templates = "mails"', "templates", "not a table", "[templates]"),
        ("[templates]\ndirectory = 1", "templates.directory", "a number", "directory ="),
        ("[templates]\ninline_css = 1", "templates.inline_css", "a number", "true"),
        ("[templates]\nprocesses = 0", "templates.processes", "from 1 to 16", "processes ="),
        ('[templates]\nprocesses = "2"', "templates.processes", "text", "processes ="),
        ('[templates]\nfolder = "x"', "templates.folder", "no such key", "directory"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, text: str, key: str, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of(tmp_path, text)
    (problem,) = caught.value.problems
    assert (problem.key, bool(problem.line)) == (key, True)
    assert message in problem.message
    assert hint in problem.hint


def test_every_field_has_a_key() -> None:
    assert {key.field for key in TEMPLATE_KEYS} == set(TemplateSettings.__struct_fields__)
