"""The v1 and v2 API as such: keys, where parameters stand, errors; and people."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import structlog
from conftest import KINDS
from hypothesis import given
from hypothesis import strategies as st
from legacy import Old, old_feedd

from feedd import logs
from feedd.api import attempts, legacy
from feedd.api.legacy import calls
from feedd.api.legacy.parameters import Parameters, body_parameters, query_texts, typed
from feedd.errors import UsageError
from feedd.people.identifiers import ANONYMOUS_NAMES
from feedd.people.operations import MergeProfiles
from feedd.people.values import Action, Identifiers, Patch
from feedd.store import people_metrics

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module", params=KINDS)
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Old]:
    with old_feedd(request, request.param, tmp_path_factory.mktemp("legacy")) as made:
        yield made


_numbers = iter(range(1_000_000))


@pytest.fixture
def email() -> str:
    """Somebody who has not been here."""
    return f"person.{next(_numbers)}@example.com"


# keys


PLACES = {
    "the query": lambda key: (f"?api_key={key}", None, {}),
    "the header of v2": lambda key: ("", None, {"api-key": key}),
    "Authorization": lambda key: ("", None, {"Authorization": f"Klaviyo-API-Key {key}"}),
    "a bearer's": lambda key: ("", None, {"Authorization": f"Bearer {key}"}),
    "JSON": lambda key: ("", json.dumps({"api_key": key}), JSON),
    "JSON that says nothing of itself": lambda key: ("", f' {{"api_key": "{key}"}}', {}),
    "JSON in JSON": lambda key: ("", json.dumps(json.dumps({"api_key": key})), JSON),
    "a form": lambda key: ("", f"page=0&api_key={key}", FORM),
    "a form that says nothing of itself": lambda key: ("", f"api_key={key}", {}),
    "a form of parts": lambda key: (
        "",
        f'--x\r\nContent-Disposition: form-data; name="api_key"\r\n\r\n{key}\r\n--x--\r\n',
        {"Content-Type": "multipart/form-data; boundary=x"},
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_key_may_stand_in_many_places(old: Old, place: str) -> None:
    for key, status in ((old.key, 200), (old.key[:-1], 403)):
        query, body, headers = PLACES[place](key)
        answer = old.send("GET", f"/api/v1/metrics{query}", body, headers)
        assert (answer.status, answer.headers["cache-control"]) == (status, "no-store")


def test_a_missing_key_and_a_wrong_one_are_403_in_the_words_that_clients_know(old: Old) -> None:
    missing, wrong = (
        "You must specify an API key to make requests.",
        "The API key specified is invalid.",
    )
    for path in ("/api/v1/metrics", "/api/v2/people/search?email=a@example.com"):
        for query, said in (("", missing), ("api_key=", missing), ("api_key=pk_no", wrong)):
            answer = old.send("GET", f"{path}{'&' if '?' in path else '?'}{query}")
            assert answer.status == 403
            assert answer.json == {"status": 403, "message": said, "detail": said}
            assert answer.headers.get_content_type() == "application/json"
    public, _ = old.app.create_key(kind="public", name="page", scopes=())
    assert old.send("GET", f"/api/v1/metrics?api_key={public.prefix}").json["message"] == wrong


def test_the_unix_socket_needs_no_key(old: Old) -> None:
    assert old.send("GET", "/api/v1/metrics", local=True).status == 200


SCOPES = {
    ("GET", "/v1/person/X"): "profiles:read",
    ("PUT", "/v1/person/X"): "profiles:write",
    ("GET", "/v2/people/search"): "profiles:read",
    ("POST", "/v2/people/exchange"): "profiles:read",
    ("GET", "/v1/metrics"): "metrics:read",
    ("GET", "/v1/metric/X/export"): "metrics:read",
    ("GET", "/v1/metrics/timeline"): "events:read",
    ("GET", "/v1/metric/X/timeline"): "events:read",
    ("GET", "/v1/person/X/metrics/timeline"): "events:read",
    ("GET", "/v1/person/X/metric/Y/timeline"): "events:read",
    ("POST", "/v2/data-privacy/deletion-request"): "data-privacy:write",
    ("GET", "/v1/email-templates"): "templates:read",
    ("POST", "/v1/email-templates"): "templates:write",
    ("PUT", "/v1/email-template/X"): "templates:write",
    ("DELETE", "/v1/email-template/X"): "templates:write",
    ("POST", "/v1/email-template/X/clone"): "templates:write",
    ("POST", "/v1/email-template/X/render"): "templates:read",
}


def test_each_operation_needs_its_scope(old: Old) -> None:
    keys = {scope: old.key_for(scope) for scope in sorted({*SCOPES.values(), "catalogs:read"})}
    for (method, path), needed in SCOPES.items():
        for scope, key in keys.items():
            answer = old.ask(method, path, api_key=key)
            assert (answer.status == 403) == (scope != needed), (method, path, scope)
    refused = old.get("/v1/metrics", api_key=keys["events:read"]).json["message"]
    assert "no read scope for metrics" in refused


def test_all_operations_are_among_those_with_a_scope(old: Old) -> None:
    paths = json.loads(old.send("GET", "/openapi.json").body)["paths"]
    told = {
        (method.upper(), path.removeprefix("/api"))
        for path, operations in paths.items()
        if legacy.is_legacy(path)
        for method in operations
    }
    known = {
        (
            method,
            path.replace("/X", f"/{{{path.split('/')[2].removeprefix('email-')}_id}}").replace(
                "/Y", "/{metric_id}"
            ),
        )
        for method, path in SCOPES
    }
    assert told == known


def test_who_tries_keys_has_to_wait(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MOST", 2)
    with old_feedd(request, "sqlite", tmp_path) as old:
        for body in ("", json.dumps({"api_key": "pk_2"})):
            query = "" if body else "?api_key=pk_1"
            assert old.send("GET", f"/api/v1/metrics{query}", body).status == 403
        answer = old.send("GET", "/api/v2/people/search", "", {"api-key": "pk_3"})
    assert answer.status == 429
    seconds = answer.headers["retry-after"]
    assert 0 < int(seconds) <= 60
    # what PHP's library takes: the last number
    numbers = [word for word in answer.json["detail"].split(" ") if word.isdigit()]
    assert numbers[-1] == seconds
    assert f"Expected available in {seconds} seconds." in answer.json["detail"]


# errors


def test_what_is_not_there_is_404_in_the_form_of_v1(old: Old) -> None:
    for method, path in (
        ("GET", "/v1/lists"), ("GET", "/v2/lists/"), ("POST", "/v2/list/X/subscribe"), ("GET", "/v1/campaigns"),
        ("DELETE", "/v2/list/X/members"), ("GET", "/v1"), ("POST", "/v1/email-template/X/send"), ("GET", "/v1/person"),
    ):  # fmt: skip
        answer = old.ask(method, path)
        assert answer.status == 404
        assert set(answer.json) == {"status", "message", "detail"}
        assert answer.json["detail"].startswith(f"feedd has no {method} /api/")
    assert old.key not in answer.body.decode()
    assert "errors" in old.send("GET", "/api/v3/lists").json


def test_a_method_that_a_path_has_not_is_405(old: Old) -> None:
    answer = old.ask("DELETE", "/v1/person/X/")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, PUT")
    assert answer.json["status"] == 405
    assert old.send("HEAD", f"/api/v1/metrics?api_key={old.key}").status == 200


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged meanwhile."""
    root, stream = logging.getLogger(), io.StringIO()
    before = (root.handlers[:], root.level)
    logs.configure(stream, "debug")
    yield stream
    root.handlers, root.level = before
    structlog.reset_defaults()


