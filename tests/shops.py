"""One feed, fetched from a file: its bodies are kept, and read again."""

from pathlib import Path
from typing import Any

from feedd import ingest, intake
from feedd.bodies import Bodies
from feedd.fetch import Fetcher, FetchRequest
from feedd.model import SyncRecord
from feedd.reading import Reading
from feedd.store.database import Database
from feedd.store.feeds import read_feed, read_held

ITEM = Reading(schema="item")


class Shop:
    """One feed, fetched from a file, on one catalog."""

    def __init__(self, catalog: Database, folder: Path) -> None:
        self.catalog = catalog
        self.folder = folder
        (folder / "spool").mkdir(parents=True)
        self.bodies = Bodies(folder / "bodies")

    def sync(
        self,
        body: bytes | None = None,
        *,
        reading: Reading = ITEM,
        replay: bool = False,
        accept: bool = False,
        keep: bool = True,
    ) -> SyncRecord:
        path = self.folder / "shop.json"
        if body is not None:
            path.write_bytes(body)
        request = FetchRequest(url=path.as_uri(), file_roots=(str(self.folder),))
        return ingest.sync_feed(
            ingest.Feed(name="shop", request=request, reading=reading, keep_body=keep),
            catalog=self.catalog,
            fetcher=Fetcher(user_agent="test"),
            spool_dir=self.folder / "spool",
            bodies=self.bodies,
            read=lambda job, report, _stop: intake.read_body(job, self.catalog, report),
            trigger="replay" if replay else "resync",
            holder="test",
            replay=replay,
            accepted=read_held(self.catalog, "shop") if accept else None,
        )

    def replay(self, reading: Reading = ITEM, **options: Any) -> SyncRecord:
        """Read the stored body again, with the feed itself out of reach."""
        (self.folder / "shop.json").unlink(missing_ok=True)
        return self.sync(reading=reading, replay=True, **options)

    def kept(self) -> list[bytes]:
        return [path.read_bytes() for path in self.folder.glob("bodies/*/*")]

    def state(self) -> tuple[Any, ...]:
        state = read_feed(self.catalog, "shop")
        return (
            state.status, state.error, state.items, state.rejected, state.warnings, state.held_removals,
            state.config_digest, state.read_digest, state.read_config,
        )  # fmt: skip
