"""The keys of the table `[retention]`: for how long what is over is kept.

To add a key: one row in `RETENTION_KEYS`, its field in `model.Retention`, its row in `docs/configuration.md`, its
sweep in `store.retention`, and its cases in `tests/test_settings.py`.
"""

from feedd.model import Retention
from feedd.settings.file import Node
from feedd.settings.values import Key, Reader, WrongValueError, duration, read_keys

FOREVER = "forever"
_CENTURY_S = 100 * 365 * 86_400.0


def age(example: str) -> Reader:
    """A length of time in seconds; None for `"forever"`."""
    read_duration = duration(1, _CENTURY_S, f'{example}, or "{FOREVER}"')

    def read(node: Node) -> float | None:
        if type(node.value) is str and node.value.strip().lower() == FOREVER:
            return None
        seconds: float = read_duration(node)
        return seconds

    return read


def read_retention(node: Node) -> Retention:
    """The table as a whole."""
    if type(node.value) is not dict:
        raise WrongValueError("is not a table", 'Write [retention], and changes = "90d" below it.')
    return Retention(**read_keys(node, RETENTION_KEYS))


RETENTION_KEYS = (
    Key("changes", "changes_s", age('changes = "90d"'), "duration", '"90d"',
        "changes of items; item history reaches back as far"),
    Key("syncs", "syncs_s", age('syncs = "90d"'), "duration", '"90d"',
        "syncs whose changes are gone; the last of each outcome of a feed stays"),
    Key("rejects", "rejects_s", age('rejects = "30d"'), "duration", '"30d"',
        "closed rejects; open ones stay"),
    Key("removed_items", "removed_items_s", age('removed_items = "365d"'), "duration", '"forever"',
        "items that were removed and whose changes are gone"),
)  # fmt: skip
