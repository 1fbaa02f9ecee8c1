"""Configuration files become settings, or a list of everything that is wrong with them."""

import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedd.errors import ConfigError, ConfigProblem
from feedd.model import Pages, Retention
from feedd.settings import (
    AlertSettings,
    Basic,
    Bearer,
    FeedSettings,
    Secret,
    Settings,
    WebhookSettings,
    changed_feeds,
    find_socket,
    load,
    restart_needed,
    secret_values,
)
from feedd.settings.account_keys import ACCOUNT_KEYS, ADDRESS_KEYS
from feedd.settings.feed_keys import FEED_KEYS
from feedd.settings.file import find_config
from feedd.settings.hook_keys import ALERT_KEYS, WEBHOOK_KEYS
from feedd.settings.lines import key_lines
from feedd.settings.main_keys import MAIN_KEYS
from feedd.settings.retention_keys import RETENTION_KEYS
from feedd.settings.rule_keys import BACK_IN_STOCK_KEYS, PRICE_DROP_KEYS
from feedd.settings.template_keys import TEMPLATE_KEYS
from feedd.settings.web_feed_keys import WEB_FEED_KEYS

DOCS = Path(__file__).parent.parent / "docs" / "configuration.md"
URL = 'url = "https://shop.example/feed.xml"\n'

Config = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Config:
    """Writes the main file and its drop-ins."""

    def written(text: str | bytes, **drop_ins: str) -> Path:
        path = tmp_path / "etc" / "feedd.toml"
        (path.parent / "feeds.d").mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        for name, content in drop_ins.items():
            (path.parent / "feeds.d" / f"{name}.toml").write_text(content)
        return path

    return written


def settings_of(path: Path, environ: dict[str, str] | None = None, **options: Any) -> Settings:
    return load(path, environ={"HOME": "/home/ann"} | (environ or {}), cwd=Path("/"), **options)


def problems_of(path: Path, **options: Any) -> list[ConfigProblem]:
    with pytest.raises(ConfigError) as caught:
        settings_of(path, **options)
    return caught.value.problems


def feed_of(path: Path, **options: Any) -> FeedSettings:
    (feed,) = settings_of(path, **options).feeds.values()
    return feed


# what is valid


def test_no_configuration_at_all_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("feedd.settings.loader.find_config", lambda *_a, **_k: None)
    found = load(environ={"HOME": "/home/ann"}, cwd=tmp_path)
    assert found.config_path is None
    assert found.state_dir == Path("/home/ann/.local/state/feedd")
    assert found.socket == found.state_dir / "feedd.sock"
    assert found.listen == ("127.0.0.1", 8030)
    assert found.feeds == {}


@pytest.mark.parametrize("text", ["", "# nothing\n", "[feeds]\n", "\ufeff", 'listen = ""\r\n'])
def test_a_configuration_without_feeds_is_valid(write: Config, text: str):
    assert settings_of(write(text)).feeds == {}


