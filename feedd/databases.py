"""Where the databases of a configuration are: opened, looked at before they are used, told to another process."""

from pathlib import Path
from typing import TYPE_CHECKING

from feedd.settings import Settings
from feedd.store.damage import refuse_damage
from feedd.store.database import Database, open_database
from feedd.store.migrate import is_migrated

if TYPE_CHECKING:
    from feedd import intake


def open_databases(settings: Settings) -> tuple[Database, Database]:
    """The catalog and the people database."""
    folder, url = settings.state_dir, _database_url(settings)
    return (
        open_database("catalog", state_dir=folder, url=url),
        open_database("people", state_dir=folder, url=url),
    )


def is_current(settings: Settings) -> bool:
    """Whether the databases of those settings need no upgrade. Raises StoreError."""
    databases = open_databases(settings)
    try:
        return all(map(is_migrated, databases))
    finally:
        for database in databases:
            database.close()


def refuse_damaged(settings: Settings, *, trusted_ns: int | None = None) -> None:
    """Look at SQLite files before they are used; for the holder of the state directory's lock. Raises StoreError.

    Those that nobody has written since `trusted_ns`, nor put there (a copy may bring an old date), are not looked at.
    """
    if settings.database is not None:
        return
    for path in (settings.state_dir / "catalog.db", settings.state_dir / "people.db"):
        if trusted_ns is None or not path.exists() or _touched_ns(path) > trusted_ns:
            refuse_damage(path)


def _touched_ns(path: Path) -> int:
    found = path.stat()
    return max(found.st_mtime_ns, found.st_ctime_ns)


def place_of(settings: Settings) -> "intake.Place":
    """Where the databases of those settings are, for another process."""
    from feedd import intake

    return intake.Place(state_dir=str(settings.state_dir), url=_database_url(settings))


def _database_url(settings: Settings) -> str | None:
    return settings.database.reveal() if settings.database else None
