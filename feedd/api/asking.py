"""What a request asks of an operation, the same for every resource: filter, sort, page, fields, includes.

An operation declares as an `Asking` what it supports. A request's query, once it is known to ask for nothing else, is an `Asked`, which
makes the answer too. The words are those of https://developers.klaviyo.com/en/reference/api_overview .
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

import msgspec
from fastapi import Request, Response

from feedd.api import openapi
from feedd.api.access import authorize
from feedd.api.cursors import pack, unpack
from feedd.api.documents import respond
from feedd.api.filters import Condition, Supported, parse_filter
from feedd.api.resources import Choice, Resource, ResourceType, Tree, document, identifier, names_of
from feedd.errors import UsageError

Row = TypeVar("Row")
Position = TypeVar("Position")
Number = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
Pages = tuple[int, int]  # the size of a page by default, and at most
PAGES: Pages = (100, 1_000)
MOST_STEPS = 64  # of a path in `fields[…]`: nothing that is kept is deeper


class ParameterError(UsageError):
    """A query parameter that this operation does not support, or not with that value."""

    def __init__(self, name: str, problem: str, hint: str) -> None:
        self.source = {"parameter": name}
        super().__init__(f"the parameter {name!r} {problem}", hint=hint)


class Asking:
    """What an operation can be asked for.

    `kind` is what it answers with, or one of `others`; `pages` where that is a list. `include` are relationships, with the kind of what they lead to. `also`
    are further parameters, which the operation reads itself.
    """

    def __init__(
        self,
        kind: ResourceType,
        *,
        others: Sequence[ResourceType] = (),
        filters: Supported | None = None,
        sorts: Sequence[str] = (),
        pages: Pages | None = None,
        include: Mapping[str, ResourceType] | None = None,
        also: Sequence[str] = (),
    ) -> None:
        self.kind = kind
        self.answers = (kind, *others)
        self.filters = filters or {}
        self.sorts = tuple(sorts)
        self.pages = pages
        self.include = include or {}
        self.also = tuple(also)
        self.kinds = {each.name: each for each in (*self.answers, *self.include.values())}

    async def __call__(self, request: Request) -> "Asked":
        """The dependency of an operation. Raises UsageError: something else is asked for, or may not be."""
        asked = Asked(self, request)
        for name in asked.included:
            await authorize(request, self.include[name].scope)
        return asked

    def names(self) -> list[str]:
        """The parameters that it takes."""
        found = [
            name
            for name, is_there in (
                ("filter", self.filters),
                ("sort", self.sorts),
                ("include", self.include),
                ("page[size]", self.pages),
                ("page[cursor]", self.pages),
            )
            if is_there
        ]
        found += [f"fields[{name}]" for name in self.kinds]
        found += [
            f"additional-fields[{kind.name}]" for kind in self.kinds.values() if kind.additional
        ]
        return [*found, *self.also]

    def route(
        self,
        *,
        status: int = 200,
        body: tuple[type[Any], Any] | None = None,
        shape: openapi.Shape = openapi.Shape.ONE,
    ) -> dict[str, Any]:
        """What a route's decorator is told, for OpenAPI: the parameters, the body (its struct and an example), the answers."""
        return openapi.route(self, status=status, body=body, shape=shape)