def test_a_feed_needs_nothing_but_a_url(write: Config):
    path = write(f"[feeds.shop]\n{URL}")
    assert feed_of(path) == FeedSettings(
        name="shop", url="https://shop.example/feed.xml", every_s=3600, base_dir=path.parent
    )


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ('every = "15m"', "every_s", 900),
        ('every = "1h30m"', "every_s", 5400),
        ('every = "2d"', "every_s", 172_800),
        ("every = 90", "every_s", 90),
        ('every = "1.5 h"', "every_s", 5400),
        ('cron = "*/5 * * * *"', "cron", "*/5 * * * *"),
        ('timezone = "Europe/Berlin"', "timezone", "Europe/Berlin"),
        ('jitter = "2m"', "jitter_s", 120),
        ("enabled = false", "enabled", False),
        ('schema = "item"', "schema", "item"),
        ('items = "data.products"', "items", "data.products"),
        ('items = ""', "items", ""),
        ('format = "jsonl"', "format", "jsonl"),
        ('encoding = "Windows-1251"', "encoding", "Windows-1251"),
        ('pages = "link"', "pages", Pages(by="link")),
        ('pages = "one"', "pages", Pages(by="one")),
        ('pages = { link = "next", most = 9 }', "pages", Pages(by="link", most=9)),
        ('pages = { next = "links.next" }', "pages", Pages(by="next", path=("links", "next"))),
        ('pages = { next = ["@odata.nextLink"] }', "pages", Pages(by="next", path=("@odata.nextLink",))),
        ('pages = { cursor = "meta.c", query = "c" }', "pages", Pages(by="cursor", path=("meta", "c"), query="c")),
        ('pages = { query = "page" }', "pages", Pages(by="number", query="page")),
        ('pages = { query = "p", first = 0, most = 5 }', "pages", Pages(by="number", query="p", first=0, most=5)),
        ('pages = { offset = "skip", step = 30 }', "pages", Pages(by="number", query="skip", first=0, step=30)),
        ('member = "out/products-*.xml"', "member", "out/products-*.xml"),
        ('currency = "ILS"', "currency", "ILS"),
        ('catalog = "shoes-2"', "catalog", "shoes-2"),
        ('catalog = "$default"', "catalog", "$default"),
        ('timeout = "500ms"', "timeout_s", 0.5),
        ('max_bytes = "100MB"', "max_bytes", 100_000_000),
        ('max_bytes = "2gib"', "max_bytes", 2**31),
        ("max_bytes = 5", "max_bytes", 5),
        ('max_removed = "30%"', "max_removed", 0.3),
        ("max_removed = 1", "max_removed", 1.0),
        ('allow_private = ["10.1.0.0/16", "fd00::1"]', "allow_private", ("10.1.0.0/16", "fd00::1/128")),
        ("doctype = true", "doctype", True),
        ("keep_body = false", "keep_body", False),
        ('fields = { id = "sku", w = ["a.b", "c"] }', "fields", {"id": "sku", "w": ("a.b", "c")}),
        ('headers.Accept-Language = "he"', "headers", (("Accept-Language", "he"),)),
        ('url = "http://127.0.0.1:8123/f.json?page=1"', "url", "http://127.0.0.1:8123/f.json?page=1"),
        ('url = "https://חנות.example/מוצרים"', "url", "https://חנות.example/מוצרים"),
    ],
)  # fmt: skip
def test_a_feed_key_is_read(write: Config, line: str, field: str, value: object):
    url = "" if line.startswith("url") else URL
    assert getattr(feed_of(write(f"[feeds.shop]\n{url}{line}\n")), field) == value


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ('state_dir = "/var/lib/feedd"', "state_dir", Path("/var/lib/feedd")),
        ('state_dir = "~/state"', "state_dir", Path("/home/ann/state")),
        ('socket = "/run/feedd.sock"', "socket", Path("/run/feedd.sock")),
        ('listen = "[::1]:80"', "listen", ("::1", 80)),
        ('listen = ""', "listen", None),
        ('public_url = "https://mail.shop.example/a/"', "public_url", "https://mail.shop.example/a"),
        ('trusted_proxies = ["127.0.0.1", "10.1.0.0/16", "::1"]', "trusted_proxies",
         ("127.0.0.1/32", "10.1.0.0/16", "::1/128")),
        ('file_roots = ["/srv/feeds", "/x"]', "file_roots", (Path("/srv/feeds"), Path("/x"))),
        ('database = "postgresql://feedd@db.example/feedd"', "database",
         Secret("postgresql://feedd@db.example/feedd", "database")),
        ('log_level = "debug"', "log_level", "debug"),
        ("keep_bodies = false", "keep_bodies", False),
        ("retention = {}", "retention", Retention()),
        ('[retention]\nchanges = "2w"', "retention", Retention(changes_s=14 * 86_400.0)),
        ('[retention]\nsyncs = "forever"', "retention", Retention(syncs_s=None)),
        ("[retention]\nrejects = 3600", "retention", Retention(rejects_s=3600.0)),
        ('[retention]\nremoved_items = "365d"', "retention",
         Retention(removed_items_s=365 * 86_400.0)),
    ],
)  # fmt: skip
def test_a_main_key_is_read(write: Config, line: str, field: str, value: object):
    assert getattr(settings_of(write(line)), field) == value


def test_paths_are_relative_to_their_file(write: Config):
    path = write('state_dir = "state"\nfile_roots = ["feeds"]')
    found = settings_of(path)
    assert found.state_dir == path.parent / "state"
    assert found.file_roots == (path.parent / "feeds",)


def test_drop_ins_follow_the_main_file_by_name(write: Config):
    path = write(f"[feeds.z]\n{URL}[feeds.m]\n{URL}", b=f"[feeds.a]\n{URL}", a=f"[feeds.q]\n{URL}")
    (path.parent / "feeds.d" / ".swap.toml").write_text("broken")
    (path.parent / "feeds.d" / "notes.txt").write_text("broken")
    feeds = settings_of(path).feeds
    assert list(feeds) == ["z", "m", "q", "a"]
    assert [feed.order for feed in feeds.values()] == [0, 1, 2, 3]
    assert feeds["q"].base_dir == path.parent / "feeds.d"


