"""Imports run down the floors, and each library has one owner."""

import ast
from pathlib import Path

import pytest

import feedd

PACKAGE = Path(feedd.__file__).parent

# from the top down; a module may import from its own floor and from those below
FLOORS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli",),
    ("daemon",),
    ("watchdog",),
    ("listen",),
    ("api",),
    ("metrics",),
    ("replays",),
    ("dispatch", "tail", "outbox", "packing", "teller", "runner", "template_watch", "refresher"),
    ("app", "workers", "checks", "archive", "restore", "probe"),
    ("parts",),
    ("watching", "dryrun", "databases", "configured", "keyring", "web_feeds"),
    ("previews",),
    ("webhooks", "persons", "jobs", "stored_templates", "links"),
    ("rendering", "template_checks"),
    ("recording", "telling", "shelf"),
    ("remembering",),
    ("ingest",),
    ("intake",),
    ("spread",),
    ("slots",),
    ("reading",),
    ("guess", "recheck"),
    ("store", "fetch", "schema", "schedule", "bodies", "command", "template_files"),
    ("reconcile", "removals", "propose"),
    ("making", "normalize", "people"),
    ("coerce", "formats", "fingerprints", "diff", "staging", "templates"),
    ("service",),
    ("settings", "logs", "state", "swap", "alerts"),
    ("cron", "encodings", "identity", "resources", "redaction", "notify", "messages", "scopes"),
    ("errors", "offers"),
    ("model",),
)
OWNERS = {
    "httpx": {"fetch"},
    "httpcore": {"fetch"},
    "lxml": {"formats", "coerce", "templates"},
    "sqlalchemy": {"store"},
    "sqlmodel": set(),  # slow to import; tables are SQLAlchemy Core
    "alembic": {"store"},
    "psycopg": {"store"},
    "apscheduler": {"schedule"},
    "fastapi": {"api"},
    "fastapi_offline": {"api"},
    "starlette": {"api"},
    "uvicorn": {"listen"},
    "typer": {"cli"},
    "rich": {"cli"},
    "structlog": {"logs"},
    "prometheus_client": {"metrics"},
    "email_validator": {"people"},
    "phonenumbers": {"people"},
    "jsonschema": {"schema"},
    "jsonschema_rs": {"normalize"},
    "django": {"templates"},
    "babel": {"templates"},
    "barcode": {"templates"},
    "css_inline": {"templates"},
    "cryptography": {"links"},
    "inscriptis": {"templates"},
}
PURE = (
    "model",
    "errors",
    "coerce",
    "normalize",
    "people",
    "alerts",
    "cron",
    "encodings",
    "diff",
    "messages",
    "scopes",
    "reconcile",
    "offers",
    "removals",
    "staging",
    "fingerprints",
    "recheck",
    "formats",
    "propose",
)
IMPURE_MODULES = {
    "os",
    "socket",
    "time",
    "threading",
    "subprocess",
    "logging",
    "sqlite3",
    "tempfile",
    "random",
    "pathlib",
    "shutil",
}


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if "migrations" not in p.parts)


def unit_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.add(node.module or "")
            if node.module == "feedd":
                found |= {f"feedd.{alias.name}" for alias in node.names}
    return found


def floor_of(unit: str) -> int:
    return next(n for n, names in enumerate(FLOORS) if unit in names)


def test_every_module_has_a_floor() -> None:
    named = {name for floor in FLOORS for name in floor}
    assert {unit_of(path) for path in modules()} - {"__init__"} <= named


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_down(path: Path) -> None:
    unit = unit_of(path)
    if unit == "__init__":
        return
    for name in imports_of(path):
        if name.startswith("feedd."):
            other = name.split(".")[1]
            if other == "__version__":
                continue
            assert floor_of(other) >= floor_of(unit), (
                f"{unit} imports {other}, which stands above it"
            )


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_each_library_has_one_owner(path: Path) -> None:
    for name in imports_of(path):
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or unit_of(path) in owners, f"{unit_of(path)} imports {name}"


@pytest.mark.parametrize(
    "path",
    [p for p in modules() if unit_of(p) in PURE],
    ids=lambda p: str(p.relative_to(PACKAGE)),
)
def test_pure_modules_touch_nothing(path: Path) -> None:
    assert not imports_of(path) & IMPURE_MODULES


def test_nothing_is_mocked() -> None:
    here = Path(__file__)
    for path in here.parent.rglob("*.py"):
        if path != here:
            assert "unittest" + ".mock" not in path.read_text(), path
