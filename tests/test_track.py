"""Track and identify calls, in every form that clients send them, over TCP and the unix socket, on both databases."""

import json
import re
import socket
import subprocess
import sys
import threading
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlencode

import pytest
from conftest import KINDS, fresh_place
from daemons import UnixConnection, wait_for
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from structlog.testing import capture_logs

from feedd.api import bodies, track
from feedd.api.track_body import body_fields, json_of, unquoted
from feedd.api.track_openapi import EXAMPLES
from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.listen import HttpServer
from feedd.metrics import Metrics
from feedd.people.values import Source
from feedd.settings import Settings
from feedd.settings.secret import Secret
from feedd.store import keys, recording

TOKEN = "Ab12Cd"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
JANE = {"$email": "jane.doe@example.com"}
PAYLOAD = {
    "token": TOKEN,
    "event": "Placed Order",
    "customer_properties": JANE,
    "properties": {"$value": 29.9, "Title": "Crème brûlée >>> ??? ~~~", "Items": [{"SKU": "a+b"}]},
}
TEXT = json.dumps(PAYLOAD)


def packed(payload: Any) -> str:
    """The base64 of a payload's JSON."""
    return b64encode(json.dumps(payload).encode()).decode()


class Answer:
    """What came back."""

    def __init__(self, response: HTTPResponse) -> None:
        self.status = response.status
        self.body = response.read()
        self.headers = response.headers
        self.type = response.headers.get_content_type()

    @property
    def error(self) -> dict[str, Any]:
        (found,) = json.loads(self.body)["errors"]
        return found  # type: ignore[no-any-return]


class Shop:
    """A feedd that takes calls, and what it has recorded."""

    def __init__(self, settings: Settings) -> None:
        self.app = App(settings)
        self.app.recorder.start()
        dispatcher = Dispatcher(self.app)
        self.metrics = Metrics(self.app, dispatcher)
        self.http = HttpServer(self.app, dispatcher, settings, metrics=self.metrics)
        self.http.start()
        self.app.create_key(kind="public", name="pages", scopes=())
        self.address = self.http.address() or ""
        self.asked = 0

    def close(self) -> None:
        self.app.recorder.stop()
        self.http.stop()
        self.app.close()

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        local: bool = False,
        **more: Any,
    ) -> Answer:
        settings = self.app.settings
        connection = (
            UnixConnection(settings.socket) if local else HTTPConnection(self.address, timeout=20)
        )
        connection.request(method, path, body, headers or {}, **more)
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    def track(
        self,
        *,
        local: bool = False,
        headers: dict[str, str] | None = None,
        query: str = "",
        **members: Any,
    ) -> Answer:
        return self.ask(
            "POST", f"/api/track{query}", json.dumps(PAYLOAD | members), headers, local=local
        )

    def identify(
        self, *, local: bool = False, headers: dict[str, str] | None = None, **properties: Any
    ) -> Answer:
        body = json.dumps({"token": TOKEN, "properties": properties})
        return self.ask("POST", "/api/identify", body, headers, local=local)

    def raw(self, request: bytes) -> bytes:
        """The answer to the bytes of a request."""
        host, _, port = self.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(request)
            answer = b""
            while chunk := connection.recv(65_536):
                answer += chunk
        return answer

    def rows(self, query: str, **values: Any) -> list[Any]:
        with self.app.people.connect() as connection:
            return list(connection.execute(text(query), values))

    def count(self) -> int:
        return int(self.rows("SELECT count(*) FROM events")[0][0])

    def last(self) -> Any:
        """The event that was recorded last."""
        return self.rows(
            "SELECT m.name, e.at, e.value, e.properties, e.source, e.profile_id FROM events e"
            " JOIN metrics m ON m.id = e.metric_id ORDER BY e.id DESC LIMIT 1"
        )[0]

    def person(self, email: str) -> Any:
        (found,) = self.rows("SELECT * FROM profiles WHERE email = :email", email=email)
        return found

    def counted(self, call: str, outcome: str) -> float:
        line = f'feedd_calls_total{{call="{call}",outcome="{outcome}"}} '
        return float(self.metrics.render("")[0].decode().split(line)[1].split("\n")[0])