class Asked:
    """What was asked: all of it is supported. `included` are the relationships to include."""

    def __init__(self, asking: Asking, request: Request) -> None:
        self.asking = asking
        self.request = request
        self._base = str(request.base_url).rstrip("/")
        query = _Query(asking, request)
        self.conditions: list[Condition] = parse_filter(query.single("filter"), asking.filters)
        self.sort = query.sort()
        self.size = query.size()
        self.included = query.included()
        self.choice = query.choice()
        self._cursor = query.single("page[cursor]")

    # what the conditions come to

    def values(self, field: str) -> list[Any] | None:
        """The values that `equals` and `any` conditions leave for a field; None when nothing is asked of it."""
        return values_of(self.conditions, field)

    def url_of(self, resource: Resource) -> str:
        """Where a resource can be asked for."""
        return resource.type.url(self._base, resource.id)

    # pages

    def position(self, shape: type[Position]) -> Position | None:
        """Where the last page ended, as it was given to `page`: a tuple of that shape; None on the first page.

        Raises:
            CursorError: the cursor is not one of this list, or of another filter or sort.
        """
        if self._cursor is None:
            return None
        return unpack(self._cursor, self._list(), self._digest(), shape)

    def page(
        self,
        rows: Sequence[Row],
        *,
        resource: Callable[[Row], Resource],
        position: Callable[[Row], list[Any]],
        include: Mapping[str, Callable[[Sequence[Row]], Sequence[Resource]]] | None = None,
        meta: Mapping[str, Any] | None = None,
        more: bool = False,
    ) -> Response:
        """The page's document; `rows` may hold one more than `size`, or there are `more`: then another page follows."""
        shown = rows[: self.size]
        loads = {name: (lambda load=load: load(shown)) for name, load in (include or {}).items()}
        return self._respond(
            [document(resource(row), self.choice, self._base) for row in shown],
            links=self._pages(rows, position, more=more),
            included=self._loaded(loads),
            meta=meta,
        )

    def one(
        self,
        resource: Resource,
        *,
        status: int = 200,
        include: Mapping[str, Callable[[], Sequence[Resource]]] | None = None,
        meta: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """A document with one resource."""
        return self._respond(
            document(resource, self.choice, self._base),
            links={"self": self._url(None)},
            included=self._loaded(include or {}),
            meta=meta,
            status=status,
            headers=headers,
        )

    def linkage(self, type_name: str, id_: str | None) -> Response:
        """A document with the identifier of what something is related to (`…/relationships/NAME`)."""
        return self._respond(
            None if id_ is None else identifier(type_name, id_),
            links={"self": self._url(None)},
        )

    def linkages(
        self,
        type_name: str,
        rows: Sequence[Row],
        *,
        id_of: Callable[[Row], str],
        position: Callable[[Row], list[Any]] = lambda _: [],
    ) -> Response:
        """A page of the identifiers of what something is related to."""
        return self._respond(
            [identifier(type_name, id_of(row)) for row in rows[: self.size]],
            links=self._pages(rows, position),
        )

    def _loaded(
        self, include: Mapping[str, Callable[[], Sequence[Resource]]]
    ) -> list[dict[str, Any]] | None:
        """What is to be included, each once; None where nothing was asked for."""
        if not self.included:
            return None
        found = {
            (resource.type.name, resource.id): resource
            for name in self.included
            for resource in include[name]()
        }
        return [document(each, self.choice, self._base) for each in found.values()]

    def _respond(
        self,
        data: Any,
        *,
        links: Mapping[str, str | None],
        included: list[dict[str, Any]] | None = None,
        meta: Mapping[str, Any] | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        made = {"data": data, "links": links}
        if included is not None:
            made["included"] = included
        if meta:
            made["meta"] = meta
        return respond(made, status=status, headers=headers)

    def _pages(
        self, rows: Sequence[Row], position: Callable[[Row], list[Any]], *, more: bool = False
    ) -> dict[str, str | None]:
        following = None
        if more or len(rows) > self.size:
            last = rows[: self.size][-1]
            following = pack(self._list(), position(last), self._digest())
        return {
            "self": self._url(self._cursor),
            "next": None if following is None else self._url(following),
            "prev": None,
        }

    def _list(self) -> str:
        """The list that a cursor belongs to, by its path."""
        return hashlib.blake2s(self.request.scope["raw_path"], digest_size=6).hexdigest()

    def _digest(self) -> str:
        asked = msgspec.json.encode([self.conditions, self.sort])
        return hashlib.blake2s(asked, digest_size=6).hexdigest()

    def _url(self, cursor: str | None) -> str:
        query = [
            (name, value)
            for name, value in self.request.query_params.multi_items()
            if name != "page[cursor]"
        ]
        if cursor is not None:
            query.append(("page[cursor]", cursor))
        path = self.request.scope["raw_path"].decode("latin-1")
        return f"{self._base}{path}" + (f"?{urlencode(query)}" if query else "")


class _Query:
    """The query of a request, read as an operation supports it. Everything raises UsageError."""

    def __init__(self, asking: Asking, request: Request) -> None:
        self._asking = asking
        self._given: dict[str, list[str]] = {}
        known = asking.names()
        for name, value in request.query_params.multi_items():
            if name not in known and not value:
                continue  # clients send all that they know, most of it empty
            if name not in known:
                raise ParameterError(
                    name, "is not supported here", f"Supported: {', '.join(known) or 'none'}."
                )
            self._given.setdefault(name, []).append(value)

    def single(self, name: str) -> str | None:
        values = self._given.get(name, [])
        if len(values) > 1:
            raise ParameterError(name, "is given more than once", "Send it once.")
        return values[0] if values and values[0] else None

    def sort(self) -> str | None:
        sort = self.single("sort")
        if sort is not None and sort not in self._asking.sorts:
            raise ParameterError(
                "sort", "has a value that is not supported", _supported(self._asking.sorts)
            )
        return sort

    def size(self) -> int:
        default, most = self._asking.pages or PAGES
        text = self.single("page[size]")
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= most):
            raise ParameterError("page[size]", f"is not from 1 to {most}", "Read more pages.")
        return int(text)

    def included(self) -> tuple[str, ...]:
        return self._words("include", tuple(self._asking.include))

    def choice(self) -> Choice:
        fields: dict[str, Tree] = {}
        additional: dict[str, frozenset[str]] = {}
        for name, kind in self._asking.kinds.items():
            wanted = self._words(f"additional-fields[{name}]", kind.additional)
            additional[name] = frozenset(wanted)
            parameter = f"fields[{name}]"
            if parameter in self._given:
                fields[name] = self._tree(parameter, kind)
        return Choice(fields, additional)

    def _words(self, name: str, supported: Sequence[str]) -> tuple[str, ...]:
        words = [word for value in self._given.get(name, []) for word in value.split(",")]
        found = tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
        for word in found:
            if word not in supported:
                raise _unknown(name, word, supported)
        return found

    def _tree(self, parameter: str, kind: ResourceType) -> Tree:
        tree: dict[str, Any] = {}
        known = names_of(kind.attributes)
        for value in self._given[parameter]:
            for path in filter(None, map(str.strip, value.split(","))):
                steps = path.split(".")
                if len(steps) > MOST_STEPS or not (path in known or _is_below(steps, known)):
                    raise _unknown(parameter, path, tuple(known))
                _enter(tree, steps)
        return tree


def _is_below(steps: Sequence[str], known: Mapping[str, bool]) -> bool:
    """Whether the path leads to a member of something whose members have any names."""
    return any(known.get(".".join(steps[:n])) for n in range(1, len(steps)))


def _enter(tree: dict[str, Any], path: Sequence[str]) -> None:
    """Enter a path: what is chosen as a whole stays so."""
    first, *rest = path
    if not rest:
        tree[first] = {}
    elif tree.get(first) != {}:
        _enter(tree.setdefault(first, {}), rest)


def _unknown(parameter: str, word: str, supported: Sequence[str]) -> ParameterError:
    return ParameterError(parameter, f"names {word[:100]!r}", _supported(supported))


def _supported(values: Sequence[str]) -> str:
    return f"Supported: {', '.join(values) or 'none'}."


def values_of(conditions: Sequence[Condition], field: str) -> list[Any] | None:
    """The values that `equals` and `any` conditions leave for a field; None when nothing is asked of it."""
    result: list[Any] | None = None
    for condition in conditions:
        if condition.field != field or condition.operator not in ("equals", "any"):
            continue
        wanted = condition.value if isinstance(condition.value, list) else [condition.value]
        result = wanted if result is None else [value for value in result if value in wanted]
    return result
