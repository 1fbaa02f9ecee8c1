"""The settings of feedd: TOML files in, frozen values out, and every problem of them at once.

To add a key: a row in `feed_keys.FEED_KEYS`, `main_keys.MAIN_KEYS`, `account_keys`, `template_keys`, `hook_keys`, `web_feed_keys` or `rule_keys`, its field in the settings, its row in
`docs/configuration.md`, and its cases in `tests/test_settings.py`.
"""

from feedd.settings.account_keys import AccountSettings
from feedd.settings.file import find_config
from feedd.settings.hook_keys import AlertSettings, WebhookSettings
from feedd.settings.loader import (
    FeedSettings,
    Settings,
    changed_feeds,
    changed_web_feeds,
    find_socket,
    load,
    only_reading_changed,
    restart_needed,
    secret_values,
)
from feedd.settings.rule_keys import RuleSettings
from feedd.settings.secret import Basic, Bearer, Secret
from feedd.settings.template_keys import TemplateSettings
from feedd.settings.web_feed_keys import WebFeedSettings

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
    "WebFeedSettings",
    "WebhookSettings",
    "changed_feeds",
    "changed_web_feeds",
    "find_config",
    "find_socket",
    "load",
    "only_reading_changed",
    "restart_needed",
    "secret_values",
]
