"""`feedd probe`, as it is typed: before anything is configured."""

import json
import os
import subprocess
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forked import forker
from servers import FeedServer, feed_server

from feedd.cli.probe_report import fitting
from feedd.settings.stanza import Stanza, feed_name, holds_secret, page_parameters, path_value

GOOGLE = """<rss xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title>
<item><g:id>1</g:id><title>Mug</title><g:link>https://shop.example/1</g:link><g:price>9.50 EUR</g:price></item>
<item><g:id>2</g:id><title>Cup</title><g:link>https://shop.example/2</g:link><g:price>cheap</g:price></item>
<item><title>No id</title></item></channel></rss>"""
OWN = [
    {"artikel": f"A{n}", "titel": f"Tasse {n}", "preis": f"{n},50", "farbton": "rot"}
    for n in range(1, 9)
]
REPORT = {
    "url", "format", "items", "schema", "evidence", "records", "usable", "duplicates", "samples", "rejects",
    "warnings", "fields", "kept", "stanza", "error",
}  # fmt: skip


class Folder:
    """A folder in which somebody types feedd."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.env = os.environ | {
            "NO_COLOR": "1",
            "PYTHONWARNINGS": "error",
            "HOME": str(path),
            "XDG_CONFIG_HOME": str(path / "none"),
            "XDG_STATE_HOME": str(path / "state"),
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return forker().run(words, self.env, self.path)

    def report(self, *words: str, code: int = 0) -> dict[str, Any]:
        done = self.run("probe", *words, "--json")
        assert done.returncode == code, done.stderr
        (line,) = done.stdout.splitlines()
        report: dict[str, Any] = json.loads(line)
        return report

    def write(self, name: str, content: Any) -> str:
        text = content if isinstance(content, str) else json.dumps(content)
        (self.path / name).write_text(text)
        return name


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as server:
        yield server


def test_a_feed_is_told_in_words(folder: Folder, server: FeedServer) -> None:
    server.bodies["/feed.xml"] = GOOGLE.encode()
    done = folder.run("probe", server.url("/feed.xml"))
    assert done.returncode == 0, done.stderr
    for said in ("Schema   google-product", "Records  3; 2 are items", "Mug", "id_missing", "/price",
                 "cheap", "[feeds.feed]", 'allow_private = ["127.0.0.0/8"]'):  # fmt: skip
        assert said in done.stdout
    assert sorted(path.name for path in folder.path.iterdir()) == []


def test_a_feed_is_told_to_programs(folder: Folder, server: FeedServer) -> None:
    server.bodies["/feed.xml"] = GOOGLE.encode()
    report = folder.report(server.url("/feed.xml"))
    assert report.keys() == REPORT
    assert (report["records"], report["usable"]) == (3, 2)
    assert (
        report["samples"][0] | {"id": "1", "price": 9.5, "currency": "EUR"} == report["samples"][0]
    )
    assert report["rejects"][0]["rule"] == "id_missing"
    counts = {each["pointer"]: each["count"] for each in report["warnings"]}
    assert counts == {"/image_link": 2, "/availability": 2, "/price": 1}


def test_the_stanza_is_a_configuration_that_works(folder: Folder) -> None:
    source = folder.write("own.json", {"export": {"rows": OWN}})
    report = folder.report(source)
    fields = {each["field"]: each["path"] for each in report["fields"]}
    assert fields == {"id": ["artikel"], "title": ["titel"], "price": ["preis"]}
    assert report["kept"] == ["farbton"]
    folder.write("feedd.toml", f'file_roots = ["{folder.path}"]\n\n{report["stanza"]}')
    assert folder.run("check").returncode == 0
    resync = json.loads(folder.run("resync", "own", "--json").stdout)
    assert (resync["added"], resync["rejected"]) == (8, 0)
    item = json.loads(folder.run("item", "A1", "--json").stdout)
    assert item["item"] == {k: v for k, v in report["samples"][0].items() if k != "artikel"}


def test_write_registers_the_feed(folder: Folder, server: FeedServer) -> None:
    server.bodies["/own.json"] = json.dumps(OWN).encode()
    done = folder.run("probe", server.url("/own.json"), "--write", "--name", "mugs")
    assert done.returncode == 0, done.stderr
    assert (folder.path / "feeds.d" / "mugs.toml").is_file()
    assert json.loads(folder.run("resync", "mugs", "--json").stdout)["added"] == 8
    again = folder.run("probe", server.url("/own.json"), "--write", "--name", "mugs")
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_what_could_not_be_used_is_not_written(folder: Folder) -> None:
    source = folder.write("own.json", OWN)
    folder.write("feedd.toml", 'state_dir = "state"\n')
    done = folder.run("probe", source, "--write")
    assert done.returncode == 2
    assert "file_roots" in done.stderr
    assert list((folder.path / "feeds.d").iterdir()) == []


def test_a_secret_in_an_address_is_not_written_down(folder: Folder, server: FeedServer) -> None:
    server.bodies["/own.json"] = json.dumps(OWN).encode()
    done = folder.run("probe", server.url("/own.json?token=canary"), "--name", "mugs")
    assert "canary" not in done.stdout + done.stderr
    assert 'url = { env = "MUGS_URL" }' in done.stdout


def test_a_configured_feed_is_probed_as_it_is_configured(
    folder: Folder, server: FeedServer
) -> None:
    server.bodies["/own.json"] = json.dumps(OWN).encode()
    folder.write(
        "feedd.toml",
        f'[feeds.mugs]\nurl = "{server.url("/own.json")}"\nallow_private = ["127.0.0.0/8"]\n'
        'currency = "EUR"\n[feeds.mugs.fields]\nid = "artikel"\ntitle = "farbton"\n',
    )
    report = folder.report("mugs")
    assert (report["samples"][0]["title"], report["samples"][0]["currency"]) == ("rot", "EUR")
    assert [each["field"] for each in report["fields"]] == ["price"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html><head><title>Sign in</title></head></html>", "login page"),
        (b"", "empty body"),
        (b"id,title,price\n1,Mug,2\n", "CSV"),
        (b"\x00\x01\x02", "neither JSON"),
    ],
)
def test_what_is_no_feed_is_told(
    folder: Folder, server: FeedServer, body: bytes, said: str
) -> None:
    server.bodies["/feed"] = body
    done = folder.run("probe", server.url("/feed"))
    assert done.returncode == 1
    assert said in done.stderr


def test_a_body_that_breaks_off_is_told_beside_what_could_be_read(folder: Folder) -> None:
    rows = json.dumps(
        [
            OWN[0] | {"artikel": f"A{n}", "titel": f"Tasse {n}", "text": "x" * 2000}
            for n in range(1600)
        ]
    )
    report = folder.report(folder.write("cut.json", rows[:-1]), code=1)
    assert "ends after" in report["error"]
    assert report["samples"][0]["title"] == "Tasse 0"


def test_pages_are_proposed(folder: Folder, server: FeedServer) -> None:
    link = {"Link": '</p.json?page=2>; rel="next"', "Content-Type": "application/json"}
    server.answers["/p.json"] = (200, link, json.dumps(OWN).encode())
    assert 'pages = "link"' in folder.report(server.url("/p.json"))["stanza"]


def test_nothing_in_a_feed_commands_the_terminal(folder: Folder) -> None:
    rows = [{"id": str(n), "title": "Mug \x1b[2J", "\x1b]0;key": 1} for n in range(3)]
    done = folder.run("probe", folder.write("bad.json", rows))
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("source", ["nothing", "no/such/file.json", "file:///no/such"])
def test_what_is_nowhere_is_told(folder: Folder, source: str) -> None:
    done = folder.run("probe", source)
    assert done.returncode == 2
    assert "no address, no file and no configured feed" in done.stderr


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://www.mugs.co.uk/feed.xml", "mugs"),
        ("https://shop.example.com/feed.xml", "example"),
        ("http://127.0.0.1:80/My%20feed.xml", "my-20feed"),
        ("http://[::1]/x.json", "x"),
        ("http://localhost/", "shop"),
        ("file:///srv/Feeds/Herbst_2026.json", "herbst-2026"),
    ],
)
def test_feeds_are_named_by_where_they_come_from(url: str, name: str) -> None:
    assert feed_name(url) == name


def test_a_stanza_is_toml_that_says_the_same() -> None:
    stanza = Stanza(
        name="mugs",
        url='https://u:pw@x.example/a?q="1"',
        schema="item",
        items="",
        currency="EUR",
        allow_private=["10.0.0.1"],
        fields={"id": path_value(("a.b", "c")), "title": path_value(("x", "y")), "a b": "z\x7f\n"},
    )
    found = tomllib.loads(stanza.text())["feeds"]["mugs"]
    assert found == {
        "url": 'https://x.example/a?q="1"',
        "auth": {"username": "u", "password": {"env": "MUGS_PASSWORD"}},
        "schema": "item",
        "items": "",
        "currency": "EUR",
        "allow_private": ["10.0.0.1"],
        "fields": {"id": ["a.b", "c"], "title": "x.y", "a b": "z\x7f\n"},
    }


@pytest.mark.parametrize(
    ("url", "secret"),
    [("https://x.example/?api_key=1", True), ("https://x.example/?Signature=1", True),
     ("https://x.example/?page=1", False), ("https://x.example/token", False)],
)  # fmt: skip
def test_secrets_in_addresses_are_told_by_their_names(url: str, secret: bool) -> None:
    assert holds_secret(url) is secret


def test_a_configured_source_in_pages_is_probed_as_one_feed(
    folder: Folder, server: FeedServer
) -> None:
    for number, following in ((1, "?page=2"), (2, None)):
        rows = [{"id": f"{number}-{n}", "title": "Тетрадь"} for n in range(2)]
        page = {"goods": rows, "next": following}
        body = json.dumps(page, ensure_ascii=False).encode("cp1251")
        server.answers["/feed" if number == 1 else "/feed?page=2"] = (200, {}, body)
    url = server.url("/feed")
    head = (
        f'[feeds.shop]\nurl = "{url}"\nallow_private = ["127.0.0.0/8"]\nencoding = "windows-1251"\n'
    )
    folder.write("feedd.toml", head)
    report = folder.report("shop")
    assert (report["records"], report["items"]) == (2, "goods")
    assert [row["title"] for row in report["samples"]] == ["Тетрадь"] * 2
    folder.write("feedd.toml", head + 'items = "goods"\npages = { next = "next" }\n')
    report = folder.report("shop")
    assert (report["records"], report["usable"], report["error"]) == (4, 4, None)


def test_only_places_that_the_schema_does_not_know_are_written(folder: Folder) -> None:
    rows = [
        {"sku": f"A{n}", "name": f"Tasse {n}", "price": n, "url": f"https://x.example/{n}"}
        for n in range(1, 5)
    ]
    report = folder.report(folder.write("own.json", json.dumps(rows)))
    assert [each["field"] for each in report["fields"]] == ["id"]
    assert report["samples"][0]["title"] == "Tasse 1"


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (b'<!DOCTYPE a [<!ELEMENT a ANY>]><a><b><id>1</id><name>x</name></b></a>', "# doctype = true"),
        ("<a><b><id>1</id><name>Чайник</name></b><b><id>2</id><name>Утюг</name></b></a>".encode("cp1251"), "# encoding ="),
    ],
)  # fmt: skip
def test_what_a_body_needs_to_be_read_stands_in_a_note(
    folder: Folder, body: bytes, note: str
) -> None:
    path = folder.path / "own.xml"
    path.write_bytes(body)
    assert note in folder.report(str(path), code=1)["stanza"]


def test_an_error_answer_gets_no_configuration(folder: Folder) -> None:
    body = {"error": {"details": [{"id": n, "title": "Expired"} for n in range(3)]}}
    shown = folder.run("probe", folder.write("own.json", json.dumps(body))).stdout
    assert "is it an error message?" in shown
    assert "[feeds." not in shown


def test_a_table_keeps_to_the_width_of_the_terminal() -> None:
    names = ["id", "title", "price", "availability", "brand"]
    cells = [
        dict(zip(names, ["4711", "A mug " * 6, "9.5", "in_stock", "Potter & Sons"], strict=True))
    ]
    assert fitting(names, cells, 10_000) == {
        "id": 4, "title": 36, "price": 5, "availability": 12, "brand": 13,
    }  # fmt: skip
    narrow = fitting(names, cells, 60)
    assert narrow == {"id": 4, "title": 27, "price": 5, "availability": 12}
    assert sum(narrow.values()) + 3 * len(narrow) == 60
    assert list(fitting(names, cells, 5)) == ["id"]


def test_records_are_numbered_in_many_languages(folder: Folder) -> None:
    name = folder.write("ware.json", {"waren": [{"nummer": n, "titel": "Tasse"} for n in (1, 2)]})
    report = folder.report(name)
    assert (report["items"], report["usable"]) == ("waren", 2)
    assert report["fields"][0]["path"] == ["nummer"]


def test_html_beside_a_text_is_no_key_of_the_feed(folder: Folder) -> None:
    rows = [{"id": 1, "title": "Mug", "description": "<p>Blue</p>", "glaze": "matt"}]
    report = folder.report(folder.write("mugs.json", rows))
    assert report["samples"][0]["description_html"] == "<p>Blue</p>"
    assert report["kept"] == ["glaze"]
    assert "in the list at the root" in report["evidence"][0]


def test_what_one_knows_better_stands_in_the_stanza(folder: Folder) -> None:
    rows = json.dumps(
        [row | {"titel": f"Кружка {row['artikel']}"} for row in OWN], ensure_ascii=False
    )
    with zipfile.ZipFile(folder.path / "own.zip", "w") as archive:
        archive.writestr("a.json", rows.encode("windows-1251"))
        archive.writestr("b.json", "[]")
    folder.write("mine.json", {"$ref": "item", "properties": {"id": {"x-source": "artikel"}}})
    words = ("--encoding", "windows-1251", "--member", "a.json", "--schema", "mine.json")
    report = folder.report("own.zip", *words)
    assert report["samples"][0]["title"] == "Кружка A1"
    stanza = tomllib.loads(report["stanza"])["feeds"]["own"]
    assert (stanza["encoding"], stanza["member"]) == ("windows-1251", "a.json")
    assert stanza["schema"] == str(folder.path / "mine.json")
    folder.write("feedd.toml", f'file_roots = ["{folder.path}"]\n')
    assert folder.run("probe", "own.zip", *words, "--write").returncode == 0
    assert json.loads(folder.run("resync", "own", "--json").stdout)["added"] == 8


@pytest.mark.parametrize(
    ("url", "names"),
    [("https://x.example/p?page=1&limit=5", ["page"]), ("https://x.example/p?page=all", []),
     ("https://x.example/page/1", [])],
)  # fmt: skip
def test_the_number_of_a_page_in_an_address_is_noticed(url: str, names: list[str]) -> None:
    assert page_parameters(url) == names
