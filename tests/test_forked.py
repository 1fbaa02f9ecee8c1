"""What starting feedd by a fork leaves out, and that its end is told."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from daemons import write_config
from forked import forker


def test_nothing_that_is_remembered_depends_on_the_seed_of_hashes(tmp_path: Path) -> None:
    """Forked processes all have that of the one they come from."""
    body = tmp_path / "shop.json"
    feed = {"url": body.as_uri(), "schema": "google-product"}
    config = write_config(tmp_path, {"shop": feed}, file_roots=[str(tmp_path)])
    records = [{"id": f"sku-{n}", "title": "Mug", "price": "5 EUR", "size": n} for n in range(5)]

    def resync(seed: int) -> dict[str, Any]:
        body.write_text(json.dumps(records))
        command = [sys.executable, "-m", "feedd", "--config", config, "resync", "shop", "--json"]
        environ = os.environ | {"PYTHONHASHSEED": str(seed)}
        told: dict[str, Any] = json.loads(subprocess.check_output(command, env=environ))
        return told

    assert resync(1)["added"] == 5
    assert resync(2)["status"] == "unchanged"
    records[3]["title"] = "Jug"
    done = resync(2)
    assert [done[kind] for kind in ("added", "updated", "removed", "unchanged")] == [0, 1, 0, 4]


def test_a_script_that_has_ended_can_be_talked_to() -> None:
    for line in ("go\n", "no end of line, so that it is sent when the pipe is closed"):
        script = forker().script("print('over')")
        assert script.stdout.read() == "over\n"
        assert script.communicate(line) == ""
        assert script.returncode == 0
