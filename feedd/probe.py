"""What a feed is, before it is registered: fetched once, guessed, read, and reported with a configuration to paste.

Nothing is stored. What the report shows is what a sync under the proposed configuration would make of the body.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from feedd.errors import FeedError, FormatError
from feedd.fetch import Fetched, Fetcher, FetchRequest
from feedd.formats import FORMATS, Format, recognize
from feedd.formats.json_pages import MOST_BYTES as MOST_PAGE_BYTES
from feedd.formats.json_pages import more_pages
from feedd.guess import guess_body
from feedd.model import ErrorInfo, Guess, Item, Layout, Pages, Problem, Reject
from feedd.normalize import Plan, compile_plan
from feedd.normalize.document import plan_in_document
from feedd.propose import Proposal, propose
from feedd.schema import PLAIN, load_schema

HEAD_BYTES = 64 * 1024
MOST_READ = 20_000
SAMPLED = 500
SHOWN_ITEMS = 5
COMPARED = 50


class Wish(Struct, frozen=True, kw_only=True):
    """What the one who probes knows already."""

    schema: str | None = None
    base_dir: str | None = None
    items: str | None = None
    format: str | None = None
    fields: Mapping[str, Any] = {}
    currency: str | None = None
    doctype: bool = False
    base: str | None = None
    encoding: str | None = None


class Trouble(Struct, frozen=True, kw_only=True):
    """A reason for rejects or warnings: how many records have it, and the first of them."""

    pointer: str
    rule: str
    count: int
    position: int
    item: str | None
    value: str | None
    hint: str


class Report(Struct, frozen=True, kw_only=True):
    """What was found. `records` were looked at one by one if `whole`; else only the first `MOST_READ` were.

    `error` is what is wrong with the body beyond its records. `kept` are the keys that stay under their own names.
    """

    size_bytes: int
    duration_s: float
    content_type: str | None
    guess: Guess
    records: int
    whole: bool
    usable: int
    duplicates: int
    items: list[dict[str, Any]]
    rejects: list[Trouble]
    warnings: list[Trouble]
    proposals: list[Proposal]
    kept: list[str]
    priced: bool
    pages: Pages | None = None
    error: ErrorInfo | None = None


def probe(request: FetchRequest, wish: Wish, *, fetcher: Fetcher, spool_dir: Path) -> Report:
    """Fetch a feed and say what it is.

    Raises:
        FeedError: it cannot be fetched, or its body is no feed at all.
        SchemaError, ValueError: what is wished for cannot be used.
    """
    started = time.monotonic()
    if request.pages is not None:
        request, wish = _of_all_pages(request, wish)
    fetched = fetcher.fetch(request, spool_dir)
    try:
        return _read(request, wish, fetched, time.monotonic() - started)
    finally:
        if fetched.owned and fetched.path is not None:
            fetched.path.unlink(missing_ok=True)


def _of_all_pages(request: FetchRequest, wish: Wish) -> tuple[FetchRequest, Wish]:
    """What to fetch and how to read it where the feed is all pages of a source: the fetcher makes one list of them."""
    base_dir = None if wish.base_dir is None else Path(wish.base_dir)
    document = load_schema(wish.schema or PLAIN, base_dir=base_dir).document
    layout = compile_plan(document, fields=wish.fields, items=wish.items).layout
    return (
        replace(request, layout=replace(layout, encoding=wish.encoding)),
        replace(wish, items="", format="json"),
    )


def _read(request: FetchRequest, wish: Wish, fetched: Fetched, duration_s: float) -> Report:
    if fetched.path is None:
        raise FeedError("internal", "the server answered that nothing has changed")
    base_dir = None if wish.base_dir is None else Path(wish.base_dir)
    with fetched.path.open("rb") as stream:
        name = wish.format or recognize(
            stream.read(HEAD_BYTES),
            content_type=fetched.content_type,
            name_hint=fetched.name or request.url.partition("?")[0],
            encoding=wish.encoding,
        )
        stream.seek(0)
        guess = guess_body(
            stream,
            form=name,
            charset=fetched.charset,
            schema=wish.schema,
            base_dir=base_dir,
            items=wish.items,
            fields=wish.fields,
            doctype=wish.doctype,
            encoding=wish.encoding,
        )
        document = load_schema(guess.schema, base_dir=base_dir).document

        def plan_with(proposals: list[Proposal]) -> Plan:
            plan = compile_plan(
                document,
                fields={**{p.field: list(p.path) for p in proposals}, **wish.fields},
                items=guess.items if wish.items is None else wish.items,
                default_currency=wish.currency,
            )
            stream.seek(0)
            layout = _layout(plan, wish)
            with contextlib.suppress(FormatError):  # told when the records are read
                form = FORMATS[name]
                return plan_in_document(plan, form, stream, layout, fetched.charset, base=wish.base)
            return plan

        reader = _Reader(stream, FORMATS[name], fetched.charset, wish)
        plan = plan_with([])
        sample = reader.sample(plan)
        proposals = _proposals(plan, sample, set(wish.fields))
        if proposals:
            plan = plan_with(proposals)
            proposals = _confirmed(plan, sample, proposals)
            proposals = _needed(document, wish, sample, proposals)
            plan = plan_with(proposals)
        tally = reader.read(plan)
        stream.seek(0)
        layout = _layout(plan, wish)
        pages = (
            more_pages(stream, layout, fetched.charset, link=fetched.link, total=fetched.pages)
            if name == "json" and fetched.size <= MOST_PAGE_BYTES and request.pages is None
            else None
        )
    return Report(
        size_bytes=fetched.size,
        duration_s=duration_s,
        content_type=fetched.content_type,
        guess=guess,
        records=tally.records,
        whole=tally.whole,
        usable=tally.usable,
        duplicates=tally.duplicates,
        items=tally.items,
        rejects=_most_first(tally.rejects),
        warnings=_most_first(tally.warnings),
        proposals=proposals,
        kept=sorted(tally.kept),
        priced=tally.unpriced == 0,
        pages=pages,
        error=tally.error,
    )


def _layout(plan: Plan, wish: Wish) -> Layout:
    return replace(plan.layout, doctype=wish.doctype, encoding=wish.encoding)


class _Tally:
    """What reading a body comes to."""

    def __init__(self) -> None:
        self.records = self.usable = self.duplicates = self.unpriced = 0
        self.whole = True
        self.items: list[dict[str, Any]] = []
        self.rejects: dict[tuple[str, str], Trouble] = {}
        self.warnings: dict[tuple[str, str], Trouble] = {}
        self.kept: set[str] = set()
        self.error: ErrorInfo | None = None
        self._ids: dict[str, dict[str, Any]] = {}

    def take(self, outcome: Item | Reject, plan: Plan, position: int) -> None:
        """Count what became of a record."""
        if isinstance(outcome, Reject):
            _count(self.rejects, outcome.problems[0], position, outcome.item_id)
            return
        before = self._ids.setdefault(outcome.id, outcome.fields)
        if before is not outcome.fields:
            if before == outcome.fields:
                self.duplicates += 1
            else:
                _count(self.rejects, _CONFLICT, position, outcome.id)
            return
        self.usable += 1
        self.unpriced += "price" in outcome.fields and "currency" not in outcome.fields
        beside = {
            f"{name}_html" for name in plan.fields
        }  # made by the schema, from the field itself
        self.kept |= outcome.fields.keys() - set(plan.fields) - beside
        for problem in outcome.warnings:
            _count(self.warnings, problem, position, outcome.id)
        if len(self.items) < SHOWN_ITEMS:
            self.items.append(outcome.fields)


_CONFLICT = Problem(
    pointer="/id",
    rule="duplicate_id",
    hint="An earlier record has the same id and says something else; give every item an id of its own.",
)


def _count(
    troubles: dict[tuple[str, str], Trouble], problem: Problem, position: int, item: str | None
) -> None:
    key = (problem.pointer, problem.rule)
    known = troubles.get(key)
    if known is not None:
        troubles[key] = replace(known, count=known.count + 1)
        return
    troubles[key] = Trouble(
        pointer=problem.pointer,
        rule=problem.rule,
        count=1,
        position=position,
        item=item,
        value=problem.value,
        hint=problem.hint,
    )


class _Reader:
    """Reads one body, under whatever plan."""

    def __init__(self, stream: BinaryIO, form: Format, charset: str | None, wish: Wish) -> None:
        self._stream = stream
        self._form = form
        self._charset = charset
        self._wish = wish

    def sample(self, plan: Plan) -> list[dict[str, Any]]:
        """The first records that are whole; a body that breaks off later is told of by `read`."""
        found: list[dict[str, Any]] = []
        with contextlib.suppress(FormatError):
            for _, values in self._batches(plan):
                found += [value for value in values if type(value) is dict]
                if len(found) >= SAMPLED:
                    break
        return found[:SAMPLED]

    def read(self, plan: Plan) -> _Tally:
        """The whole body; only the first records are looked at one by one, the others counted."""
        tally = _Tally()
        try:
            for start, values in self._batches(plan, tally):
                for position, value in enumerate(values, start):
                    if isinstance(value, Problem):
                        tally.take(Reject(position, None, (value,)), plan, position)
                    else:
                        tally.take(plan.normalize(position, value), plan, position)
        except FormatError as error:
            tally.error = error.info
        return tally

    def _batches(
        self, plan: Plan, tally: _Tally | None = None
    ) -> Iterator[tuple[int, list[dict[str, Any] | Problem]]]:
        layout = _layout(plan, self._wish)
        self._stream.seek(0)
        for slices in self._form.slices(self._stream, layout, self._charset):
            if tally is not None:
                tally.records += len(slices.raws)
                if slices.position > MOST_READ:
                    tally.whole = False
                    continue
            yield slices.position, self._form.decode(slices, layout)


def _proposals(plan: Plan, sample: list[dict[str, Any]], configured: set[str]) -> list[Proposal]:
    """Places for the fields that the schema leaves empty."""
    outcomes = [plan.normalize(n, record) for n, record in enumerate(sample, 1)]
    made = [outcome for outcome in outcomes if isinstance(outcome, Item)]
    known = [name for name in _CANONICAL if name not in configured]
    if len(made) * 2 < len(sample):
        return propose(sample, missing=known)
    empty = [n for n in known if sum(n in item.fields for item in made) * 2 < len(made)]
    kept = {name for item in made for name in item.fields if name not in plan.fields}
    taken = {key for record in sample for key in record if key not in kept}
    return propose(sample, missing=empty, taken=taken)


def _confirmed(
    plan: Plan, sample: list[dict[str, Any]], proposals: list[Proposal]
) -> list[Proposal]:
    """Those that give most items a value."""
    outcomes = [plan.normalize(n, record) for n, record in enumerate(sample, 1)]
    made = [outcome for outcome in outcomes if isinstance(outcome, Item)]
    return [p for p in proposals if sum(p.field in item.fields for item in made) * 2 >= len(made)]


def _needed(
    document: dict[str, Any],
    wish: Wish,
    sample: list[dict[str, Any]],
    proposals: list[Proposal],
) -> list[Proposal]:
    """Those without which the first records would come out otherwise; the schema knows the places of the others."""

    def outcomes(chosen: list[Proposal]) -> list[Any]:
        fields = {**{p.field: list(p.path) for p in chosen}, **wish.fields}
        plan = compile_plan(document, fields=fields, default_currency=wish.currency)
        made = [plan.normalize(n, record) for n, record in enumerate(sample[:COMPARED], 1)]
        return [each.fields if isinstance(each, Item) else None for each in made]

    needed = list(proposals)
    wanted = outcomes(needed)
    for proposal in proposals:
        others = [each for each in needed if each is not proposal]
        if outcomes(others) == wanted:
            needed = others
    return needed


def _most_first(troubles: dict[tuple[str, str], Trouble]) -> list[Trouble]:
    return sorted(troubles.values(), key=lambda trouble: -trouble.count)


_CANONICAL = tuple(compile_plan(load_schema(PLAIN, base_dir=None).document).fields)
