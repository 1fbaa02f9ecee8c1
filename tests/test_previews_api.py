"""Previews over HTTP: what is documented is what is answered, and what is written wrongly is told."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from test_templates_api import Shop

from feedd.app import App
from feedd.people.values import Action, Identifiers, NewEvent, Patch
from feedd.previews import Preview
from feedd.settings import AccountSettings, Settings, TemplateSettings

DOCS = (Path(__file__).parent.parent / "docs" / "api.md").read_text()
WHO = {"email": "jane.doe@example.com"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "state").mkdir()
    found = Shop(folder)
    yield found
    found.close()


def preview(shop: Shop, *, key: str | None = None, **attributes: Any) -> tuple[int, dict[str, Any]]:
    body = {"data": {"type": "template-preview", "attributes": attributes}}
    status, document = shop.ask("POST", "/api/template-previews", body, key=key)
    return status, document["data"]["attributes"] if status == 201 else document["errors"][0]


def test_the_documented_example_is_answered_as_documented(shop: Shop) -> None:
    section = DOCS.partition("### Previews")[2].partition("\n## ")[0]
    asked, answered = re.findall(r"^    (?:POST /api/template-previews|201)\n((?:    .*\n)+)", section, re.MULTILINE)  # fmt: skip
    status, document = shop.ask("POST", "/api/template-previews", asked)
    expected = json.loads(answered)
    assert status == 201, document
    found = document["data"]
    position = found["attributes"].pop("position")
    assert set(position) == set(expected["data"]["attributes"].pop("position"))
    assert {name: found[name] for name in expected["data"]} == expected["data"]


def test_the_documented_attributes_are_those_that_there_are() -> None:
    table = DOCS.partition("### Previews")[2].partition("| attribute |")[2].partition("\n\n")[0]
    named = re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in table.splitlines()[2:]))
    assert sorted(named) == sorted(Preview.__struct_fields__)


@pytest.mark.parametrize(
    ("wrong", "pointer", "told"),
    [
        ({"foo": 1}, "/foo", "Supported: template, html, text, subject"),
        ({"profile": "jane.doe@example.com"}, "/profile", 'Write {"email": "jane.doe@example.com"}'),
        ({"profile": {"emial": "x"}}, "/profile/emial", "Supported: profile, email"),
        ({"profile": {}}, "/profile", 'Write {"email": "jane.doe@example.com"}'),
        ({"event": 7}, "/event", 'properties: {"Name": "Mug"}'),
        ({"now": "Christmas"}, "/now", "Write 2026-12-24T08:00:00"),
        ({"context": json.loads("[" * 99 + "]" * 99)}, "/context", 'Write {"first_name": "Jane"}'),
        ({"event": {"a": json.loads("[" * 99 + "]" * 99)}}, "/event", "deep"),
    ],
)  # fmt: skip
def test_what_is_written_wrongly_is_told(
    shop: Shop, wrong: dict[str, Any], pointer: str, told: str
) -> None:
    status, error = preview(shop, html="x", **wrong)
    assert status == 400
    assert error["source"]["pointer"].startswith(f"/data/attributes{pointer}")
    assert told in error["detail"]


def test_an_event_is_stored_or_made_up(shop: Shop) -> None:
    viewed = NewEvent(metric="Viewed Product", properties=b'{"Name": "Mug"}', at=1_767_225_600)
    shop.app.recorder.record([Action(who=Identifiers(**WHO), event=viewed, trusted=True)])
    html = "{{ event.Name }} {{ event.value }} {{ person.email }}"
    _, found = preview(shop, html=html, event="Viewed Product")
    assert found["html"] == "Mug  jane.doe@example.com"
    made_up = {"Name": "Cup", "$value": 7}
    _, found = preview(shop, html=html, event=made_up, profile=WHO)
    assert found["html"] == "Cup 7 jane.doe@example.com"
    _, found = preview(shop, html=html, event=made_up, context={"event": {"Name": "Bowl"}})
    assert found["html"] == "Bowl  "


def test_what_is_made_up_tells_nothing_of_people(shop: Shop) -> None:
    key = shop.key_for("templates:read")
    assert preview(shop, html="{{ event.a }}", event={"a": 1}, key=key)[1]["html"] == "1"
    for more in ({"event": "Viewed Product"}, {"profile": WHO}):
        assert preview(shop, html="x", key=key, **more)[0] == 403


def test_a_time_without_a_zone_is_one_of_the_account(tmp_path: Path) -> None:
    settings = Settings(
        state_dir=tmp_path,
        socket=tmp_path / "s",
        account=AccountSettings(timezone="Europe/Berlin"),
        templates=TemplateSettings(processes=1),
    )
    app = App(settings)
    html = "{% now 'c' %}"
    try:
        shown = [
            app.previews.render(Preview(html=html, now=moment)).html
            for moment in map(
                datetime.fromisoformat,
                ("2026-12-24T00:00", "2026-12-24T00:00+00:00"),
            )
        ]
    finally:
        app.close()
    assert shown == ["2026-12-24T00:00:00+01:00", "2026-12-24T01:00:00+01:00"]


def test_where_nothing_can_be_written_messages_are_shown(tmp_path: Path) -> None:
    files = tmp_path / "mails"
    files.mkdir()
    (files / "mail.html").write_text("Hi {{ first_name }} {% unsubscribe %}")
    settings = Settings(
        state_dir=tmp_path / "state",
        socket=tmp_path / "s",
        templates=TemplateSettings(directory=files, processes=1),
    )
    settings.state_dir.mkdir()
    app = App(settings)
    app.recover()
    patch = Patch(set={"$first_name": "Jane"})
    app.recorder.record([Action(who=Identifiers(**WHO), patch=patch, trusted=True)])
    app.templates.refresh()
    app.close()
    app = App(settings)

    def close_to_writers(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA query_only=ON").close()

    for database in (app.catalog, app.people):
        database.engine.dispose()
        event.listen(database.engine, "connect", close_to_writers)
    try:
        shown = app.previews.render(Preview(template="mail", profile=Identifiers(**WHO)))
    finally:
        app.close()
    assert shown.html is not None
    assert shown.html.startswith("Hi Jane <a href=")