def test_a_file_feed_lies_below_a_root(write: Config):
    path = write('file_roots = ["/srv/feeds"]\n[feeds.a]\nurl = "file:///srv/feeds/x%20y/a.xml"')
    assert feed_of(path).url == "file:///srv/feeds/x%20y/a.xml"


# where things are found


def test_the_configuration_is_searched_in_order(tmp_path: Path):
    def found(**environ: str) -> Path | None:
        return find_config(
            environ={"HOME": str(tmp_path / "home"), **environ}, cwd=tmp_path / "cwd"
        )

    places = {
        "xdg": tmp_path / "xdg" / "feedd" / "feedd.toml",
        "home": tmp_path / "home" / ".config" / "feedd" / "feedd.toml",
        "cwd": tmp_path / "cwd" / "feedd.toml",
    }
    for place in places.values():
        place.parent.mkdir(parents=True)
    places["home"].touch()
    assert found() == places["home"]
    places["xdg"].touch()
    assert found(XDG_CONFIG_HOME=str(tmp_path / "xdg")) == places["xdg"]
    places["cwd"].touch()
    assert found(XDG_CONFIG_HOME=str(tmp_path / "xdg")) == places["cwd"]
    assert found(FEEDD_CONFIG="other.toml") == tmp_path / "cwd" / "other.toml"
    assert find_config(Path("/named"), environ={"FEEDD_CONFIG": "x"}, cwd=tmp_path) == Path(
        "/named"
    )


def test_the_state_directory_is_the_first_that_is_named(write: Config):
    environ = {"FEEDD_STATE_DIR": "/env", "STATE_DIRECTORY": "/sd:/other", "XDG_STATE_HOME": "/xdg"}
    path = write('state_dir = "/conf"')
    assert settings_of(path, environ, state_dir=Path("/arg")).state_dir == Path("/arg")
    assert settings_of(path, environ).state_dir == Path("/env")
    del environ["FEEDD_STATE_DIR"]
    assert settings_of(path, environ).state_dir == Path("/conf")
    path = write("")
    assert settings_of(path, environ).state_dir == Path("/sd")
    del environ["STATE_DIRECTORY"]
    assert settings_of(path, environ).state_dir == Path("/xdg/feedd")
    assert settings_of(path).state_dir == Path("/home/ann/.local/state/feedd")


def test_under_systemd_the_socket_lies_in_the_runtime_directory(write: Config):
    found = settings_of(write(""), {"RUNTIME_DIRECTORY": "/run/feedd"})
    assert found.socket == Path("/run/feedd/feedd.sock")


# secrets


def test_secrets_come_from_where_they_are_named(write: Config, tmp_path: Path):
    (tmp_path / "password").write_text("from file\n")
    (tmp_path / "password").chmod(0o640)
    (tmp_path / "creds").mkdir()
    (tmp_path / "creds" / "tok").write_text("from systemd")
    path = write(
        f"""
        database = {{ env = "DB" }}
        [feeds.a]
        {URL}
        auth = {{ username = "ann", password = {{ file = "../password" }} }}
        [feeds.b]
        url = {{ env = "FEED" }}
        auth.token = {{ credential = "tok" }}
        headers = {{ X-Api-Key = {{ env = "KEY" }} }}
        """
    )
    found = settings_of(
        path,
        {
            "DB": "postgresql://u:from-env@db/feedd",
            "FEED": "https://shop.example/from-url",
            "KEY": "from header",
            "CREDENTIALS_DIRECTORY": str(tmp_path / "creds"),
        },
    )
    assert isinstance(found.feeds["a"].auth, Basic)
    assert isinstance(found.feeds["b"].auth, Bearer)
    assert found.feeds["a"].auth.password.reveal() == "from file"
    values = secret_values(found)
    assert set(values) == {
        "from file", "from header", "from systemd", "https://shop.example/from-url",
        "postgresql://u:from-env@db/feedd", "from-env",
    }  # fmt: skip
    assert not [value for value in values if value in repr(found)]


def test_without_secrets_none_is_looked_up(write: Config):
    path = write('[feeds.a]\nurl = { env = "NOT_SET" }')
    feed = feed_of(path, with_secrets=False)
    assert isinstance(feed.url, Secret)
    with pytest.raises(RuntimeError):
        feed.url.reveal()


