"""Clients of v1 and v2 as they are: the package klaviyo-sdk, and what others put on the wire."""

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from legacy import Old, old_feedd

NOW = 1_790_000_000
JANE = "jane.doe@example.com"


@pytest.fixture(scope="module")
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Old]:
    with old_feedd(request, "sqlite", tmp_path_factory.mktemp("clients")) as made:
        for n in range(120):
            made.record("Placed Order", NOW - 3 * n, f"{n % 7}@example.com", value=2.5, Size="S")
        made.record("Opened Email", NOW)
        yield made


# the package klaviyo-sdk

SDK = """
import json, os, socket, sys, warnings
warnings.simplefilter("ignore")
import klaviyo_sdk
from swagger_client.rest import ApiException

host, key, tls_port, person, metric = sys.argv[1:]
find = socket.getaddrinfo
def found(name, port, *more, **options):  # this machine is a.klaviyo.com, whose name stands in the package's code
    if name == "a.klaviyo.com":
        name, port = "127.0.0.1", int(tls_port)
    return find(name, port, *more, **options)
socket.getaddrinfo = found

def failing(call, *values, **named):
    try:
        call(*values, **named)
    except ApiException as error:
        body = json.loads(error.body)
        return error.status, body["message"], body["detail"]

client = klaviyo_sdk.Client(key, max_retries=1, test_host=host)
people, metrics = client.Profiles, client.Metrics
jane = people.get_profile_id(email="jane.doe@example.com").id
changed = people.update_profile(jane, params={"$city": "Oslo", "points": 12, "vip": True, "Tags": ["a", "b"], "Plan": "x"})
told = {
    "person": people.get_profile(person),
    "changed": changed,
    "unset": people.update_profile(jane, params={"$unset": ["Plan"]}),
    "exchange": people.exchange(body={"exchange_id": "aB_c.Ab12Cd"}),
    "timeline": people.profile_metrics_timeline(person, count=2, sort="asc", since="0"),
    "of metric": people.profile_metric_timeline(person, metric, count=3),
    "metrics": metrics.get_metrics(page=0, count=1),
    "all": metrics.metrics_timeline(count=1),
    "export": metrics.metric_export(metric, start_date="2026-09-01", end_date="2026-09-30", unit="month", measurement='["sum","n"]'),
    "by": metrics.metric_export(metric, start_date="2026-09-01", end_date="2026-09-30", unit="month", measurement="value", by="Size", count=5),
    "deleted": client.DataPrivacy.request_deletion(body={"email": "jane.doe@example.com"}),
    "gone": failing(people.get_profile, jane),
    "nobody": failing(people.get_profile_id, phone_number="+14155550123"),
    "later": failing(client.ListsSegments.get_lists),
    "wrong key": failing(klaviyo_sdk.Client("pk_no", max_retries=1, test_host=host).Metrics.get_metrics),
}
first = metrics.metric_timeline(metric, since="1", sort="asc", count=100)
second = metrics.metric_timeline(metric, since=first["next"], sort="asc", count=100)
told["pages"] = [first["count"], second["count"], second["next"]]
print(json.dumps(told))
"""


