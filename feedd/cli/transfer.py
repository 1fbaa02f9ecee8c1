"""Files of people and events that are taken in: opened, read row by row, sent in chunks, with a report of what was wrong.

A file has an id: what is in it, and what it is taken for. With each chunk is stored how far that import is, so that the same command goes on
where an earlier one was ended. While one chunk is written, the next is read.
"""

import contextlib
import csv
import hashlib
import io
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, Self

from feedd.cli.backend import Backend
from feedd.cli.progress import Meter
from feedd.cli.show import clock, counted, emit, plain, say
from feedd.errors import FeeddError, UsageError
from feedd.people.cells import guarded
from feedd.people.csv_records import Broken, Record, read_records
from feedd.people.operations import BeginImport, Counts, Taken, TakeRows
from feedd.people.rows import BadRow, ProfileTable, event_line, profile_line
from feedd.people.values import Action

CHUNK_ROWS = 1_000
CHUNK_BYTES = 4_000_000
MOST_LINE_BYTES = 8_000_000
SHOWN_ERRORS = 20
ERROR_HEADINGS = ["line", "column", "value", "problem"]

Form = Literal["csv", "jsonl"]
What = Literal["profiles", "events"]


class Row(NamedTuple):
    """A row of a file: where it begins, about how large it is, what it says."""

    line: int
    size: int
    found: Action | BadRow


class Source:
    """A file to read, `-` for what is piped in. `size` is None where it cannot be read twice."""

    def __init__(self, file: str) -> None:
        self.name = "(stdin)" if file == "-" else file
        self.path = None if file == "-" else Path(file)
        if self.path is None:
            self.stream: BinaryIO = sys.stdin.buffer
        else:
            try:
                self.stream = self.path.open("rb")
            except OSError as error:
                raise UsageError(f"cannot read {file}: {error.strerror}") from error
        found = os.fstat(self.stream.fileno())
        self.size = found.st_size if stat.S_ISREG(found.st_mode) and self.path else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.path is not None:
            self.stream.close()

    def digest(self, *kinds: str) -> str:
        """The id of the import of this file as those kinds of things."""
        made = hashlib.sha256("\n".join(kinds).encode() + b"\n\n")
        while block := self.stream.read(1 << 20):
            made.update(block)
        self.stream.seek(0)
        return made.hexdigest()[:40]

    def position(self) -> int:
        """How many bytes were read, about."""
        raw: Any = getattr(self.stream, "raw", self.stream)
        with contextlib.suppress(OSError):
            return int(raw.tell())
        return 0

    def form(self) -> Form:
        """What it looks like. Raises UsageError for what is neither."""
        start = self.stream.peek(4_096)[:4_096]  # type: ignore[attr-defined]
        for magic, what, hint in _STRANGE:
            if start.startswith(magic):
                raise UsageError(f"{self.name} is {what}", hint=hint)
        shown = start.removeprefix(b"\xef\xbb\xbf").lstrip()
        if shown[:1] == b"[":
            raise UsageError(
                f"{self.name} is one JSON array", hint="Write one object a line: jq -c '.[]' FILE"
            )
        return "jsonl" if shown[:1] == b"{" else "csv"


_STRANGE = (
    (b"\xff\xfe", "UTF-16 text", "Save it as UTF-8."),
    (b"\xfe\xff", "UTF-16 text", "Save it as UTF-8."),
    (b"\x1f\x8b", "compressed", "Unpack it: gunzip -c FILE | feedd … -"),
    (b"PK\x03\x04", "a spreadsheet or another zip file", "Save the sheet as CSV (UTF-8)."),
)


