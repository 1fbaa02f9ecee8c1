"""The query of a list: filter, sort and page, the same for every resource."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec
from fastapi import Depends, Query, Request

from feedd.api.documents import Resource, many
from feedd.api.filters import Condition, Supported, parse_filter
from feedd.errors import UsageError

MAX_PAGE = 1000
Row = TypeVar("Row")
Position = TypeVar("Position")
Number = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
_PARAMETERS = ("filter", "sort", "page[size]", "page[cursor]")


class CursorError(UsageError):
    """The cursor is not one that this list gave out."""

    source = {"parameter": "page[cursor]"}  # noqa: RUF012 never changed


class ParameterError(UsageError):
    """A query parameter that this list does not support."""

    def __init__(self, name: str, hint: str) -> None:
        self.source = {"parameter": name}
        super().__init__(f"the parameter {name!r} is not supported here as it stands", hint=hint)


class Listing:
    """What was asked of a list."""

    def __init__(
        self, request: Request, filter_: str | None, sort: str | None, size: int, cursor: str | None
    ) -> None:
        self._request = request
        self._filter = filter_
        self._cursor = cursor
        self._asked = ""
        self.sort = sort
        self.size = size

    def conditions(
        self, supported: Supported, *, sorts: Sequence[str] = (), also: Sequence[str] = ()
    ) -> list[Condition]:
        """The filter's conditions, once everything else in the query is known to be supported.

        Raises:
            FilterError: the filter cannot be read, or is not supported here.
            ParameterError: another parameter is not.
        """
        for name in self._request.query_params:
            if name not in (*_PARAMETERS, *also):
                raise ParameterError(name, f"Supported: {', '.join(_PARAMETERS)}.")
        if self.sort is not None and self.sort not in sorts:
            listed = ", ".join(f"sort={each}" for each in sorts)
            raise ParameterError("sort", f"Supported: {listed or 'no sorting'}.")
        found = parse_filter(self._filter, supported)
        asked = msgspec.json.encode([found, self.sort])
        self._asked = hashlib.blake2s(asked, digest_size=6).hexdigest()
        return found

    def position(self, kind: str, shape: type[Position]) -> Position | None:
        """Where the last page ended, as it was given to `page`: a tuple of that shape; None on the first page.

        A cursor holds a hash of the conditions and the order that it was made under: `conditions` comes first.

        Raises:
            CursorError: the cursor is not one of this list, or of another filter.
        """
        if self._cursor is None:
            return None
        try:
            packed = base64.urlsafe_b64decode(self._cursor + "=" * (-len(self._cursor) % 4))
            found: tuple[str, Position, str] = msgspec.json.decode(
                packed,
                type=tuple[str, shape, str],  # type: ignore[valid-type]
            )
        except (binascii.Error, ValueError, RecursionError):  # msgspec's errors are ValueErrors
            found = ("", None, "")  # type: ignore[assignment]
        if found[0] != kind:
            raise CursorError(
                "page[cursor] is not a cursor of this list",
                hint="Take it from links.next of the page before.",
            )
        if found[2] != self._asked:
            raise CursorError(
                "page[cursor] was made with another filter or sort",
                hint="Send the filter and sort of the page before, or start without a cursor.",
            )
        return found[1]

    def page(
        self,
        kind: str,
        rows: Sequence[Row],
        *,
        resource: Callable[[Row], Resource],
        position: Callable[[Row], list[Any]],
        meta: Mapping[str, Any] | None = None,
    ) -> Any:
        """The page's document; `rows` may hold one more than `size`, which says that another page follows."""
        shown = rows[: self.size]
        following = None
        if len(rows) > self.size:
            packed = msgspec.json.encode([kind, position(shown[-1]), self._asked])
            following = self._url(base64.urlsafe_b64encode(packed).decode().rstrip("="))
        return many(
            [resource(row) for row in shown],
            links={"self": self._url(self._cursor), "next": following},
            meta=meta,
        )

    def _url(self, cursor: str | None) -> str:
        query = [
            (name, value)
            for name, value in parse_qsl(self._request.url.query, keep_blank_values=True)
            if name != "page[cursor]"
        ]
        if cursor is not None:
            query.append(("page[cursor]", cursor))
        return self._request.url.path + (f"?{urlencode(query)}" if query else "")


async def _listing(
    request: Request,
    filter_: Annotated[str | None, Query(alias="filter")] = None,
    sort: Annotated[str | None, Query()] = None,
    size: Annotated[int, Query(alias="page[size]", ge=1, le=MAX_PAGE)] = 100,
    cursor: Annotated[str | None, Query(alias="page[cursor]", max_length=2000)] = None,
) -> Listing:
    return Listing(request, filter_, sort, size, cursor)


List = Annotated[Listing, Depends(_listing)]


def values_of(conditions: Sequence[Condition], field: str) -> list[Any] | None:
    """The values that `equals` and `any` conditions leave for a field; None when nothing is asked of it."""
    result: list[Any] | None = None
    for condition in conditions:
        if condition.field != field or condition.operator not in ("equals", "any"):
            continue
        wanted = condition.value if isinstance(condition.value, list) else [condition.value]
        result = wanted if result is None else [value for value in result if value in wanted]
    return result


def texts_of(conditions: Sequence[Condition], field: str) -> list[str] | None:
    """As `values_of`, for a field that holds text: a number in the filter is its decimal text."""
    values = values_of(conditions, field)
    return None if values is None else [str(value) for value in values]
