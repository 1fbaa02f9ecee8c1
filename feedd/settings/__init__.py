"""The settings of feedd: TOML files in, frozen values out, and every problem of them at once.

To add a key: a row in `feed_keys.FEED_KEYS` or `main_keys.MAIN_KEYS`, its field in `loader`, its row in
`docs/configuration.md`, and its cases in `tests/test_settings.py`.
"""

from feedd.settings.file import find_config
from feedd.settings.loader import (
    Basic,
    Bearer,
    FeedSettings,
    Settings,
    changed_feeds,
    find_socket,
    load,
    only_reading_changed,
    restart_needed,
    secret_values,
)
from feedd.settings.secret import Secret

__all__ = [
    "Basic",
    "Bearer",
    "FeedSettings",
    "Secret",
    "Settings",
    "changed_feeds",
    "find_config",
    "find_socket",
    "load",
    "only_reading_changed",
    "restart_needed",
    "secret_values",
]
