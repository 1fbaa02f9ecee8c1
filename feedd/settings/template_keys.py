"""The keys of the table `[templates]`: where templates of messages come from, and how they are rendered.

To add a key: one row in `TEMPLATE_KEYS`, its field in `TemplateSettings`, its row in `docs/configuration.md`, and its cases in
`tests/test_template_settings.py`.
"""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from feedd.settings.file import Node
from feedd.settings.values import Key, WrongValueError, directory, expect, flag, read_keys

MOST_PROCESSES = 16  # each holds a connection to the database while it renders, and there are few


def _processors() -> int:
    return min(os.cpu_count() or 1, 8)


class TemplateSettings(Struct, frozen=True, kw_only=True):
    """How templates are kept and rendered; what each value means is in `TEMPLATE_KEYS`."""

    directory: Path | None = None
    inline_css: bool = True
    processes: int = msgspec.field(default_factory=_processors)


def read_templates(node: Node) -> TemplateSettings:
    """The table as a whole."""
    if type(node.value) is not dict:
        raise WrongValueError(
            "is not a table", 'Write [templates], and directory = "templates" below it.'
        )
    return TemplateSettings(**read_keys(node, TEMPLATE_KEYS))


def _processes(node: Node) -> int:
    example = "processes = 2"
    expect(node.value, int, example)
    if not 1 <= node.value <= MOST_PROCESSES:
        raise WrongValueError(f"is not from 1 to {MOST_PROCESSES}", f"Write it so: {example}")
    return int(node.value)


TEMPLATE_KEYS = (
    Key("directory", "directory", directory('directory = "templates"'), "path", "(none)",
        "where templates lie as files, which are read again when they change"),
    Key("inline_css", "inline_css", flag, "true or false", "true",
        "whether the styles of `<style>` become attributes of elements, as mail readers want them"),
    Key("processes", "processes", _processes, "number", "(processors)",
        "how many messages are rendered at once, each in a process of its own"),
)  # fmt: skip