@pytest.fixture(scope="module", params=KINDS)
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("track")
    with (
        fresh_place(request, request.param, folder / "state") as place,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setattr(keys, "_new_text", lambda kind: TOKEN)
        made = Shop(
            Settings(
                state_dir=Path(place.state_dir),
                socket=folder / "s.sock",
                listen=("127.0.0.1", 0),
                database=Secret(place.url) if place.url else None,
            )
        )
        patched.undo()
        yield made
        made.close()


_numbers = iter(range(1_000_000))


@pytest.fixture
def at() -> int:
    """A second that nothing was recorded of yet."""
    return 1_700_000_000 + next(_numbers)


MULTIPART = (
    '--xyz\r\nContent-Disposition: form-data; name="test"\r\n\r\n0\r\n'
    '--xyz\r\nContent-Disposition: form-data; name="data"\r\n\r\n{}\r\n--xyz--\r\n'
)
# a form by its name: how a payload becomes a method, the end of the path, a body, headers
FORMS = {
    "base64 in the query": lambda p: ("GET", "?" + urlencode({"data": packed(p)}), None, {}),
    "a slash at the end": lambda p: ("GET", "/?" + urlencode({"data": packed(p)}), None, {}),
    "base64 that is not encoded for a URL": lambda p: ("GET", f"?data={packed(p)}", None, {}),
    "base64 with blanks for plus signs": lambda p: ("GET", "?data=" + packed(p).replace("+", "%20"), None, {}),
    "base64 without padding": lambda p: ("GET", "?data=" + quote(packed(p).rstrip("="), safe=""), None, {}),
    "base64 of the other alphabet": lambda p: (
        "GET", "?data=" + urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("="), None, {},
    ),
    "base64 encoded twice": lambda p: ("GET", "?data=" + quote(quote(packed(p), safe=""), safe=""), None, {}),
    "base64 in lines": lambda p: ("GET", "?" + urlencode({"data": re.sub("(.{60})", "\\1\n", packed(p)) + "\n"}), None, {}),
    "JSON in the query": lambda p: ("GET", "?" + urlencode({"data": json.dumps(p), "_": "1700000000123"}), None, {}),
    "a form with JSON": lambda p: ("POST", "", urlencode({"data": json.dumps(p)}), FORM),
    "a form with base64": lambda p: ("POST", "", urlencode({"data": packed(p)}), FORM),
    "a form without its type": lambda p: ("POST", "", urlencode({"data": json.dumps(p, ensure_ascii=False)}), {}),
    "a form of parts": lambda p: (
        "POST", "", MULTIPART.format(json.dumps(p)), {"Content-Type": "multipart/form-data; boundary=xyz"},
    ),
    "JSON": lambda p: ("POST", "/", json.dumps(p), {"Content-Type": "application/json"}),
    "JSON with a mark": lambda p: ("POST", "", "\ufeff" + json.dumps(p), {"Content-Type": "application/json"}),
    "JSON that calls itself a form": lambda p: ("POST", "", "\n" + json.dumps(p), FORM),
    "JSON that calls itself text": lambda p: ("POST", "", json.dumps(p), {"Content-Type": "text/plain"}),
    "base64 alone": lambda p: ("POST", "", packed(p), {"Content-Type": "text/plain"}),
    "the query of a POST": lambda p: ("POST", "?" + urlencode({"data": packed(p)}), "", FORM),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_payload_may_come_in_many_forms(shop: Shop, at: int, form: str) -> None:
    method, path, body, headers = FORMS[form](PAYLOAD | {"time": at})
    body = body.encode() if isinstance(body, str) else body
    answer = shop.ask(method, f"/api/track{path}", body, headers)
    assert (answer.status, answer.body, answer.type) == (200, b"1", "text/html")
    found = shop.last()
    assert (found.name, found.at, found.value, found.source) == (
        "Placed Order",
        at,
        29.9,
        Source.CLIENT,
    )
    assert json.loads(found.properties) == PAYLOAD["properties"]
    assert shop.person("jane.doe@example.com").id == found.profile_id


def test_a_form_may_come_in_chunks(shop: Shop, at: int) -> None:
    body = urlencode({"data": json.dumps(PAYLOAD | {"time": at})}).encode()
    pieces = [body[start : start + 7] for start in range(0, len(body), 7)]
    assert shop.ask("POST", "/api/track", iter(pieces), FORM, encode_chunked=True).body == b"1"
    assert shop.last().at == at


def test_properties_are_stored_as_they_were_sent(shop: Shop, at: int) -> None:
    sent = b'{"a": 1.10, "b": 12345678901234567890123, "c": "\\u00e9"}'
    body = b'{"token":"%s","event":"V","time":%d,"customer_properties":{"id":7},"properties":%s}'
    assert shop.ask("POST", "/api/track", body % (TOKEN.encode(), at, sent)).body == b"1"
    assert shop.last().properties.encode() == sent


# what clients put on the wire, to the byte; DATA is the base64 of the payload, FORM its JSON for a form
CLIENTS = {
    "Python 2": b"GET /api/track?data=DATA&test=0 HTTP/1.1\r\nHost: h\r\nUser-Agent: python-requests/2.31.0\r\n"
    b"Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n",
    "Python 3": b"POST /api/track HTTP/1.1\r\nHost: h\r\nUser-Agent: Klaviyo-Python/3.1.7\r\nAccept-Encoding: gzip, deflate\r\n"
    b"Accept: text/html\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: LENGTH\r\n\r\n"
    b"data=FORM",
    "Node, GET": b"GET /api/track?data=DATA&test=0 HTTP/1.1\r\nUser-Agent: Klaviyo-Node.js/1.1.3\r\nHost: h\r\n"
    b"Connection: close\r\n\r\n",
    "Node, POST": b"POST /api/track HTTP/1.1\r\nUser-Agent: Klaviyo-Node.js/1.1.3\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Accept: text/html\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nCHUNKS",
    "Ruby, GET": b"GET /api/track?data=DATA HTTP/1.1\r\nUser-Agent: Ruby-Klaviyo/2.3.0\r\n"
    b"Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\r\nAccept: */*\r\nConnection: close\r\nHost: h\r\n\r\n",
    "Ruby, JSON": b"POST /api/track HTTP/1.1\r\nUser-Agent: Faraday v1.0.1\r\nContent-Type: application/json\r\n"
    b"Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\r\nAccept: */*\r\nConnection: close\r\nHost: h\r\n"
    b"Content-Length: JSONLENGTH\r\n\r\nJSON",
    "PHP": b"GET /api/track?data=DATA HTTP/1.0\r\nHost: h\r\nConnection: close\r\n\r\n",
    "PHP with parts": b'POST /api/track HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nConnection: close\r\nContent-Length: PARTLENGTH\r\n'
    b"Content-Type: multipart/form-data; boundary=------------------------d74496d66958873e\r\n\r\nPARTS",
    "a page's picture": b"GET /api/track?i=1&data=DATA HTTP/1.1\r\nHost: h\r\nReferer: https://shop.example/\r\n"
    b"Accept: image/avif,image/webp,*/*\r\nConnection: close\r\n\r\n",
}  # fmt: skip


def test_what_klaviyos_php_library_leaves_out_is_not_cleared(shop: Shop, at: int) -> None:
    who = f"{at}@example.com"
    known = {"$email": who, "$first_name": "Jane", "$city": "Oslo", "Plan": "gold", "Tags": ["a"]}
    assert (
        shop.ask(
            "POST", "/api/identify", json.dumps({"token": TOKEN, "properties": known}).encode()
        ).body
        == b"1"
    )
    names = ("id", "first_name", "last_name", "organization", "title", "address1", "address2", "city", "region", "zip", "country",
             "timezone", "phone_number", "ios_tokens")  # fmt: skip
    sent = {f"${name}": None for name in names} | {"email": who, "Plan": None}
    assert shop.track(customer_properties=sent, properties=[], time=None).body == b"1"
    assert json.loads(shop.person(who).properties) == {
        "$first_name": "Jane",
        "$city": "Oslo",
        "Tags": ["a"],
    }


@pytest.mark.parametrize("client", CLIENTS)
def test_what_old_clients_send_is_understood(shop: Shop, at: int, client: str) -> None:
    payload = {
        "token": TOKEN, "event": "Ordered", "properties": [] if "PHP" in client else {"n": 1},
        "customer_properties": {"email": f"{at}@example.com", "id": str(at)}, "time": float(at),
    }  # fmt: skip
    plain = json.dumps(payload).encode()
    part = b"--------------------------d74496d66958873e"
    parts = b'%s\r\nContent-Disposition: form-data; name="data"\r\n\r\n%s\r\n%s--\r\n' % (
        part,
        plain,
        part,
    )
    form = quote(plain).encode()
    body = b"data=" + form
    request = CLIENTS[client].replace(b"DATA", quote(b64encode(plain).decode(), safe="").encode())
    request = request.replace(b"PARTLENGTH", b"%d" % len(parts)).replace(b"PARTS", parts)
    request = request.replace(b"JSONLENGTH", b"%d" % len(plain)).replace(
        b"LENGTH", b"%d" % len(body)
    )
    request = request.replace(b"CHUNKS", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
    request = request.replace(b"FORM", form).replace(b"\r\n\r\nJSON", b"\r\n\r\n" + plain)
    head, _, answer = shop.raw(request).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK"), head + answer
    assert answer == (track._PIXEL if "picture" in client else b"1")
    assert (shop.last().name, shop.last().at) == ("Ordered", at)
    assert shop.person(f"{at}@example.com").external_id == str(at)


SDK = """
import json, sys, warnings
warnings.simplefilter("ignore")
import klaviyo_sdk
client = klaviyo_sdk.Client("pk_none", max_retries=1, test_host=sys.argv[1])
track, identify = json.loads(sys.argv[2]), json.loads(sys.argv[3])
calls = client.TrackIdentify
print(calls.track_post(track), calls.track_get(track | {"event": "Ordered again"}),
      calls.identify_post(identify), calls.identify_get(identify), calls.track_get(b"no base64"))
"""


def test_the_package_klaviyo_sdk_works_as_it_is(shop: Shop, at: int) -> None:
    about = json.dumps(PAYLOAD | {"event": "Ordered", "time": at})
    who = json.dumps({"token": TOKEN, "properties": JANE | {"$city": f"City {at}"}})
    done = subprocess.run(
        [sys.executable, "-c", SDK, f"http://{shop.address}/api", about, who],
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["1", "1", "1", "1", "0"], done.stderr
    assert (shop.last().name, shop.last().at) == ("Ordered again", at)
    assert json.loads(shop.last().properties) == PAYLOAD["properties"]
    assert f"City {at}" in shop.person("jane.doe@example.com").properties


def test_once_is_once(shop: Shop, at: int) -> None:
    before = shop.count()
    for n in range(3):
        assert (
            shop.track(event=f"First {at}", properties={"__track_once__": True}, time=at + n).body
            == b"1"
        )
    assert shop.count() == before + 1


def test_what_was_recorded_before_is_taken_and_not_recorded(shop: Shop, at: int) -> None:
    duplicates = shop.counted("track", "duplicate")
    for _ in range(2):
        assert shop.track(properties={"$event_id": f"order-{at}"}).body == b"1"
    assert shop.counted("track", "duplicate") == duplicates + 1


def test_a_public_key_changes_no_identifier_and_a_private_one_does(shop: Shop, at: int) -> None:
    _, key = shop.app.create_key(kind="private", name="erp", scopes=("profiles:write",))
    private = {"Authorization": f"Klaviyo-API-Key {key}"}
    old, new = f"old.{at}@example.com", f"new.{at}@example.com"
    assert shop.identify(**{"$email": old, "$id": at}).body == b"1"
    assert shop.identify(**{"$email": new, "$id": at, "Plan": "gold"}).body == b"1"
    found = shop.rows("SELECT profile_id FROM identifiers WHERE value = :v", v=str(at))
    assert [row.profile_id for row in found] == [shop.person(old).id]
    assert shop.identify(headers=private, **{"$id": at, "$email": new}).body == b"1"
    assert shop.person(new).external_id == str(at)
    assert shop.identify(local=True, **{"$id": at, "$email": old}).body == b"1"
    assert shop.person(old).external_id == str(at)


def test_a_trusted_call_needs_no_token_and_comes_from_a_server(shop: Shop, at: int) -> None:
    _, key = shop.app.create_key(kind="private", name="erp", scopes=("events:write",))
    private = {"Authorization": f"Bearer {key}"}
    for n, more in enumerate(({"local": True}, {"headers": private})):
        assert shop.track(token=None, time=at + n * 1000, **more).body == b"1"  # type: ignore[arg-type]
        assert shop.last().source == Source.SERVER
    refused = shop.identify(headers=private, **JANE)
    assert (refused.status, refused.error["code"]) == (403, "permission_denied")
    wrong = shop.track(headers={"Authorization": "Bearer pk_wrong"})
    assert (wrong.status, wrong.error["code"]) == (401, "not_authenticated")
    assert shop.track(headers={"Authorization": "Basic eDp5"}, time=at + 5000).body == b"1"
    assert shop.last().source == Source.CLIENT


def test_an_unknown_key_is_answered_like_a_known_one_and_dropped(tmp_path: Path) -> None:
    shop = Shop(Settings(state_dir=tmp_path, socket=tmp_path / "s.sock", listen=("127.0.0.1", 0)))
    before, dropped = shop.count(), shop.counted("track", "unknown_key")
    _, private = shop.app.create_key(kind="private", name="erp", scopes=("write",))
    with capture_logs() as told:
        for token in (private, "nobody", "", 5):
            answer = shop.track(token=token)
            expected = (400, None) if token in ("", 5) else (200, b"1")
            assert (answer.status, answer.body if answer.status == 200 else None) == expected
    assert shop.count() == before
    assert shop.counted("track", "unknown_key") == dropped + 2
    shop.close()
    (line,) = [each for each in told if each["event"] == "track.dropped"]
    assert line["public_key"] == "(longer than a public key)"


def test_a_key_that_was_revoked_counts_no_more(shop: Shop, at: int) -> None:
    _, token = shop.app.create_key(kind="public", name="old", scopes=())
    assert shop.track(token=token, time=at).body == b"1"
    before = shop.count()
    shop.app.revoke_key(token)
    assert shop.track(token=token, time=at + 1).body == b"1"
    assert shop.count() == before


def test_a_trial_is_checked_and_not_recorded(shop: Shop) -> None:
    before = shop.count()
    assert shop.track(query="?test=1").body == b"1"
    assert shop.ask("POST", "/api/track", urlencode({"data": TEXT, "test": 1}), FORM).body == b"1"
    assert shop.track(query="?test=1", event="").status == 400
    assert shop.track(query="?test=1", token="nobody").body == b"1"
    assert shop.count() == before


@pytest.mark.parametrize(
    ("method", "query", "body"),
    [
        ("GET", "", None), ("GET", "?data=", None), ("GET", "?data=%25%25", None), ("GET", "?data=abcd", None),
        ("GET", "?data=abcde", None), ("POST", "", b""), ("POST", "", b"data="), ("POST", "", b"data={"), ("POST", "", b"data=%5Bobject%20Object%5D"),
        ("POST", "", b"\xff\xfe"), ("POST", "", b"a=b&c=d"), ("POST", "", b'{"event": NaN}'),
    ],
)  # fmt: skip
def test_what_is_no_json_is_answered_with_a_nought(
    shop: Shop, method: str, query: str, body: Any
) -> None:
    for call in ("track", "identify"):
        answer = shop.ask(method, f"/api/{call}{query}", body, FORM)
        assert (answer.status, answer.body) == (200, b"0")


@pytest.mark.parametrize(
    ("members", "pointer", "code"),
    [
        ({"event": ""}, "/event", "invalid"),
        ({"customer_properties": {}}, "/customer_properties", "invalid"),
        ({"customer_properties": {"$email": "x"}}, "/customer_properties/$email", "invalid"),
        ({"time": 1}, "/time", "invalid"),
        ({"token": None}, "/token", "invalid"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    shop: Shop, members: dict[str, Any], pointer: str, code: str
) -> None:
    answer = shop.track(**members)
    assert (answer.status, answer.type) == (400, "application/vnd.api+json")
    assert (answer.error["source"], answer.error["code"]) == ({"pointer": pointer}, code)
    assert answer.headers["access-control-allow-origin"] == "*"


def test_a_payload_that_is_no_object_is_refused(shop: Shop) -> None:
    answer = shop.ask("POST", "/api/track", json.dumps([PAYLOAD, PAYLOAD]).encode())
    assert (answer.status, answer.error["code"]) == (400, "invalid")
    assert "is not an object" in answer.error["detail"]


def test_the_log_tells_once_a_minute_why_calls_are_refused(tmp_path: Path) -> None:
    shop = Shop(Settings(state_dir=tmp_path, socket=tmp_path / "s.sock", listen=("127.0.0.1", 0)))
    with capture_logs() as told:
        assert shop.track(local=True, time="soon").status == 400
        assert shop.ask("GET", "/api/track?data=abcde").body == b"0"
    shop.close()
    (line,) = [each for each in told if each["event"] == "track.refused"]
    assert (line["call"], line["calls"]) == ("track", 1)
    assert line["reason"].startswith("time: ")


def test_an_order_is_not_lost_for_a_field_that_cannot_be_used(shop: Shop, at: int) -> None:
    who = {"$email": f"{at}@example.com", "$phone_number": "030 12345", "$first_name": "Jane"}
    sent = {"$value": "12,50 €", "OrderId": str(at)}
    assert shop.track(customer_properties=who, properties=sent, time=at).body == b"1"
    stored = shop.last()
    assert (stored.at, stored.value, json.loads(stored.properties)) == (at, None, sent)
    jane = shop.person(f"{at}@example.com")
    assert jane.phone_number is None
    assert json.loads(jane.properties) == {
        "$first_name": "Jane",
        "unusable_phone_number": "030 12345",
    }
    assert shop.identify(**{"$email": "n/a", "$id": str(at)}).body == b"1"
    (row,) = shop.rows("SELECT properties FROM profiles WHERE external_id = :v", v=str(at))
    assert json.loads(row.properties) == {"unusable_email": "n/a"}


def test_who_is_nobody_without_the_unusable_field_is_told(shop: Shop) -> None:
    answer = shop.track(customer_properties={"$phone_number": "030 12345"})
    assert answer.status == 400
    assert "phone" in answer.error["source"]["pointer"]


def test_what_is_too_large_is_refused(shop: Shop) -> None:
    answer = shop.track(properties={str(n): "x" * 90_000 for n in range(60)})
    assert (answer.status, answer.error["code"]) == (413, "payload_too_large")
    large = shop.track(properties={"a": "x" * 102_401})
    assert (large.status, large.error["source"]) == (400, {"pointer": "/properties/a"})
    many = {str(n): "é" * 9_000 for n in range(100)}
    assert (
        shop.ask(
            "POST",
            "/api/track",
            urlencode({"data": json.dumps(PAYLOAD | {"properties": many}, ensure_ascii=False)}),
            FORM,
        ).body
        == b"1"
    )


def test_a_body_without_an_end_is_not_read_to_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track, "MAX_BODY_BYTES", 1_000)
    request = b"POST /api/track HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n"
    assert shop.raw(request + b"x" * 1_001).startswith(b"HTTP/1.1 413 ")


def test_bodies_that_are_on_their_way_are_bounded_together(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(bodies, "MOST_HELD_BYTES", 100_000)
    host, _, port = shop.address.rpartition(":")
    large = {"a": "x" * 70_000}
    with socket.create_connection((host, int(port)), timeout=20) as slow:
        slow.sendall(
            b"POST /api/v2/people/exchange HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n"
        )
        slow.sendall(b"x" * 99_990)
        wait_for(lambda: shop.track(properties=large, query="?test=1").status == 503)
        answer = shop.track(properties=large)
        assert answer.error["code"] == "overloaded"
        assert int(answer.headers["retry-after"]) > 0
        for path in ("/api/v2/people/exchange", f"/client/events?company_id={TOKEN}"):
            request = f"POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 70000\r\n\r\n".encode()
            assert b" 503 " in shop.raw(request + b"x" * 70_000).partition(b"\r\n")[0]
        assert shop.track(time=at).body == b"1", "small ones are taken all the while"
        assert shop.track(properties=large, query="?test=1", local=True).status == 200
    wait_for(lambda: shop.track(properties=large, query="?test=1").status == 200)


def test_what_a_public_key_can_make_is_bounded(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(recording, "MAX_STORED_BYTES", 1_000)
    monkeypatch.setattr(recording, "MAX_PUBLIC_METRICS", 0)
    who = {"$email": "max.doe@example.com"}
    many = {"$append": {"seen": "x" * 600}}
    assert shop.identify(**who, **many).body == b"1"
    answer = shop.identify(**who, **{"$append": {"seen": "y" * 600}})
    assert (answer.status, answer.error["code"]) == (400, "profile_too_large")
    assert answer.error["source"] == {"pointer": "/properties"}
    answer = shop.track(event=f"New {at}", customer_properties=who, time=at)
    assert (answer.status, answer.error["code"]) == (400, "too_many_metrics")
    assert answer.error["source"] == {"pointer": "/event"}
    for _ in range(2):
        event = {"event": f"New {at}", "customer_properties": who | many | {"a": "z" * 600}}
        assert shop.track(**event, time=at, local=True).body == b"1", "the event is recorded"
    assert "seen" in shop.person("max.doe@example.com").properties
    assert "zzz" not in shop.person("max.doe@example.com").properties


def test_who_leaves_before_the_end_has_said_nothing(shop: Shop) -> None:
    before = shop.count()
    host, _, port = shop.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            b"POST /api/track HTTP/1.1\r\nHost: h\r\nContent-Length: 9999\r\n\r\n" + TEXT.encode()
        )
    assert shop.track(query="?test=1").body == b"1"
    assert shop.count() == before


def test_what_cannot_be_written_now_is_to_be_sent_again(tmp_path: Path) -> None:
    closing = Shop(
        Settings(state_dir=tmp_path, socket=tmp_path / "s.sock", listen=("127.0.0.1", 0))
    )
    closing.app.recorder.stop()
    answer = closing.track(local=True)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    _, token = closing.app.create_key(kind="public", name="pages", scopes=())
    picture = quote(packed(PAYLOAD | {"token": token}))
    assert closing.ask("GET", f"/api/track?i=1&data={picture}").status == 200
    assert closing.counted("track", "failed") == 2
    closing.close()


def test_a_picture_is_the_answer_whatever_happened(shop: Shop, at: int) -> None:
    for query in (
        f"?i=1&data={quote(packed(PAYLOAD | {'time': at}))}",
        "?i=1",
        "?i=1&data=e30",
        "?i=1&test=1",
    ):
        answer = shop.ask("GET", f"/api/track{query}")
        assert (answer.status, answer.type, answer.body[:6]) == (200, "image/gif", b"GIF89a")
        assert len(answer.body) == int(answer.headers["content-length"])
    assert shop.last().at == at


def test_a_function_of_the_page_is_called_with_the_answer(shop: Shop) -> None:
    data = quote(packed(PAYLOAD))
    answer = shop.ask(
        "GET", f"/api/track?data={data}&test=1&callback=jQuery3_1.done$&_=1700000000123"
    )
    assert (answer.body, answer.type) == (b"/**/jQuery3_1.done$(1);", "application/javascript")
    assert shop.ask("GET", "/api/track?data=x&callback=f").body == b"/**/f(0);"
    for evil in ("alert(1)//", "<script>", "a;b", ".a", "a..b", "a%0Ab", "%C3%A9", "x" * 101):
        assert (
            shop.ask("GET", f"/api/track?data={data}&callback={quote(evil, safe='%')}").status
            == 400
        )


def test_pages_of_any_origin_may_call(shop: Shop) -> None:
    for path in ("/api/track", "/api/identify/"):
        asked = {
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        preflight = shop.ask("OPTIONS", path, headers=asked)
        assert (preflight.status, preflight.body) == (204, b"")
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert "content-type" in preflight.headers["access-control-allow-headers"]
    for answer in (preflight, shop.track(query="?test=1"), shop.track(event="")):
        assert answer.headers["access-control-allow-origin"] in ("*", asked["Origin"])
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
    named = shop.track(query="?test=1", headers={"Origin": asked["Origin"]})
    for answer in (preflight, named, shop.track(event="", headers={"Origin": asked["Origin"]})):
        assert answer.headers["access-control-allow-origin"] == asked["Origin"]
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-origin" not in shop.ask("GET", "/api/feeds").headers


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
def test_other_methods_are_not_for_it(shop: Shop, method: str) -> None:
    answer = shop.ask(method, "/api/track")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST, OPTIONS")


def test_what_openapi_says_of_it_is_true(shop: Shop, at: int) -> None:
    paths = json.loads(shop.ask("GET", "/openapi.json").body)["paths"]
    for call in EXAMPLES:
        operations = paths[f"/api/{call}"]
        post = operations["post"]["requestBody"]["content"]
        example = post["application/json"]["example"]
        assert (
            example == EXAMPLES[call] == json.loads(post["multipart/form-data"]["example"]["data"])
        )
        assert (
            json.loads(json_of(operations["get"]["parameters"][0]["example"].encode()) or b"")
            == example
        )
        assert shop.ask("POST", f"/api/{call}", json.dumps(example | {"token": TOKEN})).body == b"1"


def test_many_at_once_are_each_recorded(shop: Shop, at: int) -> None:
    before = shop.count()

    def shopper(n: int) -> None:
        for m in range(5):
            assert (
                shop.track(
                    customer_properties={"$id": f"{at}-{n}"}, properties={"$event_id": f"{n}-{m}"}
                ).body
                == b"1"
            )

    threads = [threading.Thread(target=shopper, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shop.count() == before + 40


@given(st.binary(max_size=200))
def test_base64_comes_back_however_it_was_changed(data: bytes) -> None:
    for encode in (b64encode, urlsafe_b64encode):
        text_ = encode(b"{" + data + b"}")  # as every payload ends: its last letter is no plus
        for sent in (
            text_,
            text_.rstrip(b"="),
            text_.replace(b"+", b" "),
            quote(text_, safe="").encode(),
        ):
            assert json_of(sent) == b"{" + data + b"}"


@given(
    st.binary(max_size=100),
    st.sampled_from(
        (b"", b"application/json", b"multipart/form-data; boundary=a", b"multipart/form-data")
    ),
)
def test_any_body_gives_fields(body: bytes, content_type: bytes) -> None:
    for value in body_fields(body, content_type).values():
        assert json_of(value) is None or isinstance(json_of(value), bytes)


@given(st.one_of(st.binary(), st.text("%=aF0+ \n\r\t_.g", max_size=12).map(str.encode)))
def test_the_quick_way_to_decode_a_form_gives_what_the_usual_one_gives(sent: bytes) -> None:
    assert unquoted(sent) == unquote_to_bytes(sent)
    assert unquoted(quote(sent).encode()) == sent
