"""Writes the functions of straight ways. Pure.

Their source is made of fixed words and numbers alone, whatever schema and feed say: `r3` is the fourth value of a record,
`f3` what the fourth field becomes, and all names and values that belong to a field are looked up under its number.
So records of several feeds that are built alike share the compiled code.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple

_MOST_CODES = 256


class Lane(NamedTuple):
    """How one field is filled: from the value at a `place` of the record, by `make`.

    `kind` says what is looked at first. `line`, `link`: whether all values of the kind are plain, which then are the fields.
    `text`: whether a text is plain; `make` takes what was made of it, and gives the HTML too. `price`: `make` gives the
    currency too. `word`: whether it is known what becomes of a text (`known`). `other`: nothing.
    `is_optional`: `make` may give None. `fits`: the schema takes whatever `make` gives.
    """

    place: int
    name: str
    kind: str
    make: Callable[[Any], Any]
    is_optional: bool
    fits: bool
    known: Mapping[str, Any] | None = None


class Sheet(NamedTuple):
    """What a function is to do for records of so many values (`size`).

    `kept` are the places of the values that are kept under other names. `stated`, `main` and `gallery` are the numbers of the
    lanes of the stated currency, the main image and the others, if these are there. `asks`: the schema has to be asked.
    """

    size: int
    lanes: tuple[Lane, ...]
    kept: tuple[tuple[str, int], ...]
    stated: int | None
    images: tuple[int, int] | None
    has_default: bool
    asks: bool


def function_of(sheet: Sheet, **words: Any) -> Callable[[dict[str, Any]], Any]:
    """The function, in which `words` are known."""
    namespace = dict(words)
    for number, lane in enumerate(sheet.lanes):
        namespace |= {f"name{number}": lane.name, f"html{number}": f"{lane.name}_html"}
        namespace |= {f"make{number}": lane.make, f"known{number}": lane.known}
    namespace |= {f"other{number}": name for number, (name, _) in enumerate(sheet.kept)}
    source = "\n    ".join(["def item(record):", *_lines(sheet)])
    exec(_compiled(source), namespace)  # noqa: S102 it holds nothing that anybody else has written
    function: Callable[[dict[str, Any]], Any] = namespace["item"]
    return function


@lru_cache(_MOST_CODES)
def _compiled(source: str) -> CodeType:
    return compile(source, "<straight way>", "exec")


def _lines(sheet: Sheet) -> Iterator[str]:
    yield f"{''.join(f'r{place}, ' for place in range(sheet.size))}= record.values()"
    yield from _together(sheet, "line", "are_plain_lines")
    yield from _together(sheet, "link", "are_plain_links")
    for number, lane in enumerate(sheet.lanes):
        yield from _alone(number, lane)
    yield from _currency(sheet)
    if sheet.images is not None:
        main, others = sheet.images
        yield f"if f{others} is not None and f{main} in f{others}: raise CloserLook"
    for number, (_, place) in enumerate(sheet.kept):
        raw = f"r{place}"
        yield f"k{number} = {raw} if type({raw}) is str and {raw}.isprintable() else keep({raw})"
    yield from _fields(sheet)
    if sheet.asks:
        yield "if not is_valid(fields): raise CloserLook"
    item_id = f"f{_number(sheet, 'id')}"
    yield f"if len({item_id}) > longest_id: raise CloserLook"
    yield f"return Item({item_id}, fields, warnings)"


def _number(sheet: Sheet, name: str) -> int:
    return next(number for number, lane in enumerate(sheet.lanes) if lane.name == name)


def _of(sheet: Sheet, kind: str) -> list[tuple[int, Lane]]:
    return [(number, lane) for number, lane in enumerate(sheet.lanes) if lane.kind == kind]


def _together(sheet: Sheet, kind: str, are_plain: str) -> Iterator[str]:
    """Fields that are their values, if one look at all of these finds nothing unusual."""
    some = _of(sheet, kind)
    if some:
        values = "".join(f"r{lane.place}, " for _, lane in some)
        yield f"{''.join(f'f{number}, ' for number, _ in some)}= {values}"
        yield f"if not {are_plain}(({values})):"
        for number, lane in some:
            yield f"    f{number} = make{number}(r{lane.place})"


def _alone(number: int, lane: Lane) -> Iterator[str]:
    field, raw = f"f{number}", f"r{lane.place}"
    if lane.kind == "text":
        yield f"{field} = None if {raw} is None else text({raw})"
        yield f"h{number} = None"
        yield f"if type({field}) is not str: {field}, h{number} = make{number}({field})"
    elif lane.kind == "price":
        yield f"{field}, c{number} = make{number}({raw})"
    elif lane.kind == "word":
        yield f"{field} = known{number}[{raw}] if type({raw}) is str else make{number}({raw})"
    elif lane.kind == "other":
        yield f"{field} = make{number}({raw})"


def _currency(sheet: Sheet) -> Iterator[str]:
    """The one currency of all prices, as it stands beside them, or is stated, or is the feed's."""
    prices = [number for number, _ in _of(sheet, "price")]
    stated = None if sheet.stated is None else f"f{sheet.stated}"
    if prices:
        yield f"code = c{prices[0]}"
    for number in prices[1:]:
        yield f"if c{number} is not None and c{number} != code:"
        yield "    if code is not None: raise CloserLook"
        yield f"    code = c{number}"
    if prices and stated:
        yield f"if code is None: code = {stated}"
        yield f"elif {stated} is not None and {stated} != code: raise CloserLook"
    if prices and sheet.has_default:
        is_there = " or ".join(f"f{number} is not None" for number in prices)
        yield f"if code is None and ({is_there}): code = default"


def _fields(sheet: Sheet) -> Iterator[str]:
    """All of them as one object, without those that are not there."""
    members = [(f"name{number}", f"f{number}") for number in range(len(sheet.lanes))]
    optional = [f"f{number}" for number, lane in enumerate(sheet.lanes) if lane.is_optional]
    if _of(sheet, "price"):
        optional.append("code")
        if sheet.stated is None:
            members.append(("'currency'", "code"))
        else:
            members[sheet.stated] = (f"name{sheet.stated}", "code")
    kept = [(f"other{number}", f"k{number}") for number in range(len(sheet.kept))]
    optional += [value for _, value in kept]
    yield f"fields = {{{', '.join(f'{name}: {value}' for name, value in members + kept)}}}"
    if optional:
        yield f"if {' or '.join(f'{value} is None' for value in optional)}:"
        yield "    fields = {name: value for name, value in fields.items() if value is not None}"
    for number, _ in _of(sheet, "text"):
        yield f"if h{number} is not None: fields[html{number}] = h{number}"