def test_a_key_in_a_url_is_in_no_error_and_no_log(
    old: Old, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(people_metrics, "read_metrics", broken)
    bug = old.get("/v1/metrics")
    assert (bug.status, bug.json["status"]) == (500, 500)
    answers = [
        bug,
        old.get("/v1/metric/X/timeline", since="no"),
        old.get("/v1/nothing"),
        old.get("/v3/nothing"),
        old.ask("PUT", "/v1/person/X", **{"$email": "no"}),
        old.send("GET", f"/api/v2/people/search?api_key={old.key}&api_key={old.key}x"),
        old.send("GET", f"/api/v1/metrics?api_key={old.key}", "{"),
        old.send("GET", f"/api/feeds?api_key={old.key}"),
    ]
    assert "a bug" in log.getvalue()
    for text in (*(each.body.decode() for each in answers), log.getvalue()):
        assert old.key not in text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "is not JSON"),
        ("[1]", "not an object"),
        ('{"a":' * 5_000, "levels deep"),
        ("\xff{", ""),
    ],
)
def test_a_body_that_cannot_be_used_is_400(old: Old, body: str, said: str) -> None:
    answer = old.send("GET", f"/api/v1/metrics?api_key={old.key}", body.encode("latin-1"), JSON)
    assert answer.status == 400
    assert said in answer.json["message"]