@contextlib.contextmanager
def as_klaviyo(folder: Path, address: str) -> Iterator[tuple[int, Path]]:
    """A TLS port with the name of a.klaviyo.com that hands on to a plain one, and the certificate to trust."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=a.klaviyo.com", "-addext", "subjectAltName=DNS:a.klaviyo.com", "-keyout", str(key), "-out", str(certificate),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    host, _, port = address.rpartition(":")

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it is closed at the end
            while True:
                connection, _ = listener.accept()
                with (
                    connection,
                    context.wrap_socket(connection, server_side=True) as outer,
                    socket.create_connection((host, int(port)), timeout=20) as inner,
                ):
                    inner.sendall(outer.recv(65_536).replace(b"keep-alive", b"close"))
                    while chunk := inner.recv(65_536):
                        outer.sendall(chunk)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1], certificate
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_the_package_klaviyo_sdk_works_as_it_is(old: Old, tmp_path: Path) -> None:
    jane = old.person(JANE, **{"$first_name": "Jane"})
    old.ask("PUT", f"/v1/person/{jane}", _kx="aB_c.Ab12Cd")
    person, metric = old.person("0@example.com"), old.metric("Placed Order")
    with as_klaviyo(tmp_path, old.address) as (port, certificate):
        done = subprocess.run(
            [sys.executable, "-c", SDK, f"http://{old.address}/api", old.key, str(port), person, metric],
            capture_output=True,
            text=True,
            env=os.environ | {"REQUESTS_CA_BUNDLE": str(certificate), "NO_PROXY": "*"},
            timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["person"]["$email"] == "0@example.com"
    changed = {name: told["changed"][name] for name in ("$city", "points", "vip", "Tags", "Plan")}
    assert changed == {"$city": "Oslo", "points": 12, "vip": True, "Tags": ["a", "b"], "Plan": "x"}
    assert "Plan" not in told["unset"]
    assert told["unset"]["points"] == 12
    assert told["exchange"] == {"id": jane}
    assert [each["timestamp"] for each in told["timeline"]["data"]] == [NOW - 357, NOW - 336]
    assert [each["timestamp"] for each in told["of metric"]["data"]] == [NOW, NOW - 21, NOW - 42]
    assert (told["metrics"]["total"], told["metrics"]["data"][0]["id"]) == (2, metric)
    assert told["all"]["count"] == 1
    (whole,) = told["export"]["results"]
    assert whole["data"] == [{"date": "2026-09-01 00:00:00", "values": [0.0]}]
    (small,) = told["by"]["results"]
    assert small == {"segment": "S", "data": [{"date": "2026-09-01 00:00:00", "values": [300.0]}]}
    assert "deleted" in told["deleted"]
    nobody = "There is no profile matching the given parameters."
    assert told["gone"] == [404, *["There is no person with that id."] * 2]
    assert told["nobody"] == [404, nobody, nobody]
    assert told["later"][0] == 404
    assert told["wrong key"][:2] == [403, "The API key specified is invalid."]
    assert told["pages"] == [100, 20, None]


# Singer's tap-klaviyo


def test_tap_klaviyo_reads_all_there_is(old: Old) -> None:
    metric = old.metric("Placed Order")
    page, names = 0, []
    while True:  # get_all_pages
        answer = old.get("/v1/metrics", page=page, count=1).json
        names += [each["name"] for each in answer["data"]]
        if not answer["end"] < answer["total"] - 1:
            break
        page += 1
    assert names == ["Placed Order", "Opened Email"]
    read: list[Any] = []
    since: Any = NOW - 200
    while True:  # get_all_using_next
        answer = old.get(f"/v1/metric/{metric}/timeline", since=since, sort="asc").json
        read += answer["data"]
        if not (answer.get("next")):
            break
        since = answer["next"]
    seconds = [each["timestamp"] for each in read]
    assert seconds == sorted(NOW - 3 * n for n in range(67))
    assert len({each["id"] for each in read}) == 67
    kinds = {"uuid": str, "event_name": str, "timestamp": int, "object": str, "datetime": str, "statistic_id": str, "id": str,
             "event_properties": dict, "person": dict}  # fmt: skip
    assert all({name: type(each[name]) for name in kinds} == kinds for each in read)
    # the next time it begins with the last second that it saw, and misses nothing
    again = old.get(f"/v1/metric/{metric}/timeline", since=seconds[-1], sort="asc").json
    assert [each["id"] for each in again["data"]] == [read[-1]["id"]]


# what other clients put on the wire; KEY, PERSON and METRIC are replaced, LENGTH is that of the body

PYTHON = "Host: h\r\nUser-Agent: Klaviyo-Python/3.1.7\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: close\r\nContent-Type: application/json\r\n"
NODE = "Host: h\r\nUser-Agent: Klaviyo-Node.js/1.1.3\r\nConnection: close\r\n"
PHP = "Host: h\r\nAccept: */*\r\nUser-Agent: Klaviyo-PHP/2.3.0\r\nConnection: close\r\n"
RUBY = "User-Agent: Ruby_Klaviyo/2.4.0\r\nAccept: */*\r\nConnection: close\r\nHost: h\r\nContent-Type: application/json\r\n"
UNSET = quote('["Plan"]', safe="")
REQUESTS = {
    "Python, metrics": (f"GET /api/v1/metrics?page=0&count=50&api_key=KEY HTTP/1.1\r\n{PYTHON}\r\n", "total", 2),
    "Python, search": (
        f'GET /api/v2/people/search HTTP/1.1\r\n{PYTHON}Content-Length: LENGTH\r\n\r\n{{"email": "1@example.com", "api_key": "KEY"}}', "id", "PERSON",
    ),
    "Python, unset": (f"PUT /api/v1/person/PERSON?%24unset={UNSET}&api_key=KEY HTTP/1.1\r\n{PYTHON}Content-Length: 0\r\n\r\n", "id", "PERSON"),
    "Python, timeline": (f"GET /api/v1/metrics/timeline?count=100&sort=desc&api_key=KEY HTTP/1.1\r\n{PYTHON}\r\n", "count", 100),
    "Python, export": (
        f"GET /api/v1/metric/METRIC/export?metric_id=METRIC&start_date=2026-09-01&end_date=2026-09-30&api_key=KEY HTTP/1.1\r\n{PYTHON}\r\n",
        "metric", None,
    ),
    "Node, person": (f"GET /api/v1/person/PERSON?api_key=KEY HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n{NODE}\r\n", "id", "PERSON"),
    "Node, update": (
        (f"PUT /api/v1/person/PERSON?%24city=Oslo&Tags=a&Tags=b&api_key=KEY HTTP/1.1\r\n{NODE}Content-Type: application/x-www-form-urlencoded\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "$city", "Oslo",
    ),
    "Node, search": (
        f'GET /api/v2/people/search HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: LENGTH\r\n{NODE}\r\n{{"email":"1@example.com","api_key":"KEY"}}',
        "id", "PERSON",
    ),
    "PHP, search": (
        (f"GET /api/v2/people/search HTTP/1.1\r\n{PHP}api-key: KEY\r\nContent-Length: LENGTH\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
        "email=1%40example.com"), "id", "PERSON",
    ),
    "PHP, update": (f"PUT /api/v1/person/PERSON?Tags%5B0%5D=x&Tags%5B1%5D=y&api_key=KEY HTTP/1.1\r\n{PHP}\r\n", "Tags", ["x", "y"]),
    "another PHP, page": (
        (f"GET /api/v1/metrics?page=1&count=1&api_key=KEY HTTP/1.1\r\n{PHP}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: LENGTH\r\n\r\n"
        "query%5Bpage%5D=1&query%5Bcount%5D=1&query%5Bapi_key%5D=KEY"), "end", 1,
    ),
    "another PHP, update": (
        (f"PUT /api/v1/person/PERSON HTTP/1.1\r\n{PHP}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: LENGTH\r\n\r\n"
        "%24title=Dr.&%24unset=%5B%22Plan%22%5D&api_key=KEY"), "$title", "Dr.",
    ),
    "Ruby, metrics": (
        f'GET /api/v1/metrics?api_key=KEY&page=0&count=100 HTTP/1.1\r\n{RUBY}Content-Length: LENGTH\r\n\r\n{{"api_key":"KEY"}}', "page_size", 100,
    ),
    "Ruby, update": (
        f'PUT /api/v1/person/PERSON?api_key=KEY&points=7 HTTP/1.1\r\n{RUBY}Content-Length: LENGTH\r\n\r\n{{"api_key":"KEY"}}', "points", 7,
    ),
    "Ruby, deletion": (
        f'POST /api/v2/data-privacy/deletion-request HTTP/1.1\r\n{RUBY}Content-Length: LENGTH\r\n\r\n{{"email":"nobody@example.com","api_key":"KEY"}}',
        "status", 404,
    ),
    "PHP, template": (
        (f"POST /api/v1/email-templates HTTP/1.1\r\n{PHP}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: LENGTH\r\n\r\n"
        "name=Monthly&html=%3Cp%3E%7B%7B+first_name%7Cdefault%3A%27%C3%A9%27+%7D%7D%3C%2Fp%3E&api_key=KEY"), "html", "<p>{{ first_name|default:'é' }}</p>",
    ),
    "Ruby, template": (
        (f'POST /api/v1/email-templates?api_key=KEY HTTP/1.1\r\n{RUBY}Content-Length: LENGTH\r\n\r\n'
        '{"api_key":"KEY","name":"Weekly","html":"<p>\\u00e9</p>"}'), "html", "<p>é</p>",
    ),
    "Ruby, templates": (f"GET /api/v1/email-templates?api_key=KEY HTTP/1.1\r\n{RUBY}\r\n", "object", "$list"),
    "HTTP/1.0": ("GET /api/v1/metrics/?api_key=KEY HTTP/1.0\r\n\r\n", "start", 0),
}  # fmt: skip


@pytest.mark.parametrize("client", REQUESTS)
def test_what_old_clients_send_is_understood(old: Old, client: str) -> None:
    request, name, wanted = REQUESTS[client]
    person, metric = old.person("1@example.com", Plan="gold"), old.metric("Placed Order")
    request = request.replace("KEY", old.key).replace("PERSON", person).replace("METRIC", metric)
    request = request.replace("LENGTH", str(len(request.partition("\r\n\r\n")[2])))
    host, _, port = old.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request.encode())
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404" if wanted == 404 else b"HTTP/1.1 200"), answer
    found = json.loads(body)
    assert name in found
    if wanted is not None:
        assert found[name] == (person if wanted == "PERSON" else wanted)
    if "unset" in request:
        assert "Plan" not in found


def test_ids_are_found_as_rudderstack_finds_them(old: Old) -> None:
    """It goes on where the answer is 404 with these words, and gives up with any other."""
    for query in ({"email": "nobody@example.com"}, {"external_id": "none"}):
        answer = old.send("GET", f"/api/v2/people/search?{urlencode(query)}&api_key={old.key}")
        assert answer.status == 404
        assert answer.json["detail"] == "There is no profile matching the given parameters."