def test_a_secret_is_never_shown():
    secret = Secret("hush", "env X")
    assert "hush" not in f"{secret} {secret!r} {[secret]} {Bearer(secret)}"
    assert secret == Secret("hush", "env X")
    assert secret != Secret("other", "env X")
    assert hash(secret) == hash(Secret("hush", "env X"))


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ('"hush"', "plain text"),
        ('{ env = "NOT_SET" }', "NOT_SET is not set"),
        ('{ env = "EMPTY" }', "is empty"),
        ('{ env = "LINES" }', "line break"),
        ('{ env = 1 }', "needs a name"),
        ('{ env = "A", file = "b" }', "where the secret is"),
        ('{ vault = "A" }', "where the secret is"),
        ('{ file = "missing" }', "cannot be read"),
        ('{ file = "." }', "cannot be read"),
        ('{ file = "open" }', "open to every user"),
        ('{ credential = "x" }', "not started by systemd"),
    ],
)  # fmt: skip
def test_a_secret_that_cannot_be_had_is_a_problem(write: Config, reference: str, says: str):
    path = write(f"[feeds.a]\n{URL}auth.token = {reference}")
    (path.parent / "open").write_text("hush")
    (path.parent / "open").chmod(0o644)
    (problem,) = problems_of(path, environ={"EMPTY": "", "LINES": "a\nb"})
    assert says in problem.message
    assert (problem.line, problem.key) == (3, "feeds.a.auth.token")
    assert problem.hint
    assert "hush" not in str(problem)


# what is wrong


