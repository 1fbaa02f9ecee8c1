"""[web_feeds.NAME] become settings, or every problem with its place and what to write instead."""

from pathlib import Path
from typing import Any

import pytest

from feedd.checks import address_problem
from feedd.errors import ConfigError
from feedd.settings import Bearer, Settings, WebFeedSettings, changed_web_feeds, load, secret_values
from feedd.settings.web_feed_keys import MOST_WEB_FEEDS, WEB_FEED_KEYS

LEAST = '[web_feeds.blog]\nurl = "https://blog.example/feed.json"\n'


def settings_of(folder: Path, text: str, drop_in: str = "", **environ: str) -> Settings:
    path = folder / "feedd.toml"
    path.write_text(text)
    if drop_in:
        (folder / "feeds.d").mkdir(exist_ok=True)
        (folder / "feeds.d" / "more.toml").write_text(drop_in)
    return load(
        path, environ={"T": "hush-hush"} | environ, cwd=folder, check_address=address_problem
    )


def problems_of(folder: Path, text: str, drop_in: str = "") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings_of(folder, text, drop_in)
    assert all(problem.line and problem.hint for problem in caught.value.problems)
    return [f"{p.key}: {p.message}. {p.hint}" for p in caught.value.problems]


def test_the_least_is_an_address(tmp_path: Path) -> None:
    assert settings_of(tmp_path, LEAST).web_feeds == {
        "blog": WebFeedSettings(name="blog", url="https://blog.example/feed.json", every_s=900.0)
    }


def test_everything_can_be_said(tmp_path: Path) -> None:
    text = """
[web_feeds.Blog_2]
url = { env = "U" }
enabled = false
method = "post"
format = "xml"
cron = "*/5 * * * *"
timezone = "Europe/Oslo"
jitter = "1m"
headers = { X-Api-Key = { env = "T" } }
auth = { token = { env = "T" } }
timeout = "5s"
max_bytes = "1MB"
encoding = "windows-1251"
allow_empty = true
allow_private = ["10.0.0.0/8"]
"""
    settings = settings_of(tmp_path, text, U="https://blog.example/?key=secret-key")
    found = settings.web_feeds["Blog_2"]
    assert (found.cron, found.every_s, found.max_bytes) == ("*/5 * * * *", None, 1_000_000)
    assert isinstance(found.auth, Bearer)
    assert {"hush-hush", "https://blog.example/?key=secret-key"} <= set(secret_values(settings))
    assert "hush-hush" not in repr(settings)


def test_drop_ins_may_hold_them_too(tmp_path: Path) -> None:
    drop_in = LEAST.replace("blog", "news")
    assert list(settings_of(tmp_path, LEAST, drop_in).web_feeds) == ["blog", "news"]
    (problem,) = problems_of(tmp_path, LEAST, LEAST)
    assert "already defined in" in problem
    assert "feedd.toml:1" in problem


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("_blog", "[web_feeds.blog]"),
        ("my-blog", "[web_feeds.my_blog]"),
        ('"my blog"', "[web_feeds.my_blog]"),
        ("bläg".join('""'), "[web_feeds.bl_g]"),
        ('"é"', "A name is letters"),
        ("items", "[web_feeds.my_items]"),
        ("a" * 65, "at most 64"),
    ],
)
def test_a_name_is_one_that_templates_can_write(tmp_path: Path, name: str, says: str) -> None:
    (problem,) = problems_of(tmp_path, LEAST.replace("blog]", f"{name}]"))
    assert "cannot be the name of a web feed" in problem
    assert says in problem


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("web_feeds = 3", "is not a table of web feeds"),
        ("[web_feeds]\nblog = 3", "is not a table"),
        ("[web_feeds.blog]", "has no url"),
        (f"{LEAST}evry = 3", "Did you mean every?"),
        (f"{LEAST}method = 'put'", "get"),
        (f"{LEAST}format = 'jsonl'", "json"),
        (f"{LEAST}every = '1m'\ncron = '* * * * *'", "beside every"),
        (f"{LEAST}every = '1m'\njitter = '2m'", "longer than the 60 s"),
        (f"{LEAST}max_bytes = '1GB'", "more than 16777216 bytes"),
        (f"{LEAST}timeout = '10m'", "at most 120 s"),
        (f"{LEAST}auth = {{ token = 'x' }}", "plain text"),
        (
            f"{LEAST}headers = {{ Authorization = {{ env = 'T' }} }}\nauth = {{ token = {{ env = 'T' }} }}",
            "beside auth",
        ),
        (LEAST.replace("https", "ftp"), "does not fetch ftp://"),
        (LEAST.replace("blog.example", "127.0.0.1"), "allow_private"),
        (LEAST.replace("https://blog.example", "file:///srv"), "file_roots"),
        (
            "file_roots = ['/srv']\n"
            + LEAST.replace("https://blog.example", "file:///srv")
            + "method = 'post'",
            "is not for files",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, says: str) -> None:
    assert any(says in problem for problem in problems_of(tmp_path, text))


def test_there_are_not_more_than_so_many(tmp_path: Path) -> None:
    text = "".join(LEAST.replace("blog]", f"b{n}]") for n in range(MOST_WEB_FEEDS + 1))
    (problem,) = problems_of(tmp_path, text)
    assert f"more than {MOST_WEB_FEEDS}" in problem


def test_what_a_reload_changes(tmp_path: Path) -> None:
    old = settings_of(tmp_path, LEAST + LEAST.replace("blog]", "news]"))
    new = settings_of(tmp_path, LEAST + "every = '1h'\n" + LEAST.replace("blog]", "shop]"))
    assert changed_web_feeds(old, new) == {"blog", "shop"}
    assert changed_web_feeds(old, old) == set()


@pytest.mark.parametrize("key", WEB_FEED_KEYS, ids=lambda key: key.name)
def test_a_documented_default_is_the_default(tmp_path: Path, key: Any) -> None:
    if not key.default.startswith("("):
        plain = settings_of(tmp_path, LEAST).web_feeds
        assert settings_of(tmp_path, f"{LEAST}{key.name} = {key.default}").web_feeds == plain


def test_every_field_has_a_key() -> None:
    assert {key.field for key in WEB_FEED_KEYS} == set(WebFeedSettings.__struct_fields__) - {"name"}
