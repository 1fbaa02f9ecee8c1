"""What tests of the v1 and v2 API share: a feedd that is asked over TCP, and people who do things."""

import contextlib
import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from conftest import fresh_place
from daemons import UnixConnection

from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.listen import HttpServer
from feedd.people.values import Action, Identifiers, NewEvent, Patch
from feedd.settings import Settings
from feedd.settings.secret import Secret


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Old:
    """A feedd, a private key that may do everything, and a client that knows no more than HTTP."""

    def __init__(self, settings: Settings) -> None:
        self.app = App(settings)
        self.app.recorder.start()
        self.http = HttpServer(self.app, Dispatcher(self.app), settings)
        self.http.start()
        self.address = self.http.address() or ""
        self.key = self.key_for("read", "write")

    def close(self) -> None:
        self.app.recorder.stop()
        self.http.stop()
        self.app.close()

    def key_for(self, *scopes: str) -> str:
        return self.app.create_key(kind="private", name="old", scopes=scopes)[1]

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        local: bool = False,
        **more: Any,
    ) -> Answer:
        connection = (
            UnixConnection(self.app.settings.socket)
            if local
            else HTTPConnection(self.address, timeout=20)
        )
        connection.request(method, path, body, headers or {}, **more)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        return answer

    def ask(self, method: str, path: str, body: Any = None, /, **query: Any) -> Answer:
        """With the key in the query, as clients of v1 have it; `body` is sent as JSON."""
        query = {"api_key": self.key} | query
        text = None if body is None else json.dumps(body)
        return self.send(method, f"/api{path}?{urlencode(query, doseq=True)}", text)

    def get(self, path: str, /, **query: Any) -> Answer:
        return self.ask("GET", path, **query)

    def person(self, email: str | None = None, **properties: Any) -> str:
        """The id of a person, who is made if need be."""
        who = Identifiers(email=email or f"{len(properties)}@example.com")
        action = Action(who=who, patch=Patch(set=properties), trusted=True)
        (outcome,) = self.app.recorder.record([action])
        with self.app.people.connect() as connection:
            return str(
                connection.exec_driver_sql(
                    f"SELECT uid FROM profiles WHERE id = {outcome.profile}"
                ).scalar()
            )

    def stored(self, email: str) -> dict[str, Any]:
        """The properties of a person as they are stored."""
        with self.app.people.connect() as connection:
            query = f"SELECT properties FROM profiles WHERE email = '{email}'"
            found: dict[str, Any] = json.loads(connection.exec_driver_sql(query).scalar_one())
        return found

    def record(
        self,
        metric: str,
        at: int,
        who: str = "jane.doe@example.com",
        /,
        *,
        value: float | None = None,
        unique_id: str | None = None,
        **properties: Any,
    ) -> int:
        """The number of an event."""
        event = NewEvent(
            metric=metric,
            at=at,
            value=value,
            unique_id=unique_id,
            properties=json.dumps(properties).encode(),
        )
        action = Action(who=Identifiers(email=who), event=event, trusted=True)
        (outcome,) = self.app.recorder.record([action])
        return outcome.event or 0

    def metric(self, name: str) -> str:
        """The id of a metric."""
        (found,) = [
            each for each in self.get("/v1/metrics", count=100).json["data"] if each["name"] == name
        ]
        return str(found["id"])


@contextlib.contextmanager
def old_feedd(request: pytest.FixtureRequest, kind: str, folder: Path) -> Iterator[Old]:
    """One on fresh databases of a kind."""
    with fresh_place(request, kind, folder / "state") as place:
        made = Old(
            Settings(
                state_dir=Path(place.state_dir),
                socket=folder / "s.sock",
                listen=("127.0.0.1", 0),
                database=Secret(place.url) if place.url else None,
            )
        )
        yield made
        made.close()