@pytest.mark.parametrize(
    ("line", "says", "hint"),
    [
        ('evry = "15m"', "no such key", "every"),
        ('every = "soon"', "not a length of time", '"15m"'),
        ('every = "15 Minuten"', "not a length of time", "units"),
        ('every = "10ms"', "at least 1 s", '"15m"'),
        ("every = inf", "not a length of time", '"15m"'),
        ("every = nan", "not a length of time", '"15m"'),
        ("every = true", "not a length of time", '"15m"'),
        ("every = 1979-05-27", "not a length of time", '"15m"'),
        (f"every = 1{'0' * 400}", "not a length of time", '"15m"'),
        ('cron = "* * *"', "3 fields", "quarter"),
        ('cron = "0 0 30 2 *"', "never comes", "another day"),
        ('timezone = "Berlin"', "not a time zone", "Europe/Berlin"),
        ('jitter = "2h"', "longer than the 3600 s", "shorter"),
        ('enabled = "yes"', "is text, not true or false", "enabled = true"),
        ("schema = 3", "is a number, not text", "google-product"),
        ('schema = "  "', "is empty", "google-product"),
        ('items = "a..b"', "not a path", "data.products"),
        ('format = "jsn"', "not one of its values", '"json"'),
        ('format = "csv"', "not one of its values", '"xml"'),
        ('encoding = "utf-7"', "not an encoding", "windows-1251"),
        ("encoding = 1251", "is a number, not text", "windows-1251"),
        ('pages = "links"', "how the pages are followed", 'pages = "link"'),
        ("pages = {}", "nothing does not say", "query"),
        ('pages = { cursor = "c" }', "cursor does not say", "query"),
        ('pages = { next = "a", query = "b" }', "next, query does not say", "query"),
        ('pages = { offset = "skip" }', "offset does not say", "step"),
        ('currency = "eur"', "not a currency", '"EUR"'),
        ('currency = "€"', "not a currency", "ISO 4217"),
        ('catalog = "a:::b"', "name of a catalog", "letters"),
        ("timeout = 0", "at least 0.1 s", "60s"),
        ('timeout = "2h"', "at most 1800 s", "60s"),
        ('max_bytes = "2 GiBi"', "not a size", "GiB"),
        ("max_bytes = 0", "no size", "100MB"),
        ("max_removed = 30", "between 0 and 1", '"30%"'),
        ("max_removed = nan", "between 0 and 1", '"30%"'),
        ('max_removed = "101%"', "between 0 and 1", '"30%"'),
        ("allow_private = true", "is true or false, not a list", "10.1.0.0/16"),
        ('allow_private = ["10.1.2.3/16"]', "outside its network", "10.1.0.0/16"),
        ('allow_private = ["intranet"]', "not a network", "10.1.0.0/16"),
        ('fields = "sku"', "is text, not a table", "sku"),
        ('fields = { id = "{a" }', "not a path", "in braces"),
        ('fields = { id = "{a..b}/c" }', "not a path", "in braces"),
        ('fields = { id = "" }', "not a path", "images.0.src"),
        ('fields = { "a b" = [] }', "not a path", '"a b" = '),
        ('fields = { id = ["a", 1] }', "not a path", "images.0.src"),
        ('headers = { Authorization = "Bearer hush" }', "plain text", "env"),
        ('headers = { X-Shop-Token = "hush" }', "plain text", "env"),
        ('headers = { "X Y" = "1" }', "not the name of a header", "Accept-Language"),
        ('headers = { host = "x" }', "sets this header itself", "out"),
        ('headers = { X-A = "a\\nb" }', "control character", "X-A"),
        ('headers = { X-A = "ש" }', "no header can carry", "ASCII"),
        ('headers = { X-A = "1", x-a = "2" }', "twice", "out"),
        ('auth = "hush"', "is text, not a table", "username"),
        ('auth = { username = "ann" }', "needs a username and a password", "token"),
        ('auth = { username = "ann", password = "hush" }', "plain text", "env"),
        ('doctype = "no"', "not true or false", "doctype = true"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_where_and_what_to_write(
    write: Config, line: str, says: str, hint: str
):
    (problem,) = problems_of(write(f"# a comment\n[feeds.shop]\n{URL}\n{line}\n"))
    assert says in problem.message
    assert hint in problem.hint
    assert problem.line == 5
    assert problem.key.startswith("feeds.shop.")
    assert "hush" not in str(problem)


@pytest.mark.parametrize(
    ("url", "says", "hint"),
    [
        ("htps://shop.example/", "htps://", "https"),
        ("ftp://shop.example/", "ftp://", ""),
        ("shop.example/feed", "not an address", "https://shop.example/feed"),
        ("https:/shop.example", "not an address", "https://shop.example"),
        ("https:///feed.xml", "names no host", "https://shop.example"),
        ("https://ann:hush@shop.example/", "user name or password", "auth"),
        ("https://shop.example:99999/", "not an address", "https://shop.example"),
        ("https://[::1/", "not an address", "https://shop.example"),
        ("https://shop.example/a b", "space", "%20"),
        ("file://srv/feeds/a.xml", "host", "file:///srv/feeds/a.xml"),
        ("file:///srv/feeds/../passwd", "outside file_roots", "file_roots"),
        ("file:///srv/feeds/%2e%2e/passwd", "outside file_roots", "file_roots"),
        ("file:///srv/feeds2/a.xml", "outside file_roots", "file_roots"),
        ("file:///", "names no file", "file:///srv"),
        ("", "is empty", "https://shop.example"),
    ],
)
def test_a_wrong_address_is_told_what_is_wrong(write: Config, url: str, says: str, hint: str):
    (problem,) = problems_of(write(f'file_roots = ["/srv/feeds"]\n[feeds.a]\nurl = "{url}"'))
    assert says in problem.message
    assert hint in problem.hint
    assert problem.line == 3
    assert "hush" not in str(problem)


def test_a_file_feed_without_roots_names_the_setting(write: Config):
    (problem,) = problems_of(write('[feeds.a]\nurl = "file:///srv/feeds/a.xml"'))
    assert 'file_roots = ["/srv/feeds"]' in problem.hint


@pytest.mark.parametrize(
    ("text", "line", "says", "hint"),
    [
        ('stat_dir = "x"', 1, "no such key", "state_dir"),
        ('feed = "x"', 1, "no such key", "feeds"),
        ('listen = "8030"', 1, "not HOST:PORT", "127.0.0.1:8030"),
        ("listen = 8030", 1, "is a number, not text", "127.0.0.1:8030"),
        ('public_url = "mail.shop.example"', 1, "is not an address", "https://mail.shop.example"),
        ('public_url = "javascript:x"', 1, "is not an address", "https://mail.shop.example"),
        (
            "public_url = 'https://a.example/\"'",
            1,
            "is not an address",
            "https://mail.shop.example",
        ),
        (
            'public_url = "https://ann@a.example"',
            1,
            "more than a site and a path",
            "https://mail.shop.example",
        ),
        (
            'public_url = "https://a.example/?a=1"',
            1,
            "more than a site and a path",
            "https://mail.shop.example",
        ),
        ('listen = "localhost:99999"', 1, "not HOST:PORT", "127.0.0.1:8030"),
        ('trusted_proxies = ["proxy.example"]', 1, "is not a network", "trusted_proxies"),
        ('file_roots = "/srv"', 1, "is text, not a list", "file_roots"),
        ('log_level = "Warn"', 1, "not one of its values", "warning"),
        ('database = "sqlite:///x.db"', 1, "needs no address", "out"),
        ('database = "mysql://h/x"', 1, "not the address", "postgresql://"),
        ('database = "postgresql://u:hush@h/x"', 1, "password", "env"),
        ('database = "postgresql://u@h/x?password=hush"', 1, "password", "env"),
        ('state_dir = ""', 1, "not a path", "/var/lib/feedd"),
        ("retention = 90", 1, "not a table", "[retention]"),
        ('[retention]\nchanges = "never"', 2, "not a length of time", '"forever"'),
        ("[retention]\nchanges = 0", 2, "at least 1 s", '"forever"'),
        ('[retention]\nchange = "90d"', 2, "no such key", "changes"),
        ("feeds = 3", 1, "not a table of feeds", "[feeds.NAME]"),
        ("\n[[feeds]]\n", 2, "not a table of feeds", "[feeds.NAME]"),
        ('feeds.shop = "https://x.example"', 1, "not a table", "[feeds.shop]"),
        ("\n[feeds.shop]\nevery = 60", 2, "has no url", "url ="),
        (f"[feeds.Shop]\n{URL}", 1, "name of a feed", "[feeds.shop]"),
        (f"[feeds._shop]\n{URL}", 1, "name of a feed", "[feeds.shop]"),
        (f'[feeds."חנות"]\n{URL}', 1, "name of a feed", "a to z"),
        (f"[feeds.{'x' * 65}]\n{URL}", 1, "name of a feed", "64"),
        (f'[feeds.a]\n{URL}every = 60\ncron = "@daily"', 4, "beside every", "out"),
        ("x = 1\ny = yes\n", 2, "not TOML", "quotes"),
        (f"[feeds.a]\n{URL}[feeds.a]\n{URL}", 3, "not TOML", "once"),
        ("x = [1,\n2\n\n", 2, "not TOML", "bracket"),
        (b"# \xe9t\xe9\n", 1, "not UTF-8", "UTF-8"),
        (b"a = 1\nb = '\xff'", 2, "not UTF-8", "UTF-8"),
        ("x = " + "[" * 5000, None, "nested too deeply", "brackets"),
    ],
)
def test_a_wrong_file_is_told_where_and_what_to_write(
    write: Config, text: str | bytes, line: int | None, says: str, hint: str
):
    (problem,) = problems_of(write(text))
    assert says in problem.message
    assert hint in problem.hint
    assert problem.line == line
    assert "hush" not in str(problem)


def test_all_problems_are_told_at_once(write: Config):
    path = write("a = 1\n[feeds.x]\nb = 2\nc = 3", bad="[feeds.", worse="[feeds.y]")
    assert len(problems_of(path)) == 6


def test_a_feed_that_stands_twice_is_told_both_places(write: Config):
    path = write(f"\n[feeds.shop]\n{URL}", more=f"[feeds.shop]\n{URL}")
    (problem,) = problems_of(path)
    assert problem.file.endswith("feeds.d/more.toml")
    assert f"{path}:2" in problem.message


def test_a_drop_in_holds_feeds_only(write: Config):
    (problem,) = problems_of(write("", more='log_level = "info"'))
    assert (problem.line, problem.key) == (1, "log_level")


def test_authorization_stands_once(write: Config):
    text = f'[feeds.a]\n{URL}auth.token = {{ env = "T" }}\nheaders.authorization = {{ env = "T" }}'
    (problem,) = problems_of(write(text), environ={"T": "x"})
    assert "beside auth" in problem.message


def test_a_schema_is_judged_by_who_knows(write: Config):
    path = write(f'[feeds.a]\n{URL}schema = "nope"')
    (problem,) = problems_of(
        path, check_schema=lambda name, base: (f"{name} is not in {base}", "Mend it.")
    )
    assert (problem.line, problem.message) == (3, f"nope is not in {path.parent}")
    assert feed_of(path, check_schema=lambda _name, _base: None).schema == "nope"


def test_files_that_cannot_be_used_are_problems(write: Config, tmp_path: Path):
    assert "no such file" in problems_of(tmp_path / "missing.toml")[0].message
    assert "directory" in problems_of(tmp_path)[0].message
    assert "not a file" in problems_of(Path("/dev/null"))[0].message
    assert "cannot be read" in problems_of(Path("a\0b"))[0].message
    path = write("")
    path.chmod(0o666)
    assert "chmod" in problems_of(path)[0].hint
    path.chmod(0o600)
    (path.parent / "feeds.d").chmod(0o777)
    assert "chmod" in problems_of(path)[0].hint


def test_a_pipe_is_refused_and_not_waited_for(write: Config):
    path = write("")
    pipe = path.parent / "pipe.toml"
    os.mkfifo(pipe)
    assert "not a file" in problems_of(pipe)[0].message
    (path.parent / "feeds.d").mkdir(exist_ok=True)
    os.mkfifo(path.parent / "feeds.d" / "a.toml")
    assert "not a file" in problems_of(path)[0].message
    feed = f'[feeds.a]\nurl = "https://a.example/x"\nauth = {{ token = {{ file = "{pipe}" }} }}'
    (path.parent / "feeds.d" / "a.toml").unlink()
    assert problems_of(write(feed))


def test_the_socket_is_found_in_a_configuration_with_problems(write: Config):
    path = write('state_dir = "here"\noops = 1\n[feeds.a]\nurl = 5')
    found = find_socket(path, state_dir=None, environ={}, cwd=path.parent)
    assert found == path.parent / "here" / "feedd.sock"
    assert find_socket(write("= ["), state_dir=None, environ={}, cwd=path.parent) is None


def _problems_if_any(path: Path) -> list[ConfigProblem] | None:
    try:
        settings_of(path)
    except ConfigError as error:
        return error.problems
    return None


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@settings(max_examples=100)
def test_any_file_gives_settings_or_problems(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
):
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_bytes(content)
    assert _problems_if_any(path) != []


_VALUES = st.recursive(
    st.sampled_from(["1", "inf", '"x"', '""', "true", "1979-05-27", "'''a\nb'''", '"""c"""']),
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda v: "[ # x\n" + ",\n".join(v) + "]")
        | inner.map(lambda v: "{ env = " + v + " }" if "\n" not in v else "{}")
    ),
    max_leaves=4,
)


@given(st.sampled_from([*MAIN_KEYS, *FEED_KEYS]), _VALUES)
@settings(max_examples=200)
def test_any_value_of_any_key_gives_settings_or_problems_in_its_line(
    tmp_path_factory: pytest.TempPathFactory, key: Any, value: str
):
    path = tmp_path_factory.getbasetemp() / "values.toml"
    top = "\n" if key in MAIN_KEYS else f"[feeds.a]\n{'' if key.name == 'url' else URL}"
    path.write_text(f"{top}{key.name} = {value}\n")
    first = top.count("\n") + 1
    for problem in _problems_if_any(path) or []:
        assert not problem.key.endswith(key.name) or (problem.line or 0) >= first


# reload


def test_a_reload_says_which_feeds_changed(write: Config):
    old = settings_of(write(f"[feeds.a]\n{URL}[feeds.b]\n{URL}[feeds.c]\n{URL}"))
    new = settings_of(write(f"[feeds.d]\n{URL}[feeds.c]\n{URL}[feeds.b]\n{URL}every = 60"))
    assert changed_feeds(old, new) == ({"d"}, {"a"}, {"b"})
    assert changed_feeds(old, old) == (set(), set(), set())


def test_a_secret_that_changed_changes_its_feed(write: Config):
    path = write('[feeds.a]\nurl = { env = "U" }')
    old = settings_of(path, {"U": "https://shop.example/1"})
    new = settings_of(path, {"U": "https://shop.example/2"})
    assert changed_feeds(old, new)[2] == {"a"}


def test_a_reload_says_what_needs_a_restart(write: Config):
    old = settings_of(write(""))
    new = settings_of(
        write(
            'listen = ""\nlog_level = "error"\nstate_dir = "/x"\nsocket = "/x/s"\ntrusted_proxies = ["10.1.0.0/16"]'
        )
    )
    assert restart_needed(old, new) == ["state_dir", "socket", "listen", "trusted_proxies"]
    assert restart_needed(old, old) == []


# lines

TRICKY = '''# [not.a.table]
top = "a # b" # = c
"quoted \\u0041" = 1

[a.b]   # here
'lit.eral' = """
[no.table]
x = 1 \\""" """
c.d = [ 1, # one
  { e = "]", f.g = ']' },
  [ "x",
    2 ],
]
[[list]]
h = 1
[[list]]
  h = 2
  [[list.inner]]
  i = \'\'\'
'\'\'\'\'
  [list.table]
  j = { }
[a]
k = 2026-01-01 10:00:00
'''


def test_the_line_of_every_key_is_known():
    lines = key_lines(TRICKY)
    assert lines == {
        ("top",): 2, ("quoted A",): 3, ("a",): 23, ("a", "b"): 5, ("a", "b", "lit.eral"): 6,
        ("a", "b", "c"): 9, ("a", "b", "c", "d"): 9, ("a", "b", "c", "d", 0): 9,
        ("a", "b", "c", "d", 1): 10, ("a", "b", "c", "d", 1, "e"): 10,
        ("a", "b", "c", "d", 1, "f"): 10, ("a", "b", "c", "d", 1, "f", "g"): 10,
        ("a", "b", "c", "d", 2): 11, ("a", "b", "c", "d", 2, 0): 11, ("a", "b", "c", "d", 2, 1): 12,
        ("list",): 14, ("list", 0): 14, ("list", 0, "h"): 15, ("list", 1): 16, ("list", 1, "h"): 17,
        ("list", 1, "inner"): 18, ("list", 1, "inner", 0): 18, ("list", 1, "inner", 0, "i"): 19,
        ("list", 1, "table"): 21, ("list", 1, "table", "j"): 22, ("a", "k"): 24,
    }  # fmt: skip
    assert set(lines) == set(_paths(tomllib.loads(TRICKY)))


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path] if path else []
    for key, inner in below:
        is_tree = isinstance(inner, dict | list)
        found += _paths(inner, (*path, key)) if is_tree else [(*path, key)]
    return found


