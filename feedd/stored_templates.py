"""Templates as feedd has them: what the API makes of them, what is read from their directory, and what is wrong with them."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from feedd.errors import NotFound, UsageError
from feedd.model import Template, TemplateView
from feedd.rendering.values import known_of
from feedd.settings import Settings
from feedd.store import templates as store
from feedd.store.database import Database
from feedd.store.template_directories import has_files
from feedd.store.templates import FileSources, NoTemplate, Settled, Sources, sources_of
from feedd.template_checks import MOST_WARNINGS, PARTS, Check, Checks, Under, errors, going_by
from feedd.template_files import HTML, NoDirectory, Refused, Scan, Unusable, read_file, scan
from feedd.templates.wire import Problem

BATCH_CHARACTERS = 16 * 1024 * 1024  # that are read from files before they are written
LOOK_S = 2.0  # for so long a request may wait until templates have been looked through
NOT_YET = "not looked at yet"
COMPARED_EVERY_S = 600.0
_EMPTY = "is empty: what was read from it stays. If that is meant to go, put some other file there"


class BadTemplate(UsageError):
    """A template cannot be rendered whatever it is rendered with; `source` points at the part that is wrong."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.source = {"pointer": f"/data/attributes/{problem.part}"}
        super().__init__(said(problem), hint=advice(problem.hint))


class Directory(NamedTuple):
    """Where templates lie as files; `problem` is why it cannot be read: what was read before stays meanwhile."""

    path: str
    problem: str | None


class Refreshed(NamedTuple):
    """What reading the directory came to: what changed of what is stored, the files that were read, and what is refused anew."""

    settled: Settled
    read: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    trouble: str | None = None


class Told(NamedTuple):
    """What is told of a template: what keeps it from being rendered (or `NOT_YET`), and what renders and cannot be meant."""

    problem: str | None = None
    warning: str | None = None