def csv_rows(stream: BinaryIO) -> Iterator[Row]:
    """The rows of a CSV file of profiles. Raises UsageError where its first row cannot be used."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _table_rows(read_records(text.readline))
    finally:
        if (
            not stream.closed
        ):  # an import that is ended leaves this behind, and closes its file first
            text.detach()


def _table_rows(records: Iterator[Record | Broken]) -> Iterator[Row]:
    head = next(records, None)
    if head is None:
        raise UsageError("the file is empty", hint="Its first row names the columns.")
    if isinstance(head, Broken):
        raise UsageError(f"the first row cannot be read: {head.problem}")
    table = ProfileTable(head.cells)
    for record in records:
        if isinstance(record, Broken):
            bad = BadRow(record.line, "", record.text, record.problem)
            yield Row(record.line, len(record.text), bad)
        else:
            yield Row(record.line, sum(map(len, record.cells)), table.action(record))


def json_rows(stream: BinaryIO, read: Callable[[int, bytes], Action | BadRow]) -> Iterator[Row]:
    """The lines of a JSON Lines file that are not empty."""
    number = 0
    while line := stream.readline(MOST_LINE_BYTES):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if len(line) == MOST_LINE_BYTES and line[-1:] != b"\n":
            while (more := stream.readline(MOST_LINE_BYTES)) and more[-1:] != b"\n":
                pass
            problem = f"the line is longer than {MOST_LINE_BYTES // 10**6} MB"
            yield Row(number, 0, BadRow(number, "", "", problem))
        elif not line.isspace():
            yield Row(number, len(line), read(number, line))


class Report:
    """What was wrong with rows: the first ones on the terminal, all of them in a file."""

    def __init__(self, path: Path | None, meter: Meter) -> None:
        self.path = path
        self.count = 0
        self._meter = meter
        self._out: Any = None

    def go_on_after(self, line: int) -> None:
        """Keep what an earlier run has written of the lines up to this one; with 0, nothing."""
        if self.path is None or not self.path.is_file():
            return
        try:
            with self.path.open(newline="", encoding="utf-8", errors="replace") as old:
                rows = list(csv.reader(old))
            if rows[:1] != [ERROR_HEADINGS]:
                return  # another file that is called so
            self.path.unlink()
        except (OSError, csv.Error):
            return
        kept = [row for row in rows[1:] if row and row[0].isdecimal() and int(row[0]) <= line]
        for row in kept:
            self._write(row)

    def add(self, bad: BadRow, effect: str = "") -> None:
        """Tell of one."""
        self.count += 1
        if self.count <= SHOWN_ERRORS:
            self._meter.hide()
            place = f"line {bad.line}" + (f", {bad.column}" if bad.column else "")
            value = f" {plain(bad.value[:60])!r}" if bad.value else ""
            say(f"{plain(place)}:{value} {plain(bad.problem)}{effect}", stderr=True)
        elif self.count == SHOWN_ERRORS + 1:
            self._meter.hide()
            where = (
                f"all are in {plain(str(self.path))}"
                if self.path
                else "--errors PATH keeps them all"
            )
            say(f"… more are not shown; {where}", stderr=True)
        self._write([str(bad.line), guarded(bad.column), guarded(bad.value), bad.problem])

    def flush(self) -> None:
        """Have what was told be in the file."""
        if self._out is not None:
            self._out.flush()

    def close(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None

    def _write(self, row: list[str]) -> None:
        if self.path is None:
            return
        if self._out is None:
            is_new = not self.path.exists()
            try:
                descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            except OSError as error:  # which is no reason to stop
                say(
                    f"feedd: cannot write {plain(str(self.path))}: {error.strerror};"
                    " --errors PATH writes what is wrong elsewhere",
                    stderr=True,
                )
                self.path = None
                return
            self._out = os.fdopen(descriptor, "w", newline="", encoding="utf-8", errors="replace")
            if is_new:
                csv.writer(self._out).writerow(ERROR_HEADINGS)
        csv.writer(self._out).writerow(row)


class Importing:
    """One import of one file."""

    def __init__(self, backend: Backend, source: Source, what: What, form: Form) -> None:
        self._backend = backend
        self._source = source
        self._what = what
        self._form = form
        self._id: str | None = None
        self._rows_before = self._rows_taken = 0
        self.counts = Counts()

    def run(self, errors: Path | None, *, again: bool, as_json: bool) -> int:
        """Take in what is left of it; the exit code."""
        with Meter(self._what, self._source.size) as meter:
            report = Report(errors, meter)
            if self._begin(again=again):
                try:
                    with ThreadPoolExecutor(1) as pool:
                        self._take(pool, meter, report)
                finally:
                    report.close()
            elif not as_json:
                return 0
            took = meter.took_s
        self._tell(took, report, as_json=as_json)
        return 1 if self.counts.bad else 0

    def _begin(self, *, again: bool) -> bool:
        """Look how far it is already; whether there is anything left to do."""
        source = self._source
        if source.size is None:
            say(
                f"{plain(source.name)} cannot be read twice, so this cannot be resumed.",
                stderr=True,
            )
            return True
        self._id = source.digest(self._what, self._form)
        state = self._backend.people(BeginImport(id=self._id, name=source.name[:500], again=again))
        self._rows_before, self.counts = state.rows, state.counts
        if state.finished_at is not None:
            say(
                f"{plain(source.name)} was imported at {clock(state.finished_at)} as it is now;"
                " --again imports it once more.",
                stderr=True,
            )
            return False
        if state.rows:
            say(f"Goes on after {counted(state.rows, 'row')}: it was ended there.", stderr=True)
        return True

    def _rows(self) -> Iterator[Row]:
        if self._form == "csv":
            return csv_rows(self._source.stream)
        if self._what == "profiles":
            return json_rows(self._source.stream, profile_line)
        now = time.time()
        return json_rows(self._source.stream, lambda line, text: event_line(line, text, now))

    def _take(self, pool: ThreadPoolExecutor, meter: Meter, report: Report) -> None:
        """All rows that are left, in chunks."""
        number, line = 0, 0
        rows = self._rows()
        while number < self._rows_before and (row := next(rows, None)) is not None:
            number, line = number + 1, row.line
            meter.show(number, self._source.position(), "were taken")
        report.go_on_after(line)
        begin = chunk_begin = number
        chunk = _Chunk()
        sent: _Sent | None = None
        try:
            for row in rows:
                number += 1
                if isinstance(row.found, BadRow):
                    report.add(row.found)
                    chunk.bad += 1
                else:
                    chunk.add(row.line, row.size, row.found)
                if number - chunk_begin >= CHUNK_ROWS or chunk.size >= CHUNK_BYTES:
                    self._receive(sent, report)
                    report.flush()
                    sent = self._send(pool, chunk, chunk_begin, number)
                    chunk, chunk_begin = _Chunk(), number
                    note = counted(self.counts.bad, "bad row") if self.counts.bad else ""
                    meter.show(number - begin, self._source.position(), note)
            self._receive(sent, report)
            report.flush()
            self._receive(self._send(pool, chunk, chunk_begin, number, ended=True), report)
        except (FeeddError, KeyboardInterrupt):
            meter.hide()
            self._say_how_to_go_on(sent)
            raise
        self._rows_taken = number - begin

    def _send(
        self,
        pool: ThreadPoolExecutor,
        chunk: "_Chunk",
        begin: int,
        rows: int,
        *,
        ended: bool = False,
    ) -> "_Sent":
        operation = TakeRows(
            id=self._id,
            begin=begin,
            rows=rows,
            bad=chunk.bad,
            actions=tuple(chunk.actions),
            ended=ended,
        )
        return _Sent(chunk, begin, pool.submit(self._backend.people, operation))

    def _receive(self, sent: "_Sent | None", report: Report) -> None:
        """Wait until a chunk is stored, and tell what is to be said of its rows."""
        if sent is None:
            return
        taken = sent.answer.result()
        self.counts = self.counts.plus(taken.counts)
        for remark in taken.remarks:
            line = sent.chunk.lines[remark.action]
            report.add(BadRow(line, "", remark.value, remark.problem))

    def _say_how_to_go_on(self, sent: "_Sent | None") -> None:
        if self._id is not None and sent is not None:
            say(
                f"Ended. At least {counted(sent.begin, 'row')} of {plain(self._source.name)} are taken in;"
                " the same command goes on behind them.",
                stderr=True,
            )

    def _tell(self, took_s: float, report: Report, *, as_json: bool) -> None:
        counts, rows = self.counts, self._rows_taken
        errors = str(report.path) if report.path is not None and report.path.exists() else None
        if as_json:
            emit(
                {
                    "file": self._source.name,
                    "rows": self._rows_before + rows,
                    "resumed_after": self._rows_before,
                    "profiles_created": counts.created,
                    "profiles_updated": counts.updated,
                    "events": counts.events,
                    "duplicates": counts.duplicates,
                    "bad_rows": counts.bad,
                    "errors": errors,
                    "duration_s": round(took_s, 3),
                }
            )
            return
        speed = f", {rows / took_s:,.0f} a second" if took_s >= 1 else ""
        say(f"{plain(self._source.name)}: {counted(rows, 'row')} in {took_s:.1f} s{speed}.")
        if self._what == "profiles":
            say(f"{counted(counts.created, 'profile')} made, {counts.updated:,} updated.")
        else:
            also = (
                f", {counted(counts.duplicates, 'duplicate')} left out" if counts.duplicates else ""
            )
            say(
                f"{counted(counts.events, 'event')} recorded{also};"
                f" {counted(counts.created, 'profile')} made."
            )
        if counts.bad:
            say(f"{counted(counts.bad, 'row')} not taken.")
        if errors:
            say(f"What was wrong is in {plain(errors)}.")


class _Chunk:
    """Rows that are sent together."""

    def __init__(self) -> None:
        self.lines: list[int] = []
        self.actions: list[Action] = []
        self.size = self.bad = 0

    def add(self, line: int, size: int, action: Action) -> None:
        self.lines.append(line)
        self.actions.append(action)
        self.size += size


class _Sent(NamedTuple):
    chunk: _Chunk
    begin: int
    answer: Future[Taken]


def errors_path(file: str, given: Path | None) -> Path | None:
    """Where to write what was wrong: where it was asked for, or beside the file."""
    if given is not None or file == "-":
        return given
    return Path(f"{file}.errors.csv")