@given(st.text(alphabet="[]{}=.,\"'#\n\\ax1 ", max_size=40))
@settings(max_examples=200)
def test_any_text_has_lines_and_valid_ones_have_all(text: str):
    lines = key_lines(text)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(_paths(data)) <= set(lines)


@pytest.mark.parametrize(
    ("inside", "key"),
    [
        ('link = "prev"', "link"),
        ('next = "a..b"', "next"),
        ("next = []", "next"),
        ('cursor = "c", query = ""', "query"),
        ('query = "page", first = -1', "first"),
        ('query = "page", most = 0', "most"),
        ('offset = "skip", step = "x"', "step"),
    ],
)
def test_what_is_wrong_with_pages_is_told_at_its_place(write: Config, inside: str, key: str):
    (problem,) = problems_of(write(f"[feeds.a]\n{URL}pages = {{ {inside} }}"))
    assert problem.key == f"feeds.a.pages.{key}"
    assert problem.hint


def test_pages_are_of_json_over_http(write: Config):
    (problem,) = problems_of(write(f'[feeds.a]\n{URL}pages = "link"\nformat = "xml"'))
    assert (problem.key, "JSON only" in problem.message) == ("feeds.a.pages", True)
    path = write('file_roots = ["/srv"]\n[feeds.a]\nurl = "file:///srv/a.json"\npages = "link"')
    (problem,) = problems_of(path)
    assert problem.key == "feeds.a.pages"
    feed_of(write(f'[feeds.a]\n{URL}pages = "one"\nformat = "xml"'))