class StoredTemplates:
    """The templates of a people database, and the directory that some of them come from.

    `check` tells the problems of a source, of `at_once` many at a time; `daemon` is who has the directory. The directory is read by `refresh`: whoever does so regularly, as the daemon does, sees
    to it that changes are noticed; otherwise it is read once, before anything is told.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        people: Database,
        check: Check,
        *,
        daemon: str,
        at_once: Callable[[], int] = lambda: 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._people = people
        self._checks = Checks(people, check, under=self._under, at_once=at_once, clock=clock)
        self._daemon = daemon
        self._going_by: tuple[Settings, Under] | None = None
        self._clock = clock
        self._compared_at = float("-inf")  # with what is stored
        self._lock = threading.Lock()
        self._scan: tuple[object, Scan | None] | None = None  # of the directory that was read last
        self._unusable: dict[str, Refused] = {}
        self._trouble: str | None = None

    # what there is

    def outlines(self) -> list[store.Outline]:
        """What is told of every template, in the order in which they were made."""
        self._be_fresh()
        return store.read_outlines(self._people)

    def read(self, numbers: Sequence[int]) -> list[Template]:
        """Templates by their numbers, in that order."""
        return store.read_templates(self._people, numbers)

    def get(self, id_: str, pointer: str | None = None) -> Template:
        """The template with that id. Raises NoTemplate."""
        self._be_fresh()
        found = store.find_template(self._people, id_)
        if found is None:
            raise NoTemplate(id_, pointer)
        return found

    def named(self, name: str) -> Template:
        """The template with that name, or id, as a person types it; of several the one that comes from a file.

        Raises:
            NotFound: there is none.
            UsageError: there are several.
        """
        listed = self.outlines()
        for found in (
            [each for each in listed if name in (each.file, each.name) and each.file],
            [each for each in listed if each.id == name],
            [each for each in listed if each.name == name],
        ):
            if len(found) > 1:
                ids = ", ".join(each.id for each in found)
                raise UsageError(
                    f"{len(found)} templates are called {name!r}",
                    hint=f"Say which by its id: {ids}.",
                )
            if found:
                return self.read([found[0].number])[0]
        raise NotFound(f"there is no template {name!r}", hint="`feedd templates` shows them.")

    def refused(self) -> tuple[Refused, ...]:
        """What of the directory cannot be used."""
        self._be_fresh()
        known = self._scan[1] if self._scan else None
        return tuple(sorted({*(known.refused if known else ()), *self._unusable.values()}))

    def directory(self) -> Directory | None:
        """The directory, and what is wrong with it; None where none is configured."""
        self._be_fresh()
        path = self._settings().templates.directory
        return None if path is None else Directory(str(path), self._trouble)

    def views(self, within_s: float = LOOK_S) -> list[TemplateView]:
        """What a person is told of every template, by name; what is wrong as far as it is found within that time."""
        listed = sorted(self.outlines(), key=by_name)
        told = self.told(listed, within_s)
        return [
            TemplateView(
                id=each.id,
                name=each.name,
                file=each.file,
                updated=each.updated_at,
                problem=told[each.number].problem,
                warning=told[each.number].warning,
            )
            for each in listed
        ]

    # what is wrong

    def told(
        self, templates: Sequence[store.Outline | Template], within_s: float = LOOK_S
    ) -> dict[int, Told]:
        """What is wrong with each, in a sentence, by its number: `NOT_YET` where it takes longer than that to find out."""
        unknown = {
            each.digest: each.number for each in templates if self._checks.known(each) is None
        }
        if unknown:
            self._checks.look_through(unknown, within_s)
        return {each.number: self._said_of(each) for each in templates}

    def _said_of(self, template: store.Outline | Template) -> Told:
        refused = self._unusable.get(template.name) if template.file else None
        if refused is not None:
            return Told(f"{refused.file} {refused.reason}; this is what it was before")
        found = self._checks.known(template)
        if found is None:
            return Told(NOT_YET)
        warnings = [each for each in found if each.severity == "warning"]
        count = f"{len(warnings)}{' or more' if len(warnings) == MOST_WARNINGS else ''}"
        more = f" ({count} warnings)" if len(warnings) > 1 else ""
        return Told(
            next((said(each) for each in errors(found)), None),
            f"{said(warnings[0])}{more}" if warnings else None,
        )

    def problem_of_file(self, file: str) -> Problem | None:
        """What is wrong with the template that a file is, if there is one. Raises Overloaded."""
        found = store.find_file(self._people, file)
        problems = () if found is None else self._checks.problems_of(found)
        return next(iter(errors(problems)), None)

    def _under(self) -> Under:
        settings, found = self._settings(), self._going_by
        if found is None or found[0] is not settings:
            found = self._going_by = settings, going_by(known_of(settings))
        return found[1]

    def _checked(self, sources: Sources) -> Sources:
        for problem in errors(self._checks.problems(sources)):
            raise BadTemplate(problem)
        return sources

    def close(self) -> None:
        """Look for what is wrong no more."""
        self._checks.stop()

    # what is changed over the API

    def create(self, name: str, sources: Sources, *, editor_type: str = "CODE") -> Template:
        """Make a template. Raises BadTemplate, UsageError."""
        return store.create_template(
            self._people,
            name=name,
            sources=self._checked(sources),
            now=datetime.now(UTC),
            editor_type=editor_type,
        )

    def change(self, id_: str, changes: dict[str, Any]) -> Template:
        """Change fields of a template. Raises NoTemplate, FromFile, BadTemplate."""
        changed = {name: changes[name] for name in PARTS if changes.get(name)}
        if changed:
            self._checked(Sources(**{"html": "", **changed}))
        return store.change_template(self._people, id_, changes, datetime.now(UTC))

    def delete(self, id_: str) -> Template:
        """Delete a template, and give it as it was. Raises NoTemplate, FromFile."""
        return store.delete_template(self._people, id_)

    def clone(self, id_: str, name: str | None = None, pointer: str | None = None) -> Template:
        """Make another template of the same sources. Raises NoTemplate, UsageError."""
        old = self.get(id_, pointer)
        return store.create_template(
            self._people,
            name=name or f"Clone of {old.name}",
            sources=sources_of(old),
            now=datetime.now(UTC),
            editor_type=old.editor_type,
        )

    # the directory

    def refresh(self) -> Refreshed:
        """Read what has changed in the directory. What cannot be read stays as it was.

        Raises:
            StoreError: the database cannot be used; the same is tried again next time.
        """
        with self._lock:
            directory = self._settings().templates.directory
            before = self._scan[1] if self._scan and self._scan[0] == directory else None
            try:
                found = Scan({}, (), ()) if directory is None else scan(directory)
                if found.is_empty and has_files(self._people, self._daemon):
                    raise NoDirectory(f"the directory {directory} {_EMPTY}")
            except NoDirectory as error:
                return self._troubled(directory, str(error))
            told = set(self._unusable.values()) | set(before.refused if before else ())
            self._trouble = None
            settled, read = self._taken_in(directory, before, found)
            self._scan = (directory, found)
            refused = {*found.refused, *self._unusable.values()} - told
            return Refreshed(settled, read, tuple(sorted(refused)))

    def _troubled(self, directory: object, trouble: str) -> Refreshed:
        is_new, self._trouble = trouble != self._trouble, trouble
        if self._is_due():
            self._settle([])  # they are still had
        self._scan = (directory, None)
        return Refreshed(Settled(), trouble=trouble if is_new else None)

    def _taken_in(
        self, directory: Path | None, before: Scan | None, found: Scan
    ) -> tuple[Settled, tuple[str, ...]]:
        is_due = self._is_due()
        if found == before and not is_due:
            return Settled(), ()
        known = before.stamps if before else {}
        changed = [name for name, stamps in found.stamps.items() if known.get(name) != stamps]
        if is_due and before:
            changed = sorted({*changed, *self._lost(found)})
        unusable = {name: each for name, each in self._unusable.items() if name not in changed}
        settled, read, batch, size = Settled(), [], list[FileSources](), 0
        for name in changed:
            try:
                each = read_file(directory or Path(), name)
            except Unusable as error:
                unusable[name] = error.refused
                continue
            read.append(each.file)
            batch.append(each)
            size += len(each.sources.html)
            if size >= BATCH_CHARACTERS:
                settled = settled.plus(self._settle(batch))
                batch, size = [], 0
        settled = settled.plus(self._settle(batch, found))
        self._unusable = {name: each for name, each in unusable.items() if name in found.stamps}
        return settled, tuple(read)

    def _settle(self, files: Sequence[FileSources], found: Scan | None = None) -> Settled:
        is_there = None if found is None else found.has
        now = datetime.now(UTC)
        done = store.settle_files(
            self._people, files, daemon=self._daemon, is_there=is_there, now=now
        )
        self._compared_at = self._clock()
        return done

    def _is_due(self) -> bool:
        """Whether it is time to look at what is stored, although nothing may have changed here."""
        return self._clock() - self._compared_at > COMPARED_EVERY_S

    def _lost(self, found: Scan) -> set[str]:
        """What of the directory is not stored any more, as after a restore."""
        stored = {each.file for each in store.read_outlines(self._people)}
        return {name for name in found.stamps if f"{name}{HTML}" not in stored}

    def _be_fresh(self) -> None:
        if self._scan is None:
            self.refresh()


def by_name(outline: store.Outline) -> tuple[str, str, int]:
    """What templates are sorted by, for people: their names, whatever their capitals."""
    return outline.name.casefold(), outline.name, outline.number


def said(problem: Problem) -> str:
    """What is wrong, with its place."""
    part = "" if problem.part == "html" else f"{problem.part}, "
    return f"{part}line {problem.line}, column {problem.column}: {problem.message}"


def advice(hint: str | None) -> str:
    """A hint as a sentence of its own."""
    return hint[:1].upper() + hint[1:] if hint else ""
