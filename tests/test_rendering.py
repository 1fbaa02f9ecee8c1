"""Messages are rendered in a process that has nothing, and what goes wrong there costs one message."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psutil
import pytest
from structlog.testing import capture_logs

from feedd.rendering import Recipient, Rendered, Renderer, RenderFailed, Source
from feedd.rendering.lookups import Lookups
from feedd.templates.wire import Account, Failed, Limits

LIMITS = Limits(cpu_s=0.3, wall_s=2.0, output_bytes=100_000, iterations=50_000)


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    found = Renderer(Account, Lookups(), limits=LIMITS)
    yield found
    found.close()


def of(**values: Any) -> Recipient:
    return Recipient(values=json.dumps(values).encode())


def html(renderer: Renderer, source: str, **values: Any) -> str:
    return renderer.render(Source(html=source), of(**values)).html.decode()


def failure(renderer: Renderer, source: str, **values: Any) -> Failed:
    with pytest.raises(RenderFailed) as caught:
        renderer.render(Source(html=source), of(**values))
    return caught.value.failure


def test_a_missing_value_is_blank(renderer: Renderer) -> None:
    assert html(renderer, "Hello {{ a }}{{ b.c.0 }}!", a="<b>") == "Hello &lt;b&gt;!"


def test_bad_syntax_is_told_with_its_place(renderer: Renderer) -> None:
    found = failure(renderer, "fine\n  {{ a|nothing_like_it }}")
    assert (found.kind, found.line, found.column) == ("syntax", 2, 8)


def test_names_with_an_underscore_are_not_there(renderer: Renderer) -> None:
    shown = "{% for key, value in a.items %}{{ key }} {% endfor %}{{ a|length }}"
    assert html(renderer, shown, a={"_secret": 1, "open": 2}) == "open 1"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("{% for a in l %}" * 4 + "x" + "{% endfor %}" * 4, "too_many_turns"),
        ("{% for a in l %}{{ text }}{% endfor %}", "too_large"),
        ("{% if a %}" * 2000 + "{% endif %}" * 2000, "too_deep"),
        ("x" * (LIMITS.source_bytes + 1), "template_too_large"),
    ],
)
def test_what_is_too_much_fails_that_message_only(
    renderer: Renderer, source: str, code: str
) -> None:
    recipient = of(l=list(range(100)), text="y" * 5000)
    before, bad, after = (
        next(iter(renderer.render_many(Source(html=each), [recipient])))
        for each in ("{{ l.1 }}", source, "{{ l.1 }}")
    )
    assert isinstance(bad, Failed)
    assert bad.code == code
    assert isinstance(before, Rendered)
    assert isinstance(after, Rendered)
    assert before.html == after.html == b"1"


def test_what_takes_too_long_ends_its_process_and_nothing_else() -> None:
    slow = Renderer(Account, Lookups(), limits=Limits(cpu_s=0.1, iterations=10**12))
    loops = "{% if slow %}" + "{% for a in l %}" * 5 + "{% endfor %}" * 5 + "{% endif %}{{ n }}"
    people = [of(l=list(range(100)), n=n, slow=n == 3) for n in range(8)]
    try:
        outcomes = list(slow.render_many(Source(html=loops), people))
    finally:
        slow.close()
    codes = [each.code if isinstance(each, Failed) else each.html for each in outcomes]
    assert codes == [b"0", b"1", b"2", "too_slow", b"4", b"5", b"6", b"7"]


def test_a_process_that_is_killed_costs_one_message_and_is_told_now_and_then() -> None:
    renderer = Renderer(Account, Lookups(), limits=LIMITS)
    others = {child.pid for child in psutil.Process().children()}
    with capture_logs() as told, closing(renderer):
        for _ in range(3):
            assert html(renderer, "a") == "a"
            (worker,) = (each for each in psutil.Process().children() if each.pid not in others)
            worker.send_signal(signal.SIGKILL)
            while worker.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)
        assert html(renderer, "b") == "b"
    assert told == [
        {"event": "render.worker_died", "log_level": "warning", "signal": 9, "deaths": 1}
    ]


def test_the_process_has_nothing(renderer: Renderer) -> None:
    assert html(renderer, "a") == "a"
    (worker,) = [
        child
        for child in psutil.Process().children()
        if "feedd.templates.worker" in " ".join(child.cmdline())
    ]
    assert worker.environ() == {"LANG": "C.UTF-8"}
    mapped = " ".join(each.path for each in worker.memory_maps())
    assert "numpy" not in mapped
    assert "_sqlite3" not in mapped
    assert worker.rlimit(psutil.RLIMIT_NOFILE) == (3, 3)  # standard streams: none is free
    assert worker.rlimit(psutil.RLIMIT_NPROC) == (0, 0)


def test_much_that_is_large_is_sent_both_ways(renderer: Renderer) -> None:
    people = [of(text=str(n) * 90_000) for n in range(10)]
    outcomes = list(renderer.render_many(Source(html="{{ text }}"), people))
    assert [each.html[:2] for each in outcomes if isinstance(each, Rendered)] == [
        str(n).encode() * 2 for n in range(10)
    ]


def test_outcomes_come_in_the_order_of_the_recipients(renderer: Renderer) -> None:
    many = [of(n=n) for n in range(200)]
    outcomes = list(renderer.render_many(Source(html="{{ n }}"), many))
    assert [each.html for each in outcomes if isinstance(each, Rendered)] == [
        str(n).encode() for n in range(200)
    ]


def test_a_preview_text_is_one_line_wherever_it_stands(renderer: Renderer) -> None:
    source = Source(
        html="<i>{% render_variable preview_text %}</i>", preview_text="New:\r\n{{ a }}"
    )
    found = renderer.render(source, of(a="Mugs &\0 <cups>"))
    assert found.preview_text == "New: Mugs & <cups>"
    assert found.html == b"<i>New: Mugs &amp; &lt;cups&gt;</i>"
