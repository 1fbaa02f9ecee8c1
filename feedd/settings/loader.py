"""The settings of feedd: what the configuration files, the environment and the command line come to.

`load` reports everything that is wrong at once. Every value is frozen; a reload makes new settings.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from feedd.errors import ConfigError, ConfigProblem
from feedd.model import ONE_PAGE, Pages, Retention
from feedd.settings.account_keys import AccountSettings
from feedd.settings.feed_keys import DEFAULT_CATALOG, FEED_KEYS, check_feed_name, outside_roots
from feedd.settings.file import (
    ConfigFile,
    Node,
    Place,
    find_config,
    find_drop_ins,
    home,
    read_config,
)
from feedd.settings.hook_keys import (
    AlertSettings,
    CheckAddress,
    WebhookSettings,
    read_alerts,
    read_webhooks,
)
from feedd.settings.main_keys import MAIN_KEYS
from feedd.settings.rule_keys import BACK_IN_STOCK, PRICE_DROP, RuleSettings, read_rules
from feedd.settings.secret import Basic, Bearer, Secret
from feedd.settings.template_keys import TemplateSettings
from feedd.settings.values import read_keys
from feedd.settings.web_feed_keys import WebFeedReader, WebFeedSettings

CheckSchema = Callable[[str, Path], tuple[str, str] | None]

SOCKET_NAME = "feedd.sock"

# what decides how a stored body is read: a change of these alone is no reason to fetch
_READING = ("schema", "items", "format", "fields", "currency", "doctype", "encoding", "base_dir")
_TABLES = ("feeds", "web_feeds", "webhooks", "alerts", "price_drop", "back_in_stock")
_IN_DROP_INS = ("feeds", "web_feeds")
_NEEDS_RESTART = ("state_dir", "socket", "listen", "trusted_proxies", "database")


class FeedSettings(Struct, frozen=True, kw_only=True):
    """One feed; what each value means is in `feed_keys.FEED_KEYS`. One of `every_s` and `cron` is set.

    `base_dir` is the directory of the file that defines the feed, `order` its position among all.
    """

    name: str
    url: str | Secret
    enabled: bool = True
    every_s: float | None = None
    cron: str | None = None
    timezone: str = "UTC"
    jitter_s: float = 0.0
    schema: str | None = None
    items: str | None = None
    format: str | None = None
    encoding: str | None = None
    member: str | None = None
    pages: Pages | None = None
    fields: dict[str, str | tuple[str, ...]] = {}
    currency: str | None = None
    catalog: str = DEFAULT_CATALOG
    headers: tuple[tuple[str, str | Secret], ...] = ()
    auth: Basic | Bearer | None = None
    timeout_s: float = 60.0
    max_bytes: int = 2 * 1024**3
    max_removed: float = 0.3
    allow_private: tuple[str, ...] = ()
    doctype: bool = False
    keep_body: bool = True
    base_dir: Path = Path()
    order: int = 0


EVERY_DEFAULT_S = 3600.0


class Settings(Struct, frozen=True, kw_only=True):
    """Everything; what each value means is in `main_keys.MAIN_KEYS`. `feeds` are in the order of the files."""

    config_path: Path | None = None
    state_dir: Path
    socket: Path
    listen: tuple[str, int] | None = ("127.0.0.1", 8030)
    public_url: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    file_roots: tuple[Path, ...] = ()
    database: Secret | None = None
    keep_bodies: bool = True
    log_level: str = "info"
    retention: Retention = Retention()
    account: AccountSettings = AccountSettings()
    templates: TemplateSettings = TemplateSettings()
    feeds: dict[str, FeedSettings] = {}
    web_feeds: dict[str, WebFeedSettings] = {}
    webhooks: dict[str, WebhookSettings] = {}
    alerts: AlertSettings = AlertSettings()
    price_drop: RuleSettings = PRICE_DROP
    back_in_stock: RuleSettings = BACK_IN_STOCK


def load(
    config: Path | None = None,
    *,
    state_dir: Path | None = None,
    environ: Mapping[str, str],
    cwd: Path,
    check_schema: CheckSchema | None = None,
    check_address: CheckAddress | None = None,
    with_secrets: bool = True,
    only_database: bool = False,
) -> Settings:
    """The settings, out of the configuration that is named or found; with none at all, the defaults and no feeds.

    `check_schema(name_or_path, base_dir)` says what is wrong with a schema and what to do, `check_address(url,
    allow_private)` with an address that is written in numbers. `with_secrets=False` looks no secret
    up: enough to find the daemon, in a shell that has not the service's environment. `only_database` looks up no other
    than the database's address: enough to read what is stored.

    Raises:
        ConfigError: something is wrong; holds all of it.
    """
    problems: list[ConfigProblem] = []
    path = find_config(config, environ=environ, cwd=cwd)
    loader = _Loader(
        problems, environ, cwd, check_schema, check_address, with_secrets, only_database
    )
    values = loader.read(path) if path else {}
    place = _places(values, environ, cwd, state_dir)
    if problems:
        raise ConfigError(sorted(problems, key=lambda p: (p.file, p.line or 0)))
    feeds: dict[str, Any] = {"feeds": loader.feeds, "web_feeds": loader.web_feeds.found}
    return Settings(config_path=path, **(feeds | values | place))


def find_socket(
    config: Path | None, *, state_dir: Path | None, environ: Mapping[str, str], cwd: Path
) -> Path | None:
    """Where the daemon listens, out of a configuration that cannot be used otherwise; None when not even that is known."""
    problems: list[ConfigProblem] = []
    path = find_config(config, environ=environ, cwd=cwd)
    file = read_config(path, problems) if path else None
    if file is None:
        return None
    place = Place(file=file, problems=problems, environ=environ, with_secrets=False)
    wanted = [key for key in MAIN_KEYS if key.name in ("state_dir", "socket")]
    values = read_keys(Node(file.data, (), place), wanted, also=list(file.data))
    return _places(values, environ, cwd, state_dir)["socket"]


def only_reading_changed(old: FeedSettings, new: FeedSettings) -> bool:
    """Whether two versions of a feed are fetched the same way at the same times, and only read differently."""
    reading = {name: getattr(new, name) for name in _READING}
    return replace(old, order=0, **reading) == replace(new, order=0)


def changed_feeds(old: Settings, new: Settings) -> tuple[set[str], set[str], set[str]]:
    """The feeds that a reload adds, removes and changes; a feed that only moved is not changed."""
    before, after = set(old.feeds), set(new.feeds)
    changed = {
        name
        for name in before & after
        if replace(old.feeds[name], order=0) != replace(new.feeds[name], order=0)
    }
    return after - before, before - after, changed


def changed_web_feeds(old: Settings, new: Settings) -> set[str]:
    """The web feeds that a reload adds or changes."""
    return {name for name, each in new.web_feeds.items() if old.web_feeds.get(name) != each}


def restart_needed(old: Settings, new: Settings) -> list[str]:
    """The keys that differ and that only a restart puts into effect."""
    return [name for name in _NEEDS_RESTART if getattr(old, name) != getattr(new, name)]


def secret_values(settings: Settings) -> list[str]:
    """Every secret in the settings, for the log to mask; of the database's address its password too."""
    secrets: list[object] = [settings.database]
    if settings.database is not None and settings.database.is_resolved:
        secrets.append(Secret(urlsplit(settings.database.reveal()).password))
    fetched: list[FeedSettings | WebFeedSettings] = [*settings.feeds.values()]
    for feed in [*fetched, *settings.web_feeds.values()]:
        secrets += [feed.url, *(value for _, value in feed.headers)]
        if isinstance(feed.auth, Basic):
            secrets.append(feed.auth.password)
        elif isinstance(feed.auth, Bearer):
            secrets.append(feed.auth.token)
    for webhook in settings.webhooks.values():
        secrets += [webhook.url, *webhook.secrets, *(value for _, value in webhook.headers)]
    return [each.reveal() for each in secrets if isinstance(each, Secret) and each.is_resolved]