# documentation


def _table(heading: str) -> list[list[str]]:
    section = DOCS.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("Keys at the top", MAIN_KEYS),
        ("Retention", RETENTION_KEYS),
        ("Account", ACCOUNT_KEYS),
        ("Address of the account", ADDRESS_KEYS),
        ("Templates", TEMPLATE_KEYS),
        ("Keys of a feed", FEED_KEYS),
        ("Keys of a web feed", WEB_FEED_KEYS),
        ("Keys of a webhook", WEBHOOK_KEYS),
        ("Keys of alerts", ALERT_KEYS),
        ("Keys of price drops", PRICE_DROP_KEYS),
        ("Keys of back in stock", BACK_IN_STOCK_KEYS),
    ],
)
def test_the_documentation_names_every_key_as_it_is(heading: str, keys: Any):
    shown = [
        (name.strip("`"), kind, default.strip("`"), meaning)
        for name, kind, default, meaning in _table(heading)
    ]
    assert shown == [(k.name, k.kind, k.default.strip("()`"), k.help) for k in keys]


@pytest.mark.parametrize("key", FEED_KEYS, ids=lambda key: key.name)
def test_a_documented_default_is_the_default(write: Config, key: Any):
    if key.default.startswith("("):
        return
    plain = feed_of(write(f"[feeds.a]\n{URL}"))
    same = feed_of(write(f"[feeds.a]\n{URL}{key.name} = {key.default}"))
    assert same == plain


