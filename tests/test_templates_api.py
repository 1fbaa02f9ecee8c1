"""Templates as clients ask for them: the published client of Klaviyo's API, which checks every answer, and plain HTTP, over TCP."""

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from conftest import KINDS, fresh_place
from klaviyo_api import KlaviyoAPI
from openapi_client.exceptions import ApiException

from feedd.api.resources import names_of
from feedd.api.templates import TemplateAttributes
from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.listen import HttpServer
from feedd.settings import AccountSettings, FeedSettings, Settings, TemplateSettings
from feedd.settings.secret import Secret

HTML = "<p>Hi {{ first_name|default:'there' }}{% if event.x %}, {{ event.x.0.y }}{% endif %}</p>"
# for what the databases have no part in
ON_SQLITE = pytest.mark.parametrize("shop", ["sqlite"], indirect=True)


def template(attributes: dict[str, Any], id_: str | None = None) -> dict[str, Any]:
    data: dict[str, Any] = {"type": "template", "attributes": attributes}
    return {"data": data if id_ is None else {**data, "id": id_}}


def code(name: str, html: str = HTML, **more: Any) -> dict[str, Any]:
    return template({"name": name, "editor_type": "CODE", "html": html, **more})


class Shop:
    """A feedd on a port of loopback, with a directory of templates."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.files = folder / "mails"
        self.files.mkdir()
        (folder / "shop.json").write_text(
            '[{"id": "a", "title": "Mug & Bowl", "price": "9.50 EUR"}]'
        )
        feed = FeedSettings(name="shop", url=f"file://{folder}/shop.json", every_s=3600)
        settings = Settings(
            state_dir=folder / "state",
            socket=folder / "s",
            database=None if url is None else Secret(url),
            listen=("127.0.0.1", 0),
            file_roots=(folder,),
            feeds={"shop": feed},
            account=AccountSettings(organization="Example Shop"),
            templates=TemplateSettings(directory=self.files, processes=1),
        )
        self.app = App(settings)
        self.http = HttpServer(self.app, Dispatcher(self.app), settings)
        self.http.start()
        self.address = self.http.address() or ""
        self.key = self.key_for("read", "write")
        self.templates = KlaviyoAPI(
            self.key, max_retries=0, test_host=f"http://{self.address}"
        ).Templates

    def close(self) -> None:
        self.http.stop()
        self.app.close()

    def key_for(self, *scopes: str) -> str:
        return self.app.create_key(kind="private", name="shop", scopes=scopes)[1]

    def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None
    ) -> tuple[int, Any]:
        connection = HTTPConnection(self.address, timeout=20)
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        headers = {"Authorization": f"Klaviyo-API-Key {key or self.key}"}
        connection.request(method, path, text, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, json.loads(content) if content else None

    def error(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        status, document = self.ask(method, path, body)
        assert status >= 400, document
        return status, document["errors"][0]

    def make(self, name: str, html: str = HTML, **more: Any) -> str:
        status, document = self.ask("POST", "/api/templates", code(name, html, **more))
        assert status == 201, document
        return str(document["data"]["id"])

    def render(self, id_: str, **context: Any) -> dict[str, Any]:
        body = template({"context": context}, id_)
        status, document = self.ask("POST", "/api/template-render", body)
        assert status == 201, json.dumps(document)
        found: dict[str, Any] = document["data"]["attributes"]
        return found

    def names(self, query: str) -> list[str]:
        status, document = self.ask("GET", f"/api/templates?{query}")
        assert status == 200, document
        return [each["attributes"]["name"] for each in document["data"]]

    def file(self, name: str, text: str) -> str:
        """A template that comes from a file; its id."""
        (self.files / f"{name}.html").write_text(text)
        self.app.templates.refresh()
        return self.app.templates.named(f"{name}.html").id


@pytest.fixture(scope="module", params=KINDS)
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    with fresh_place(request, request.param, folder / "state") as place:
        made = Shop(folder, place.url)
        yield made
        made.close()


@pytest.fixture(autouse=True)
def empty(shop: Shop) -> None:
    """No templates."""
    for path in shop.files.iterdir():
        path.unlink()
    with shop.app.people.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM templates")
    shop.app.templates.refresh()


# the published client


def test_the_published_client_does_all_of_it(shop: Shop) -> None:
    api = shop.templates
    made = api.create_template(code("Monthly", text="Hi {{ first_name }}"))
    id_ = made.data.id
    assert re.fullmatch("[A-Za-z0-9]{6}", id_)
    assert made.data.attributes.html == HTML
    assert made.data.links.var_self == f"http://{shop.address}/api/templates/{id_}"
    asked = api.get_template(id_, additional_fields_template=["definition"])
    assert asked.data.attributes.name == "Monthly"
    changed = api.update_template(id_, template({"name": "Weekly", "text": None}, id_))
    assert (changed.data.attributes.name, changed.data.attributes.text) == ("Weekly", None)
    done = api.render_template(template({"context": {"first_name": "Sam"}}, id_))
    assert done.data.attributes.html == "<p>Hi Sam</p>"
    clone = api.clone_template(template({"name": "Daily"}, id_))
    assert clone.data.attributes.html == HTML
    listed = api.get_templates(filter='equals(name,"Daily")', sort="-created", page_size=5)
    assert [each.id for each in listed.data] == [clone.data.id]
    some = api.get_templates(fields_template=["name", "updated"])
    assert [each["attributes"]["name"] for each in some["data"]] == ["Weekly", "Daily"]
    api.delete_template(id_)
    with pytest.raises(ApiException) as caught:
        api.get_template(id_)
    assert caught.value.status == 404


def test_the_published_client_reads_page_by_page(shop: Shop) -> None:
    for n in range(12):
        shop.make(f"t{n:02}")
    cursor, names = None, []
    while True:
        page = shop.templates.get_templates(sort="-name", page_cursor=cursor)
        names.append([each.attributes.name for each in page.data])
        cursor = page.links.next
        if cursor is None:
            break
    assert names == [[f"t{n:02}" for n in range(11, 1, -1)], ["t01", "t00"]]


# lists


def test_lists_are_filtered_and_sorted(shop: Shop) -> None:
    ids = {name: shop.make(name) for name in ("b", "a", "Order Placed", "É")}
    with shop.app.people.transaction() as connection:
        for n, id_ in enumerate(ids.values()):
            connection.exec_driver_sql(
                f"UPDATE templates SET created_at = '2026-01-0{n + 1} 00:00:00', updated_at = '2026-02-0{5 - n} 12:00:00' WHERE uid = '{id_}'"
            )
    assert shop.names("") == ["b", "a", "Order Placed", "É"]
    for sort, wanted in {
        "name": ["Order Placed", "a", "b", "É"],
        "-name": ["É", "b", "a", "Order Placed"],
        "created": ["b", "a", "Order Placed", "É"],
        "-created": ["É", "Order Placed", "a", "b"],
        "updated": ["É", "Order Placed", "a", "b"],
        "-updated": ["b", "a", "Order Placed", "É"],
        "id": sorted(ids, key=lambda name: ids[name]),
    }.items():
        assert shop.names(f"sort={sort}") == wanted
        read: list[str] = []
        path = f"/api/templates?sort={sort}&page[size]=3"
        while path:
            document = shop.ask("GET", path)[1]
            read += [each["attributes"]["name"] for each in document["data"]]
            path = document["links"]["next"]
        assert read == wanted
    for filter_, wanted in {
        f'equals(id,"{ids["a"]}")': ["a"],
        f'any(id,["{ids["a"]}","{ids["b"]}","none"])': ["b", "a"],
        'equals(name,"A")': [],
        'any(name,["É","a"])': ["a", "É"],
        'contains(name,"order")': ["Order Placed"],
        "equals(created,2026-01-02T00:00:00+00:00)": ["a"],
        "greater-than(created,2026-01-02T00:00:00Z),less-or-equal(created,2026-01-03)": [
            "Order Placed"
        ],
        "greater-or-equal(updated,2026-02-04T12:00:00Z)": ["b", "a"],
        "less-than(updated,2026-02-03)": ["É"],
    }.items():
        assert shop.names(f"filter={quote(filter_)}") == wanted, filter_
    status, error = shop.error("GET", "/api/templates?filter=contains(id,'a')")
    assert (status, error["source"]) == (400, {"parameter": "filter"})


def test_what_is_told_is_chosen(shop: Shop) -> None:
    id_ = shop.make("a", text="t", amp="<html amp4email>")
    usual = shop.ask("GET", f"/api/templates/{id_}")[1]["data"]["attributes"]
    assert set(usual) == {"name", "editor_type", "html", "text", "amp", "created", "updated"}
    assert (usual["editor_type"], usual["text"], usual["amp"]) == ("CODE", "t", "<html amp4email>")
    assert usual["created"].endswith("+00:00")
    more = "additional-fields[template]=definition,file,problem"
    whole = shop.ask("GET", f"/api/templates/{id_}?{more}")[1]["data"]["attributes"]
    assert whole == {**usual, "definition": None, "file": None, "problem": None}
    few = shop.ask("GET", "/api/templates?fields[template]=name,problem,definition.body.id")[1]
    assert few["data"][0]["attributes"] == {"name": "a", "definition": None, "problem": None}
    assert set(names_of(TemplateAttributes)) >= {*whole, "id"}


# changes


BAD = {
    "no name": (template({"editor_type": "CODE", "html": ""}), "/data/attributes/name"),
    "an empty name": (code(""), "/data/attributes/name"),
    "a blank name": (code(" "), "/data/attributes/name"),
    "a long name": (code("x" * 256), "/data/attributes/name"),
    "a name with NUL": (code("a\0"), "/data/attributes/name"),
    "no HTML": (template({"name": "a", "editor_type": "CODE"}), "/data/attributes/html"),
    "HTML with NUL": (code("a", "a\0"), "/data/attributes/html"),
    "large HTML": (code("a", "é" * 600_000), "/data/attributes/html"),
    "large text": (code("a", text="x" * 1_100_000), "/data/attributes/text"),
    "another type": ({"data": {"type": "list", "attributes": {}}}, "/data/type"),
    "no editor": (template({"name": "a", "html": ""}), "/data/attributes/editor_type"),
    "an editor that is none": (
        template({"name": "a", "editor_type": "code", "html": ""}),
        "/data/attributes/editor_type",
    ),
    "drag and drop": (
        template({"name": "a", "editor_type": "SYSTEM_DRAGGABLE", "definition": {"body": {}}}),
        "/data/attributes/editor_type",
    ),
    "a definition": (code("a", definition={"body": {}}), "/data/attributes/definition"),
}


@pytest.mark.parametrize("what", BAD)
@ON_SQLITE
def test_what_cannot_be_made_is_told_with_its_place(shop: Shop, what: str) -> None:
    body, pointer = BAD[what]
    status, error = shop.error("POST", "/api/templates", body)
    assert (status, error["code"], error["source"]) == (400, "invalid", {"pointer": pointer})
    assert shop.names("") == []


@ON_SQLITE
def test_mistakes_are_refused_with_their_place_and_what_to_write(shop: Shop) -> None:
    id_ = shop.make("a")
    elsif = "{% if a %}\n  {% elsif b %}{% endif %}"
    for given, part in (({"html": elsif}, "html"), ({"html": "x", "text": elsif}, "text")):
        for method, path, body in (
            ("POST", "/api/templates", code("b", **given)),
            ("PATCH", f"/api/templates/{id_}", template(given, id_)),
        ):
            status, error = shop.error(method, path, body)
            assert (status, error["code"], error["title"]) == (400, "invalid", "Invalid input.")
            assert error["source"] == {"pointer": f"/data/attributes/{part}"}
            where = "" if part == "html" else "text, "
            assert error["detail"].startswith(f"{where}line 2, column ")
            assert "{% elif b %}" in error["detail"]
    assert shop.names("") == ["a"]
    assert shop.render(id_)["html"] == "<p>Hi there</p>"
    shop.file("broken", elsif)
    more = "/api/templates?additional-fields[template]=problem&filter=equals(name,'broken')"
    (found,) = shop.ask("GET", more)[1]["data"]
    assert found["attributes"]["problem"].startswith("line 2, column ")


@ON_SQLITE
def test_hybrid_templates_are_html_too(shop: Shop) -> None:
    html = '<td data-klaviyo-region="true">Hi</td>'
    body = template(
        {"name": "a", "editor_type": "USER_DRAGGABLE", "html": html, "definition": None}
    )
    status, document = shop.ask("POST", "/api/templates", body)
    assert (status, document["data"]["attributes"]["editor_type"]) == (201, "USER_DRAGGABLE")
    assert shop.render(document["data"]["id"])["html"] == html


def test_what_is_absent_stays_and_null_clears_the_text(shop: Shop) -> None:
    id_ = shop.make("a", text="t", amp="z")
    path = f"/api/templates/{id_}"
    for given, wanted in (
        ({}, ("a", HTML, "t", "z")),
        ({"name": "b", "html": None}, ("b", HTML, "t", "z")),
        ({"html": "", "name": None}, ("b", "", "t", "z")),
        ({"text": None, "amp": None, "html": "x", "definition": None}, ("b", "x", None, None)),
        ({"text": ""}, ("b", "x", None, None)),
    ):
        status, document = shop.ask("PATCH", path, template(given, id_))
        found = document["data"]["attributes"]
        assert status == 200
        assert tuple(found[name] for name in ("name", "html", "text", "amp")) == wanted
    for given, pointer in (
        (template({}, "other"), "/data/id"),
        (template({"definition": {}}, id_), "/data/attributes/editor_type"),
        (template({"name": " "}, id_), "/data/attributes/name"),
        (template({"text": "\0"}, id_), "/data/attributes/text"),
    ):
        status, error = shop.error("PATCH", path, given)
        assert (status, error["source"]) == (400, {"pointer": pointer})


def test_what_is_not_there_is_404(shop: Shop) -> None:
    for id_ in ("Ab12Cd", "a/b", "a%00b", "x" * 5_000):
        for method, body in (("GET", None), ("PATCH", template({})), ("DELETE", None)):
            assert shop.error(method, f"/api/templates/{id_}", body)[0] == 404
    for path, attributes in (("template-clone", {}), ("template-render", {"context": {}})):
        status, error = shop.error("POST", f"/api/{path}", template(attributes, "Ab12Cd"))
        assert (status, error["detail"]) == (404, "A template with id Ab12Cd does not exist.")
        assert error["source"] == {"pointer": "/data/id"}
        status, error = shop.error("POST", f"/api/{path}", template(attributes))
        assert (status, error["source"]) == (400, {"pointer": "/data/id"})


@ON_SQLITE
def test_bodies_of_older_revisions_have_the_id_among_the_attributes(shop: Shop) -> None:
    id_ = shop.make("a")
    body = template({"id": id_, "context": {"first_name": "Sam"}})
    status, document = shop.ask("POST", "/api/template-render/", body)
    assert (status, document["data"]["attributes"]["html"]) == (201, "<p>Hi Sam</p>")
    status, document = shop.ask("POST", "/api/template-clone/", template({"id": id_}))
    assert (status, document["data"]["attributes"]["name"]) == (201, "Clone of a")


def test_what_comes_from_a_file_is_shown_rendered_and_copied(shop: Shop) -> None:
    id_ = shop.file("welcome", "Hi {{ a }}")
    path = f"/api/templates/{id_}"
    for method, body in (("PATCH", template({"name": "b"})), ("DELETE", None)):
        status, error = shop.error(method, path, body)
        assert (status, error["code"]) == (409, "read_only")
        assert "welcome.html" in error["detail"]
    assert shop.render(id_, a="x")["html"] == "Hi x"
    more = f"{path}?fields[template]=name,file"
    assert shop.ask("GET", more)[1]["data"]["attributes"] == {
        "name": "welcome",
        "file": "welcome.html",
    }
    status, document = shop.ask("POST", "/api/template-clone", template({"name": "b"}, id_))
    clone = f"/api/templates/{document['data']['id']}"
    assert shop.ask("PATCH", clone, template({"html": "y"}))[0] == 200
    assert shop.ask("DELETE", clone) == (204, None)
    (shop.files / "bad.html").write_bytes(b"\xff")
    shop.app.templates.refresh()
    assert shop.ask("GET", "/api/templates")[1]["meta"] == {
        "directory": {"path": str(shop.files), "problem": None},
        "refused": [{"file": "bad.html", "reason": "is not UTF-8 text, see line 1"}],
    }


# rendering


@ON_SQLITE
def test_a_template_is_rendered_with_the_variables_that_are_given(shop: Shop) -> None:
    source = "<style>p { color: red }</style><p>{{ person.first_name }}{{ a.b.0 }}{{ none }}</p>{{ organization.name }}{% if x %}!{% endif %}"
    id_ = shop.make("a", source)
    found = shop.render(id_, person={"first_name": "<Sam>"}, a={"b": ["1"]})
    assert "&lt;Sam&gt;1</p>Example Shop" in found["html"]
    assert (found["name"], found["amp"]) == ("a", None)
    assert shop.render(id_, organization={"name": "Other"})["html"].endswith("</p>Other")
    text = shop.make("b", "<p>x</p>", text="{{ a }} & b")
    assert shop.render(text, a="<b>")["text"] == "<b> & b"


def test_items_are_looked_up_and_a_missing_one_skips_the_message(shop: Shop) -> None:
    shop.app.sync("shop", trigger="test")
    id_ = shop.make("a", "{% catalog event.id %}{{ catalog_item.title }}{% endcatalog %}")
    body = template({"context": {"event": {"id": "a"}}}, id_)
    status, document = shop.ask("POST", "/api/template-render", body)
    assert (status, document["data"]["attributes"]["html"]) == (201, "Mug &amp; Bowl")
    stream, seq = shop.app.stream_position()
    used = document["meta"]
    assert used["position"] == {"stream": stream, "seq": seq}
    assert [(each["feed"], each["item"]) for each in used["items"]] == [("shop", "a")]
    body = template({"context": {"event": {"id": "gone"}}}, id_)
    status, error = shop.error("POST", "/api/template-render", body)
    assert (status, error["code"], error["meta"]["kind"]) == (400, "skipped", "lookup")
    assert "Unable to find item with code: gone" in error["detail"]
    assert error["detail"].endswith("This message would be skipped, and the others sent.")


@ON_SQLITE
def test_what_keeps_it_from_being_rendered_is_told_with_its_place(shop: Shop) -> None:
    for source, text, detail, meta in (
        ("a\n {{ a|nothing }}", None, "line 2, column ", {"kind": "syntax", "line": 2, "part": "html"}),
        ("x", "{{ a|nothing }}", "text, line 1, column ", {"kind": "syntax", "line": 1, "part": "text"}),
        ("{% for a in l %}{{ t }}{% endfor %}", None, "", {"kind": "limit", "reason": "too_large"}),
    ):  # fmt: skip
        (shop.files / "a.html").write_text(source)
        if text is not None:
            (shop.files / "a.txt").write_text(text)
        shop.app.templates.refresh()
        id_ = shop.app.templates.named("a").id
        body = template({"context": {"l": list(range(100)), "t": "x" * 90_000}}, id_)
        status, error = shop.error("POST", "/api/template-render", body)
        assert (status, error["code"], error["source"]) == (400, "invalid", {"pointer": "/data/"})
        prefix = "Unable to render given template with provided context: "
        assert error["detail"].startswith(prefix + detail)
        assert error["meta"].items() >= meta.items()


@ON_SQLITE
@pytest.mark.parametrize(
    "attributes",
    [{}, {"context": None}, {"context": []}, {"context": json.loads('{"a":' * 65 + "1" + "}" * 65)}],
)  # fmt: skip
def test_a_context_is_an_object_that_is_not_too_deep(
    shop: Shop, attributes: dict[str, Any]
) -> None:
    status, error = shop.error("POST", "/api/template-render", template(attributes, shop.make("a")))
    assert (status, error["source"]) == (400, {"pointer": "/data/attributes/context"})


@ON_SQLITE
def test_who_cannot_wait_for_a_free_process_is_told_to_come_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = template({"context": {}}, shop.make("a"))
    with shop.app.renderer._worker():
        for name, value in (("MOST_WAITING", 0), ("WAIT_S", 0.01)):
            with monkeypatch.context() as patched:
                patched.setattr(f"feedd.rendering.renderer.{name}", value)
                status, error = shop.error("POST", "/api/template-render", body)
            assert (status, error["code"]) == (503, "overloaded")
    assert shop.ask("POST", "/api/template-render", body)[0] == 201


# who may


@ON_SQLITE
def test_each_operation_needs_its_scope(shop: Shop) -> None:
    id_ = shop.make("a")
    reads = {
        ("GET", "/api/templates"): None,
        ("GET", f"/api/templates/{id_}"): None,
        ("POST", "/api/template-render"): template({"context": {}}, id_),
    }
    writes = {
        ("POST", "/api/templates"): code("b"),
        ("POST", "/api/template-clone"): template({}, id_),
        ("PATCH", f"/api/templates/{id_}"): template({}),
        ("DELETE", f"/api/templates/{id_}"): None,
    }
    keys = {
        scope: shop.key_for(scope)
        for scope in ("templates:read", "templates:write", "profiles:read")
    }
    for needed, operations in (("templates:read", reads), ("templates:write", writes)):
        for scope, key in keys.items():
            for (method, path), body in operations.items():
                status, _ = shop.ask(method, path, body, key=key)
                assert (status == 403) == (scope != needed), (method, path, scope)
