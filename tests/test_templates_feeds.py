"""What templates see of web feeds: asked for once, blank where there is nothing, with their age."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from msgspec.structs import replace

from feedd.model import ErrorInfo
from feedd.store.web_feeds import WebFeedBody
from feedd.templates.check import problems
from feedd.templates.engine import compiled
from feedd.templates.feeds import Feeds
from feedd.templates.message import Message, Rendering
from feedd.templates.wire import Account, AskFeed, Known, Limits, Question, UsedFeed

RSS = {"rss": {"channel": {"item": [{"title": "One", "media:content": {"@url": "/1.jpg"}}]}}}
BODY = WebFeedBody(
    name="blog",
    body=json.dumps(RSS).encode(),
    digest="d1",
    fetched_at=datetime(2026, 3, 1, 11, 30, tzinfo=UTC),
    error=None,
)


class Shown:
    """A template, rendered, and what was asked for it."""

    def __init__(self, source: str, body: WebFeedBody | None = BODY) -> None:
        self.asked: list[Question] = []

        def answer(question: Question) -> Any:
            self.asked.append(question)
            is_known = body is not None and question == AskFeed(body.name)
            return json.loads(body.answer()) if is_known else None

        self.message = Message(
            account=Account(),
            now=datetime(2026, 3, 1, 13, tzinfo=ZoneInfo("Europe/Oslo")),
            answer=answer,
            limits=Limits(),
        )
        feeds = Feeds(self.message)
        values = {"feeds": feeds, "web_feeds": feeds.about}
        with timezone.override(self.message.now.tzinfo):
            self.text = compiled(source).render(Rendering(values, self.message))


def test_a_body_is_looped_over_and_asked_for_once() -> None:
    shown = Shown(
        "{% for item in feeds.blog.rss.channel.item %}{{ item.title }}{% endfor %}"
        "{{ feeds.blog.rss.channel.item.0.title }}{{ web_feeds.blog.status }}"
    )
    assert shown.text == "OneOneok"
    assert shown.asked == [AskFeed("blog")]
    used = UsedFeed(name="blog", digest="d1", fetched_at="2026-03-01T11:30:00Z")
    assert list(shown.message.feeds) == [used]


def test_its_age_is_told_in_the_zone_of_the_account() -> None:
    source = "{{ web_feeds.blog.age_seconds }} {{ web_feeds.blog.fetched_at.hour }}"
    assert Shown(source).text == "1800 12"


def test_what_is_not_there_is_blank() -> None:
    source = (
        "[{{ feeds.nothing.rss }}{% for x in feeds.nothing %}x{% endfor %}{{ feeds.nothing }}"
        "{{ web_feeds.nothing.status }}{% if feeds.nothing %}x{% endif %}"
        "{% if 'nothing' in feeds %}x{% endif %}{{ feeds|length }}]"
    )
    shown = Shown(source)
    assert shown.text == "[0]"
    assert shown.asked == [AskFeed("nothing")]
    assert shown.message.feeds == {}
    assert Shown("[{{ feeds.blog.rss }}]", body=None).text == "[]"


def test_whether_there_is_one_can_be_asked() -> None:
    assert Shown("{% if 'blog' in feeds %}yes{% endif %}").text == "yes"
    assert Shown("{% if 3 in feeds %}yes{% endif %}").text == ""


def test_one_that_fails_goes_on_with_its_last_body() -> None:
    failing = replace(BODY, error=ErrorInfo(code="dns", message="no such host"))
    source = (
        "{{ feeds.blog.rss.channel.item.0.title }} {{ web_feeds.blog.status }}: "
        "{{ web_feeds.blog.error }}"
    )
    assert Shown(source, failing).text == "One failing: no such host"


def test_one_that_was_never_fetched_is_blank_and_says_that_it_fails() -> None:
    never = WebFeedBody(name="blog", error=ErrorInfo(code="dns", message="no such host"))
    source = (
        "[{{ feeds.blog.rss }}{% if 'blog' in feeds %}x{% endif %}{{ web_feeds.blog.age_seconds }}"
        "{{ web_feeds.blog.fetched_at }}] {{ web_feeds.blog.status }}: {{ web_feeds.blog.error }}"
    )
    shown = Shown(source, never)
    assert shown.text == "[] failing: no such host"
    assert shown.message.feeds == {}


def test_a_name_that_is_not_configured_is_told_by_the_check() -> None:
    source = "{{ web_feeds.blog.status }}{{ feeds.blgo.x }}{{ web_feeds.blgo.status }}"
    assert [
        (each.severity, each.hint) for each in problems(source, Known(web_feeds=("blog",)))
    ] == [
        ("warning", "did you mean feeds.blog?"),
        ("warning", "did you mean web_feeds.blog?"),
    ]
    assert problems(source) == []