@pytest.mark.parametrize("key", RETENTION_KEYS, ids=lambda key: key.name)
def test_a_documented_retention_is_the_default(write: Config, key: Any):
    assert settings_of(write(f"[retention]\n{key.name} = {key.default}")) == settings_of(write(""))


def test_every_field_has_a_key():
    assert {key.field for key in RETENTION_KEYS} == set(Retention.__struct_fields__)
    own = {"name", "base_dir", "order"}
    assert {key.field for key in FEED_KEYS} == set(FeedSettings.__struct_fields__) - own
    assert {k.field for k in MAIN_KEYS} == set(Settings.__struct_fields__) - {
        "config_path",
        "feeds",
        "web_feeds",
        "webhooks",
        "alerts",
        "price_drop",
        "back_in_stock",
    }
    assert {key.field for key in WEBHOOK_KEYS} == set(WebhookSettings.__struct_fields__) - {"name"}
    assert {key.field for key in ALERT_KEYS} == set(AlertSettings.__struct_fields__)


def test_the_documented_example_is_valid(write: Config):
    (example,) = re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    secret = "whsec_" + "c2VjcmV0" * 4
    found = settings_of(write(example), {"OUTLET_TOKEN": "x", "ERP_WEBHOOK_SECRET": secret})
    assert list(found.feeds) == ["shop", "outlet", "warehouse"]
    assert found.account.address.city == "Berlin"
