"""v1 email templates: the package klaviyo-sdk as it is, what other clients put on the wire, and what is refused."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import KINDS
from legacy import Old, old_feedd

from feedd.api.legacy.parameters import Parameters, query_texts

HTML = "<p>Hi {{ first_name|default:'there' }}, {{ a.b.1 }}</p>"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# for what the databases have no part in
ON_SQLITE = pytest.mark.parametrize("old", ["sqlite"], indirect=True)


@pytest.fixture(scope="module", params=KINDS)
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Old]:
    with old_feedd(request, request.param, tmp_path_factory.mktemp("templates")) as made:
        yield made


@pytest.fixture(autouse=True)
def empty(request: pytest.FixtureRequest) -> None:
    """No templates, where a test has a feedd."""
    if "old" not in request.fixturenames:
        return
    old: Old = request.getfixturevalue("old")
    with old.app.people.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM templates")


def made(old: Old, name: str = "a", html: str = HTML) -> str:
    answer = old.ask("POST", "/v1/email-templates", {"name": name, "html": html})
    assert answer.status == 200, answer.json
    return str(answer.json["id"])


SDK = """
import json, sys, warnings
warnings.simplefilter("ignore")
import klaviyo_sdk
from swagger_client.rest import ApiException

host, key = sys.argv[1:]
templates = klaviyo_sdk.Client(key, max_retries=1, test_host=host).Templates

def failing(call, *values, **named):
    try:
        call(*values, **named)
    except ApiException as error:
        return error.status, json.loads(error.body)["message"]