def test_a_body_that_is_too_large_is_413(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MAX_BODY_BYTES", 1_000)
    answer = old.send("PUT", f"/api/v1/person/X?api_key={old.key}", "a=" + "x" * 1_000)
    assert (answer.status, answer.json["status"]) == (413, 413)
    assert old.send("GET", f"/api/v1/metrics?{'&'.join(['a=1'] * 2_001)}").status == 400


# people


def test_a_person_is_shown_with_all_special_properties(old: Old, email: str) -> None:
    found = old.person(email, **{"$city": "Oslo", "$first_name": "Jane", "points": 12, "Tags": ["a"], "$consent": ["email"]})  # fmt: skip
    person = old.get(f"/v1/person/{found}/").json
    assert person["object"] == "person"
    assert person["id"] == found
    assert (person["$email"], person["email"]) == (email, email)
    assert (person["$first_name"], person["first_name"]) == ("Jane", "Jane")
    assert (person["$city"], person["$consent"]) == ("Oslo", ["email"])
    assert (person["points"], person["Tags"]) == (12, ["a"])
    empty = {
        "$address1", "$address2", "$country", "$id", "$last_name", "last_name", "$latitude", "$longitude", "$organization",
        "$phone_number", "$region", "$timezone", "$title", "$zip",
    }  # fmt: skip
    assert {name for name, value in person.items() if value == ""} == empty
    for name in ("created", "updated"):
        assert len(person[name]) == 19
        assert person[name][4::3][:2] == "--"


def test_nobody_is_404(old: Old) -> None:
    for path in ("/v1/person/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/v1/person/%24", "/v1/person/a%00b"):
        for method in ("GET", "PUT"):
            answer = old.ask(method, path, points=1)
            assert (answer.status, answer.json["message"]) == (
                404,
                "There is no person with that id.",
            )


CHANGE = {"$city": "Bergen", "points": 13, "vip": True, "Tags": ["a", "b"], "Code": "007", "Note": "a & ü=1"}  # fmt: skip
WAYS = {
    "the query": lambda: (urlencode(CHANGE | {"Tags": '["a","b"]'}), None, {}),
    "the query, as Python writes values": lambda: (urlencode({k: str(v) for k, v in CHANGE.items()}), None, {}),
    "the query, lists repeated": lambda: (urlencode(CHANGE, doseq=True), None, {}),
    "the query, lists as PHP has them": lambda: (
        urlencode({k: v for k, v in CHANGE.items() if k != "Tags"} | {"Tags[0]": "a", "Tags[1]": "b"}), None, {},
    ),
    "JSON": lambda: ("", json.dumps(CHANGE), JSON),
    "a form": lambda: ("", urlencode(CHANGE, doseq=True), FORM),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_properties_are_changed_from_the_query_and_from_bodies(
    old: Old, email: str, way: str
) -> None:
    found = old.person(email, **{"$first_name": "Jane", "points": 1, "Plan": "gold"})
    query, body, headers = WAYS[way]()
    answer = old.send("PUT", f"/api/v1/person/{found}?api_key={old.key}&{query}", body, headers)
    assert answer.status == 200, answer.body
    assert answer.json == old.get(f"/v1/person/{found}").json
    wanted = CHANGE | {"$first_name": "Jane", "Plan": "gold", "$email": email}
    assert {name: answer.json[name] for name in wanted} == wanted
    assert "api_key" not in answer.json


def test_a_form_comes_in_chunks_and_with_its_key(old: Old, email: str) -> None:
    found = old.person(email)
    body = urlencode({"api_key": old.key, "$title": "Dr. ü", "points": 7}).encode()
    pieces = (body[start : start + 5] for start in range(0, len(body), 5))
    answer = old.send("PUT", f"/api/v1/person/{found}", pieces, FORM, encode_chunked=True)
    assert (answer.json["$title"], answer.json["points"]) == ("Dr. ü", 7)


def test_who_may_write_and_not_read_is_told_what_they_sent(old: Old) -> None:
    found = old.person("told@example.com", **{"$city": "Oslo", "plan": "gold"})
    writer = old.key_for("profiles:write")
    path = f"/v1/person/{found}"
    nobody = {"object": "person", "id": found}
    assert old.ask("PUT", path, api_key=writer).json == nobody
    assert old.ask("PUT", path, {"email": "", "$email": "", "created": 1}, api_key=writer).json == nobody  # fmt: skip
    assert old.ask("PUT", path, {"$title": "Buyer", "size": "M"}, api_key=writer).json == {**nobody, "$title": "Buyer", "size": "M"}  # fmt: skip
    assert old.ask("PUT", path, {"$email": "tells@example.com"}, api_key=writer).json == {**nobody, "email": "tells@example.com", "$email": "tells@example.com"}  # fmt: skip
    assert old.ask("PUT", path, {"size": "L"}).json["plan"] == "gold"


@pytest.mark.parametrize(
    "unset",
    ['["Plan", "$city", "no such"]', "['Plan', '$city']", ["Plan", "$city"]],
    ids=["JSON", "Python", "repeated"],
)
def test_properties_are_unset(old: Old, email: str, unset: Any) -> None:
    found = old.person(email, **{"$city": "Oslo", "Plan": "gold", "points": 1})
    person = old.ask("PUT", f"/v1/person/{found}", **{"$unset": unset}).json
    assert (person["$city"], person["points"], "Plan" in person) == ("", 1, False)
    person = old.ask("PUT", f"/v1/person/{found}", {"$unset": ["points"], "Plan": None}).json
    assert not {"points", "Plan"} & person.keys()


def test_what_is_empty_clears_a_special_property_and_leaves_identifiers(
    old: Old, email: str
) -> None:
    found = old.person(email, **{"$city": "Oslo", "$zip": "0150"})
    person = old.ask("PUT", f"/v1/person/{found}", **{"$city": "", "$email": "", "note": ""}).json
    assert (person["$city"], person["$email"], person["note"]) == ("", email, "")
    assert old.ask("PUT", f"/v1/person/{found}", {"$zip": None}).json["$zip"] == ""
    assert old.stored(email) == {"note": ""}


def test_a_person_that_is_sent_back_stays_what_it_was(old: Old, email: str) -> None:
    """As clients do that know objects: everything they were given, in the query."""
    found = old.person(email, **{"$latitude": 59.9, "points": 12, "vip": True, "Tags": ["a", "b"], "$zip": "0150"})  # fmt: skip
    before = old.get(f"/v1/person/{found}").json
    after = old.ask("PUT", f"/v1/person/{found}", **(before | {"$title": "Dr."})).json
    assert {**after, "updated": ""} == {**before, "$title": "Dr.", "updated": ""}
    assert set(old.stored(email)) == {"$latitude", "points", "vip", "Tags", "$zip", "$title"}


def test_identifiers_are_changed(old: Old, email: str) -> None:
    found = old.person(email)
    number = 1_415_555_0000 + next(_numbers)
    new = f"new.{email}"
    given = {"$email": new.upper(), "$phone_number": number, "$id": f"C-{number}"}
    person = old.ask("PUT", f"/v1/person/{found}", **given).json
    assert person["$id"] == f"C-{number}"
    assert (person["$email"], person["$phone_number"]) == (new, f"+{number}")
    assert old.ask("PUT", f"/v1/person/{found}", email=email).json["$email"] == email
    assert old.get("/v2/people/search", email=email).json == {"id": found}
    assert old.get("/v2/people/search", email=new).status == 404


def test_what_is_anothers_is_refused_and_nothing_is_changed(old: Old, email: str) -> None:
    other = f"other.{email}"
    found, _ = old.person(email), old.person(other)
    before = old.get(f"/v1/person/{found}").json
    answer = old.ask("PUT", f"/v1/person/{found}", **{"$email": other, "$city": "Oslo"})
    assert answer.status == 400
    assert "Another person has that" in answer.json["message"]
    assert old.get(f"/v1/person/{found}").json == before


@pytest.mark.parametrize(
    ("properties", "status", "said"),
    [
        ({"$email": "no"}, 400, "$email: "),
        ({"$phone_number": "030 1234"}, 400, "$phone_number: "),
        ({"a": "x" * 102_500}, 413, "larger than 100 KB"),
        ({"$unset": {"a": [1]}, "$append": 5}, 400, "$append: "),
        ({"deep": json.loads("[" * 70 + "]" * 70)}, 400, "nested"),
    ],
)
def test_what_cannot_be_stored_is_told(
    old: Old, email: str, properties: dict[str, Any], status: int, said: str
) -> None:
    found = old.person(email)
    answer = old.ask("PUT", f"/v1/person/{found}", properties)
    assert answer.status == status
    assert said in answer.json["message"]


def test_people_are_found_by_one_identifier(old: Old, email: str) -> None:
    number = next(_numbers)
    who = Identifiers(
        email=email, phone_number=f"+4791{number:06}", external_id=f"customer {number}"
    )
    old.app.recorder.record([Action(who=who, patch=Patch(), trusted=True)])
    found = {"id": old.get("/v2/people/search", email=email).json["id"]}
    asked = {
        "email": [email, email.upper(), f" {email} "],
        "phone_number": [who.phone_number, " " + (who.phone_number or "")[1:]],
        "external_id": [who.external_id],
    }  # fmt: skip
    for name, texts in asked.items():
        for text in texts:
            assert old.get("/v2/people/search", **{name: text}).json == found, text
            assert old.ask("GET", "/v2/people/search", {name: text}).json == found
    for none in ({"email": "nobody@example.com"}, {"email": "no"}, {"phone_number": "+49"}, {"external_id": "x" * 300}):  # fmt: skip
        answer = old.get("/v2/people/search", **none)
        assert answer.status == 404
        assert answer.json["detail"] == "There is no profile matching the given parameters."
    for wrong in ({}, {"email": ""}, {"email": email, "external_id": "x"}):
        answer = old.get("/v2/people/search", **wrong)
        assert answer.status == 400
        assert "exactly one" in answer.json["detail"]


def test_a_plus_sign_that_became_a_space_is_understood(old: Old) -> None:
    number = f"1415555{7000 + next(_numbers)}"
    found = old.person(f"jane+{number}@example.com")
    sent = f"$email=jane+new{number}@example.com&$phone_number=+{number[:4]}+{number[4:]}"
    person = old.send("PUT", f"/api/v1/person/{found}?api_key={old.key}&{sent}").json
    told = (person["$email"], person["$phone_number"])
    assert told == (f"jane+new{number}@example.com", f"+{number}")
    for asked in (f"email=jane+new{number}@example.com", f"phone_number=+{number}"):
        answer = old.send("GET", f"/api/v2/people/search?{asked}&api_key={old.key}")
        assert answer.json == {"id": found}


def test_the_id_of_a_browser_is_exchanged(old: Old, email: str) -> None:
    found = old.person(email)
    number = next(_numbers)
    for name, sent, asked in (
        ("_kx", f"aB_c-{number}.Ab12Cd", f"aB_c-{number}.Ab12Cd"),
        ("$exchange_id", f"x.y{number}", f"x.y{number}.Ab12Cd"),
    ):
        assert name in ANONYMOUS_NAMES
        assert old.ask("PUT", f"/v1/person/{found}", **{name: sent}).status == 200
        assert old.ask("POST", "/v2/people/exchange", {"exchange_id": asked}).json == {"id": found}
    unknown = old.ask("POST", "/v2/people/exchange", {"exchange_id": "nobody.Ab12Cd"})
    assert (unknown.status, unknown.json["detail"]) == (404, calls.NO_PROFILE)
    answer = old.ask("POST", "/v2/people/exchange", {})
    assert (answer.status, answer.json["message"]) == (400, "exchange_id is missing.")


def test_an_id_of_a_merged_person_still_leads_to_it(old: Old, email: str) -> None:
    into, gone = old.person(email), old.person(f"gone.{email}")
    old.app.persons.answer(
        MergeProfiles(into=Identifiers(profile=into), sources=(Identifiers(profile=gone),))
    )
    assert old.get(f"/v1/person/{gone.lower()}").json["id"] == into


@pytest.mark.parametrize("name", ["email", "person_id"])
def test_one_person_is_deleted(old: Old, email: str, name: str) -> None:
    at = 1_700_000_000 + next(_numbers)
    found = old.person(email, **{"$first_name": "Jane"})
    old.record("Wrote", at, email, email=email, text=f"I am {email}")
    text = email if name == "email" else found
    answer = old.ask("POST", "/v2/data-privacy/deletion-request", {name: text})
    assert answer.status == 200
    assert email not in answer.body.decode()
    assert old.get(f"/v1/person/{found}").status == 404
    again = old.ask("POST", "/v2/data-privacy/deletion-request", {name: text})
    assert (again.status, again.json["detail"]) == (404, calls.NO_PROFILE)
    (event,) = old.get("/v1/metrics/timeline", since=at, sort="desc", count=1).json["data"]
    assert event["person"] == {"object": "person", "id": found}
    assert email not in json.dumps(event)


def test_a_deletion_names_exactly_one_identifier(old: Old) -> None:
    for body in ({}, {"email": "a@example.com", "person_id": "X"}):
        assert old.ask("POST", "/v2/data-privacy/deletion-request", body).status == 400


# parameters


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("-1.5", -1.5), ("007", "007"), ("1e5", "1e5"), ("1234567890123456", "1234567890123456"), ("+1", "+1"), ("true", True), ("False", False),
        ("None", None), ("null", None), ("yes", "yes"), ('["a"]', ["a"]), ("['a', None, True]", ["a", None, True]),
        ("{'a': 1}", {"a": 1}), ("[a]", "[a]"), ("[__import__('os')]", "[__import__('os')]"), ("[" * 10_000, "[" * 10_000),
        ("{1, 2}", "{1, 2}"), ("[1e999]", "[1e999]"), ("{1: 2}", {"1": 2}), ("", ""), (" 12", " 12"), ("١٢", "١٢"),
    ],
)  # fmt: skip
def test_texts_become_the_values_that_are_meant(text: str, value: Any) -> None:
    found = typed(text)
    assert found == value
    assert type(found) is type(value)


@given(st.text(max_size=50))
def test_any_text_has_a_value_that_json_can_say(text: str) -> None:
    json.dumps(typed(text))


@given(st.binary(max_size=200), st.sampled_from(["", "application/json", "multipart/form-data; boundary=a"]))  # fmt: skip
def test_any_body_gives_parameters_or_says_what_is_wrong(body: bytes, kind: str) -> None:
    try:
        found = body_parameters(body, kind)
    except UsageError:
        return
    for name, value in found.values():
        assert json.dumps([name, value])


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=20), max_size=4))
def test_a_query_says_what_was_written(sent: dict[str, str]) -> None:
    found = Parameters(texts=query_texts(urlencode(sent, quote_via=quote).encode()))
    for name, text in sent.items():
        assert found.text(name) == (text.strip() or None)
