"""The settings of feedd: TOML files in, frozen values out, and every problem of them at once.

To add a key: a row in `feed_keys.FEED_KEYS`, `main_keys.MAIN_KEYS`, `account_keys`, `template_keys`, `hook_keys` or `rule_keys`, its field in the settings, its row in
`docs/configuration.md`, and its cases in `tests/test_settings.py`.
"""

from feedd.settings.account_keys import AccountSettings
from feedd.settings.file import find_config
from feedd.settings.hook_keys import AlertSettings, WebhookSettings
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
from feedd.settings.rule_keys import RuleSettings
from feedd.settings.secret import Secret
from feedd.settings.template_keys import TemplateSettings

__all__ = [
    "AccountSettings",
    "AlertSettings",
    "Basic",
    "Bearer",
    "FeedSettings",
    "RuleSettings",
    "Secret",
    "Settings",
    "TemplateSettings",
    "WebhookSettings",
    "changed_feeds",
    "find_config",
    "find_socket",
    "load",
    "only_reading_changed",
    "restart_needed",
    "secret_values",
]