html = "<p>Hi {{ first_name|default:'there' }} &amp; {{ n }}</p>"
made = templates.create_template(name="Monthly", html=html)
id_ = made["id"]
told = {
    "made": made,
    "updated": templates.update_template(id_, name="Weekly", html=html + "!"),
    "clone": templates.clone_template(id_, name="Daily"),
    "page": templates.get_templates(page=0, count=1),
    "all": templates.get_templates(),
    "rendered": templates.render_template(id_, context=json.dumps({"first_name": "<Sam>", "n": 5})),
    "blank": templates.render_template(id_),
    "no object": failing(templates.render_template, id_, context="5"),
    "send": failing(templates.send_template, id_, from_email="shop@example.com", subject="x", to="jane.doe@example.com"),
    "deleted": templates.delete_template(id_),
    "gone": failing(templates.render_template, id_),
}
print(json.dumps(told))
"""


def test_the_package_klaviyo_sdk_works_as_it_is(old: Old) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SDK, f"http://{old.address}/api", old.key],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    template = told["made"]
    assert set(template) == {"object", "id", "name", "html", "created", "updated"}
    assert (template["object"], template["name"]) == ("email-template", "Monthly")
    assert (told["updated"]["name"], told["updated"]["html"][-1]) == ("Weekly", "!")
    assert (told["clone"]["name"], told["clone"]["html"]) == ("Daily", told["updated"]["html"])
    assert told["page"]["data"] == [told["clone"]]
    assert (told["page"]["object"], told["page"]["total"], told["page"]["page_size"]) == (
        "$list",
        2,
        1,
    )
    assert [each["name"] for each in told["all"]["data"]] == ["Daily", "Weekly"]
    rendered = told["rendered"]
    assert {**rendered, "data": ...} == {
        "object": "email-template",
        "id": template["id"],
        "name": "Weekly",
        "data": ...,
    }
    assert set(rendered["data"]) == {"html", "text"}
    assert rendered["data"]["html"] == "<p>Hi &lt;Sam&gt; &amp; 5</p>!"
    assert told["blank"]["data"]["html"] == "<p>Hi there &amp; </p>!"
    assert told["no object"][0] == 400
    assert told["send"][0] == 404
    assert "not in feedd yet" in told["send"][1]
    assert told["deleted"]["id"] == template["id"]
    assert told["gone"] == [404, f"A template with id {template['id']} does not exist."]


CONTEXTS = {
    "JSON, as text": ('{"context": "{\\"first_name\\": \\"Sam\\", \\"a\\": {\\"b\\": [1, 2]}}"}', {}),
    "JSON": ('{"context": {"first_name": "Sam", "a": {"b": [1, 2]}}}', {}),
    "a form": ("context=%7B%22first_name%22%3A%22Sam%22%2C%22a%22%3A%7B%22b%22%3A%5B1%2C2%5D%7D%7D", FORM),
    "Python's spelling": ("context=%7B%27first_name%27%3A+%27Sam%27%2C+%27a%27%3A+%7B%27b%27%3A+%5B1%2C+2%5D%7D%7D", FORM),
    "PHP's": ("context%5Bfirst_name%5D=Sam&context%5Ba%5D%5Bb%5D%5B0%5D=1&context%5Ba%5D%5Bb%5D%5B1%5D=2", FORM),
    "Ruby's": ("context[first_name]=Sam&context[a][b][]=1&context[a][b][]=2", FORM),
}  # fmt: skip


@pytest.mark.parametrize("client", CONTEXTS)
@ON_SQLITE
def test_variables_come_in_many_forms(old: Old, client: str) -> None:
    body, headers = CONTEXTS[client]
    path = f"/api/v1/email-template/{made(old)}/render?api_key={old.key}"
    answer = old.send("POST", path, body, headers)
    assert answer.json["data"]["html"] == "<p>Hi Sam, 2</p>"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("c[a]=1&c[b][c]=x&d[a]=2&c=3", {"a": 1, "b": {"c": "x"}}),
        ("c[a]=1&c[a][b]=2&c[b][x]=1&c[b]=2", {"a": 1, "b": 2}),
        ("c[a][0][n]=1&c[a][1][n]=2", {"a": [{"n": 1}, {"n": 2}]}),
        ("c[a][]=1", {"a": [1]}),
        ("c[]=1&c[", {"": [1]}),
        ("c" + "[a]" * 3_000 + "=1", None),
    ],
)
def test_objects_stand_in_forms_member_by_member(query: str, found: Any) -> None:
    told = Parameters(texts=query_texts(query.encode())).nested("c")
    assert told == found or (found is None and told)


@ON_SQLITE
def test_what_cannot_be_used_is_told(old: Old) -> None:
    id_ = made(old)
    for method, path, body, said in (
        ("POST", "/v1/email-templates", {"html": "x"}, "name is missing"),
        ("POST", "/v1/email-templates", {"name": "x"}, "html is missing"),
        ("POST", "/v1/email-templates", {"name": "x" * 256, "html": "x"}, "more than 255"),
        ("POST", "/v1/email-templates", {"name": "x", "html": "\0"}, "NUL"),
        ("POST", "/v1/email-templates", {"name": "x", "html": "{% elsif a %}"}, "line 1, column "),
        ("PUT", f"/v1/email-template/{id_}", {"html": "\n{% if a %}"}, "line 2, column "),
        ("PUT", f"/v1/email-template/{id_}", {"name": "a\0"}, "NUL"),
        ("POST", f"/v1/email-template/{id_}/clone", {"name": "a\0"}, "NUL"),
        ("POST", f"/v1/email-template/{id_}/render", {"context": [1]}, "not a JSON object"),
    ):
        answer = old.ask(method, path, body)
        assert (answer.status, said in answer.json["message"]) == (400, True), answer.json
    for method, path in (("PUT", ""), ("DELETE", ""), ("POST", "/clone"), ("POST", "/render")):
        assert old.ask(method, f"/v1/email-template/Ab12Cd{path}", {}).status == 404
    assert old.get("/v1/email-templates", count=101).status == 400


def test_they_are_listed_by_name_whatever_its_capitals(old: Old) -> None:
    for name in ("T1 copy", "a2", "B", "b"):
        old.ask("POST", "/v1/email-templates", {"name": name, "html": "x"})
    listed = old.get("/v1/email-templates").json["data"]
    assert [each["name"] for each in listed] == ["a2", "B", "b", "T1 copy"]


def test_what_is_left_out_stays(old: Old) -> None:
    id_ = made(old)
    for body, wanted in (
        ({}, ("a", HTML)),
        ({"name": "b"}, ("b", HTML)),
        ({"html": " x "}, ("b", " x ")),
    ):
        changed = old.ask("PUT", f"/v1/email-template/{id_}", body).json
        assert (changed["name"], changed["html"]) == wanted


@ON_SQLITE
def test_what_keeps_it_from_being_rendered_is_told(old: Old) -> None:
    assert (
        old.get("/v1/email-templates").json["total"] == 0
    )  # what is of files is looked for with the first
    id_ = made(old, "b", "x")
    with old.app.people.transaction() as connection:
        connection.exec_driver_sql(
            f"UPDATE templates SET html = '{{{{ a|nothing }}}}', file = 'b.html' WHERE uid = '{id_}'"
        )
    answer = old.ask("POST", f"/v1/email-template/{id_}/render", {})
    assert answer.status == 400
    assert answer.json["message"].startswith(
        "Unable to render given template with provided context: line 1, column "
    )
    for method in ("PUT", "DELETE"):
        answer = old.ask(method, f"/v1/email-template/{id_}", {"name": "c"})
        assert (answer.status, "b.html" in answer.json["message"]) == (409, True)