class _Loader:
    """Reads the main file, then the drop-ins beside it."""

    def __init__(
        self,
        problems: list[ConfigProblem],
        environ: Mapping[str, str],
        cwd: Path,
        check_schema: CheckSchema | None,
        check_address: CheckAddress | None,
        with_secrets: bool,
        only_database: bool,
    ) -> None:
        self.feeds: dict[str, FeedSettings] = {}
        self.web_feeds = WebFeedReader(check_address)
        self.problems = problems
        self.environ = environ
        self.cwd = cwd
        self.main: Node | None = None
        self._check_schema = check_schema
        self._check_address = check_address
        self._with_secrets = with_secrets
        self._only_database = only_database
        self._nodes: dict[str, Node] = {}

    def read(self, path: Path) -> dict[str, Any]:
        """The values at the top of the main file; the feeds of all files go to `feeds`."""
        values: dict[str, Any] = {}
        file = read_config(path, self.problems)
        if file is not None:
            self.main = self._node(file)
            values = read_keys(self.main, MAIN_KEYS, also=_TABLES)
            self._read_both(self._node(file, is_main=False), values)
        for drop_in in find_drop_ins(path, self.problems):
            file = read_config(drop_in, self.problems)
            if file is None:
                continue
            node = self._node(file, is_main=False)
            for key in file.data:
                if key not in _IN_DROP_INS:
                    node.child(key).problem(
                        "only feeds and web feeds may stand in a drop-in file",
                        f"Write [feeds.NAME] above it, or move it to {path}.",
                    )
            self._read_both(node, values)
        if self.main is not None:  # once all feeds are known
            rest = self._node(self.main.place.file, is_main=False)
            values["alerts"] = read_alerts(rest)
            values["webhooks"] = read_webhooks(rest, self._nodes, self._check_address)
            values |= read_rules(rest, self._catalogs())
        return values

    def _node(self, file: ConfigFile, *, is_main: bool = True) -> Node:
        """A file; `is_main` for the keys at the top of the main one, the database's among them."""
        place = Place(
            file=file,
            problems=self.problems,
            environ=self.environ,
            with_secrets=self._with_secrets and (is_main or not self._only_database),
        )
        return Node(file.data, (), place)

    def _catalogs(self) -> list[str]:
        """The catalogs that feeds name, also those of feeds that cannot be used."""
        tables = [node.value for node in self._nodes.values() if type(node.value) is dict]
        return list(dict.fromkeys(str(each.get("catalog", DEFAULT_CATALOG)) for each in tables))

    def _read_both(self, top: Node, main: dict[str, Any]) -> None:
        """The feeds and the web feeds of one file."""
        roots = tuple(str(root) for root in main.get("file_roots", ()))
        self._read_feeds(top, roots)
        self.web_feeds.read(top, roots)

    def _read_feeds(self, top: Node, roots: tuple[str, ...]) -> None:
        if "feeds" not in top.value:
            return
        feeds = top.child("feeds")
        if type(feeds.value) is not dict:
            feeds.problem("is not a table of feeds", "Write [feeds.NAME] above the keys of each.")
            return
        for name in feeds.value:
            node = feeds.child(name)
            if name in self._nodes:
                first = self._nodes[name]
                node.problem(
                    f"this feed is already defined in {first.place.file.path}:{first.line}",
                    "Give one of the two another name.",
                )
            elif check_feed_name(node):
                self._nodes[name] = node
                self._read_feed(name, node, roots)

    def _read_feed(self, name: str, node: Node, roots: tuple[str, ...]) -> None:
        before = len(self.problems)
        if type(node.value) is not dict:
            node.problem("is not a table", f'Write [feeds.{name}], and url = "https://…" below it.')
            return
        values = read_keys(node, FEED_KEYS)
        self._check_together(node, values, roots)
        if len(self.problems) > before:
            return
        if "auth" in values:
            auth = values["auth"]
            values["auth"] = Bearer(**auth) if "token" in auth else Basic(**auth)
        if "cron" not in values:
            values.setdefault("every_s", EVERY_DEFAULT_S)
        self.feeds[name] = FeedSettings(
            name=name, base_dir=node.place.base_dir, order=len(self.feeds), **values
        )

    def _check_together(self, node: Node, values: dict[str, Any], roots: tuple[str, ...]) -> None:
        """What one value alone does not tell."""
        if "url" not in node.value:
            node.problem("has no url", 'Write url = "https://shop.example/products.xml" below it.')
        if "every" in node.value and "cron" in node.value:
            node.child("cron").problem("stands beside every", "Leave one of the two out.")
        pace = values.get("every_s", EVERY_DEFAULT_S)
        if "cron" not in node.value and values.get("jitter_s", 0) > pace:
            node.child("jitter").problem(
                f"is longer than the {pace:g} s from one fetch to the next", "Write a shorter one."
            )
        if "auth" in values and any(
            header.lower() == "authorization" for header, _ in values.get("headers", ())
        ):
            node.child("headers").problem(
                "Authorization stands beside auth", "Leave one of the two out."
            )
        url = values.get("url")
        address = url.reveal() if isinstance(url, Secret) and url.is_resolved else url
        if isinstance(address, str) and address.lower().startswith("file:"):
            outside = outside_roots(address, roots)
            if outside is not None:
                node.child("url").problem(*outside)
        elif isinstance(address, str) and self._check_address is not None:
            refused = self._check_address(address, values.get("allow_private", ()))
            if refused is not None:
                node.child("url").problem(*refused)
        self._check_pages(node, values, address)
        if "schema" in values and self._check_schema is not None:
            wrong = self._check_schema(values["schema"], node.place.base_dir)
            if wrong is not None:
                node.child("schema").problem(*wrong)

    def _check_pages(self, node: Node, values: dict[str, Any], address: object) -> None:
        pages = values.get("pages")
        if pages is None or pages.by == ONE_PAGE:
            return
        if isinstance(address, str) and address.lower().startswith("file:"):
            node.child("pages").problem("is not for files", "Leave it out.")
        if values.get("format") not in (None, "json"):
            node.child("pages").problem(
                "follows pages of JSON only", f'Leave it out, or format = "{values["format"]}".'
            )


def _places(
    values: dict[str, Any], environ: Mapping[str, str], cwd: Path, state_dir: Path | None
) -> dict[str, Path]:
    """The state directory and the socket, from the first place that names each."""
    state = _state_dir(values, environ, cwd, state_dir)
    runtime = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    socket = values.get("socket") or (Path(runtime) if runtime else state) / SOCKET_NAME
    return {"state_dir": state, "socket": socket}


def _state_dir(
    values: dict[str, Any], environ: Mapping[str, str], cwd: Path, named: Path | None
) -> Path:
    if named is not None:
        return cwd / named
    if environ.get("FEEDD_STATE_DIR"):
        return cwd / environ["FEEDD_STATE_DIR"]
    if "state_dir" in values:
        return Path(values["state_dir"])
    if environ.get("STATE_DIRECTORY"):
        return Path(environ["STATE_DIRECTORY"].partition(":")[0])
    xdg = environ.get("XDG_STATE_HOME", "")
    if Path(xdg).is_absolute():
        return Path(xdg) / "feedd"
    return home(environ) / ".local" / "state" / "feedd"
