"""Follows an XML document with expat: what is open, which elements are the items, and where each lies. Pure."""

from xml.parsers import expat

from feedd.errors import FormatError
from feedd.formats.buffer import Buffer
from feedd.formats.limits import MAX_VALUE_BYTES
from feedd.formats.paths import Seen
from feedd.formats.text import CHUNK_BYTES, SPACE, excerpt
from feedd.formats.xml_items import ItemPaths, Names, Role
from feedd.formats.xml_markup import borders_only, declarations, end_of_tag, wrapper
from feedd.formats.xml_watch import Watch
from feedd.model import Layout

_MAX_CONTEXT_BYTES = 64 * 1024
_MAX_COUNTED_NAMES = 64
_CUT = frozenset(
    expat.errors.codes[message]
    for message in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)


class _Frame:
    """An element that is open and not inside an item. `counts` is for its children that hold elements."""

    __slots__ = ("counts", "has_attributes", "has_elements", "is_kept", "names", "scope", "start")

    def __init__(
        self, names: Names, scope: dict[str, str], start: int, *, has_attributes: bool
    ) -> None:
        self.names = names
        self.scope = scope
        self.start = start
        self.has_attributes = has_attributes
        self.has_elements = False
        self.is_kept = True
        self.counts: dict[str, int] = {}


class Outline:
    """The state of one document. Offsets are those of the buffer's text.

    `found` collects the items, those in a row that have the same namespaces together, under a start tag that declares
    them; `border` is where the last one ended; `item_name` how its tag is written.
    """

    def __init__(self, buffer: Buffer, layout: Layout, watch: Watch | None = None) -> None:
        self.found: list[tuple[bytes, list[bytes]]] = []
        self.border = 0
        self.item_name = ""
        self.seen = Seen()
        self._buffer = buffer
        self._layout = layout
        self._canonical = {uri: prefix for prefix, uri in layout.namespaces.items()}
        self._paths = ItemPaths(layout)
        self._frames: list[_Frame] = []
        self._root_name = ""
        self._root_is_empty = False
        self._maybe: _Frame | None = None
        self._watch = watch
        self._watched: _Frame | None = None
        self._watched_places: list[int] = []
        self._firsts: dict[tuple[str, ...], tuple[bytes, bytes]] = {}
        self._firsts_bytes = 0
        self._levels = 0  # levels open inside the item, itself included
        self._item_start = 0
        self._skipped = (
            buffer.offset
        )  # white space at the start and items, which expat is not given
        self._has_lines = True  # expat still knows in which line it is
        self._context: tuple[dict[str, str] | None, bytes] = (None, b"")
        self._parser = self._new_parser()

    # -- feeding

    def feed(self, stop: int) -> None:
        """Follow the text up to `data[stop]`, short of a character that is not whole.

        Raises:
            FormatError: the text is not well-formed, or passes a limit.
        """
        self._parse(stop, is_last=False)
        self._check_limits()

    def skip(self, stop: int, between: list[tuple[int, int]]) -> None:
        """Go to `data[stop]` over items that are cut already, following only what stands between them.

        Raises:
            FormatError: that is not well-formed.
        """
        buffer = self._buffer
        for start, end in between:
            self._pass_over(start)
            self._parse(end, is_last=True)
        self._pass_over(stop)
        self.border = buffer.offset

    def close(self) -> None:
        """Take note of the end of the text, after which `found` is complete.

        Raises:
            FormatError: the text ends too early, or no items were found where the layout looks for them.
        """
        self._parse(len(self._buffer.data), is_last=True)
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise self._refused(error) from error
        if self._paths.chosen:
            return
        if len(self._firsts) == 1:
            for context, raw in self._firsts.values():
                self.take(context, [raw])
        elif not self._is_empty_feed():
            raise self._no_items()

    def may_be_another(self, text: bytes) -> bool:
        """Whether some text behind an item may have a tag that is written like an item's, and is another element's."""
        if self._paths.by_namespace and b"xmlns" in text:
            return True
        return any(frame.names[0] == self.item_name for frame in self._frames)

    def mark(self) -> None:
        """Mark the start of what must stay in the buffer."""
        buffer = self._buffer
        kept = [each for each in (self._maybe, self._watched) if each and each.is_kept]
        kept += [root for root in self._frames[:1] if root.is_kept and not root.has_elements]
        if self._levels:
            buffer.mark = buffer.index_of(self._item_start)
        elif kept:
            buffer.mark = buffer.index_of(min(each.start for each in kept))
        else:  # a tag that is not whole yet has the last `<`
            start = buffer.data.rfind(b"<", buffer.mark, buffer.at)
            buffer.mark = buffer.at if start < 0 else start

    def context(self) -> bytes:
        """The start tag that declares the namespaces which hold here."""
        scope = self._frames[-1].scope
        if self._context[0] is not scope:  # elements that declare nothing share their parent's
            context = wrapper(scope)
            if len(context) > _MAX_CONTEXT_BYTES:
                raise FormatError(
                    "skeleton_too_large",
                    f"the elements around the items declare more than {_MAX_CONTEXT_BYTES} bytes of namespaces",
                )
            self._context = (scope, context)
        return self._context[1]

    def take(self, context: bytes, raws: list[bytes]) -> None:
        """Count some items as found."""
        if self.found and self.found[-1][0] == context:
            self.found[-1][1].extend(raws)
        else:
            self.found.append((context, raws))

    def _parse(self, stop: int, *, is_last: bool) -> None:
        buffer = self._buffer
        data, used = borders_only(buffer.data[buffer.at : stop], is_last=is_last)
        try:
            self._parser.Parse(data, False)
        except expat.ExpatError as error:
            raise self._refused(error) from error
        buffer.at += used

    def _pass_over(self, stop: int) -> None:
        """Go to `data[stop]` over bytes that expat is not given."""
        self._skipped += stop - self._buffer.at
        self._has_lines = False
        self._buffer.at = stop

    def _check_limits(self) -> None:
        offset, layout = self._buffer.offset, self._layout
        if self._levels:
            if offset - self._item_start > layout.max_record_bytes:
                raise self._record_too_large()
        elif offset - self.border > layout.max_skeleton_bytes + CHUNK_BYTES:
            raise self._skeleton_too_large()
        for frame in (self._maybe, *self._frames[:1]):
            if frame and offset - frame.start > layout.max_record_bytes:
                frame.is_kept = False
        if self._watched and offset - self._watched.start > MAX_VALUE_BYTES:
            self._watched = None

    # -- what expat says

    def _new_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate("UTF-8")
        parser.ordered_attributes = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity
        if hasattr(parser, "SetReparseDeferralEnabled"):
            # an event that comes late would be about bytes that the buffer has dropped
            parser.SetReparseDeferralEnabled(False)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        return parser

    def _start(self, name: str, attributes: list[str]) -> None:
        if self._levels:
            self._levels += 1
            return
        frames = self._frames
        start = self._parser.CurrentByteIndex + self._skipped
        scope = frames[-1].scope if frames else {}
        if any(attribute.startswith("xmlns") for attribute in attributes[::2]):
            index = self._buffer.index_of(start)
            tag = self._buffer.data[index : end_of_tag(self._buffer.data, index)]
            scope = {**scope, **declarations(tag)}
        if frames:
            frames[-1].has_elements = True
        else:
            self._root_name = name
        frames.append(
            _Frame(self._names(name, scope), scope, start, has_attributes=bool(attributes))
        )
        if len(frames) > self._layout.max_depth:
            raise FormatError(
                "too_deep",
                f"the document is nested more than {self._layout.max_depth} levels deep, at byte {start}",
            )
        path = [frame.names for frame in frames]
        if self._watch is not None and self._watched is None:
            self._look_out(self._watch, path, start)
        if self._maybe is not None:
            return
        role = self._paths.role(path)
        if role is Role.ITEM:
            self._watched = None  # what holds records is no value
            frames.pop()
            self._levels, self._item_start, self.item_name = 1, start, name
        elif role is Role.MAYBE:
            self._maybe = frames[-1]

    def _end(self, name: str) -> None:
        if self._levels:
            self._levels -= 1
            if not self._levels:
                raw = self._cut(self._item_start)
                if len(raw) > self._layout.max_record_bytes:
                    raise self._record_too_large()
                self.take(self.context(), [raw])
                self.border = self._item_start + len(raw)
            return
        frames = self._frames
        frame = frames.pop()
        if frame is self._watched and self._watch is not None:
            self._watched = None
            self._watch.take(self._watched_places, wrapper(frame.scope), self._cut(frame.start))
        if not frames:
            self._root_is_empty = self._is_textless(frame)
        elif frame is self._maybe:
            self._maybe = None
            self._weigh(frame)
        if frames and frame.has_elements:
            counts = frames[-1].counts
            if name in counts or len(counts) < _MAX_COUNTED_NAMES:
                counts[name] = counts.get(name, 0) + 1
                if counts[name] == 2:
                    self.seen.add(".".join(each.names[1] for each in (*frames, frame)))

    def _look_out(self, watch: Watch, path: list[Names], start: int) -> None:
        """Note an element that is wanted: its start tag now, the whole of it where it ends."""
        places = watch.places(path, is_before=not self._paths.chosen)
        tags = [place for place in places if watch.wanted[place].attributes]
        if tags:
            data, index = self._buffer.data, self._buffer.index_of(start)
            tag = data[index : end_of_tag(data, index)]
            alone = tag if tag.endswith(b"/>") else tag[:-1] + b"/>"
            watch.take(tags, wrapper(self._frames[-1].scope), alone)
        self._watched_places = [place for place in places if place not in tags]
        if self._watched_places:
            self._watched = self._frames[-1]

    def _weigh(self, frame: _Frame) -> None:
        """Take an element that may be an item for one, keep it until another one comes, or let it go."""
        if not frame.is_kept or not (
            frame.has_elements or (frame.has_attributes and self._is_textless(frame))
        ):
            return
        context, raw = self.context(), self._cut(frame.start)
        path = [each.names for each in (*self._frames, frame)]
        key = tuple(names[0] for names in path)
        if key in self._firsts:
            self._paths.choose(path)
            self.item_name = key[-1]
            for each in (self._firsts[key], (context, raw)):
                self.take(each[0], [each[1]])
            self.border = frame.start + len(raw)
            self._firsts.clear()
            return
        self._firsts[key] = context, raw
        self._firsts_bytes += len(raw)
        if self._firsts_bytes > self._layout.max_skeleton_bytes:
            raise self._skeleton_too_large()

    def _names(self, name: str, scope: dict[str, str]) -> Names:
        prefix, _, local = name.rpartition(":")
        canonical = self._canonical.get(scope.get(prefix, ""))
        return name, local, f"{canonical}:{local}" if canonical else local

    def _cut(self, start: int) -> bytes:
        """The bytes of the element that starts at an offset and ends where expat is now."""
        data, begin = self._buffer.data, self._buffer.index_of(start)
        end = end_of_tag(data, begin)
        if not data.endswith(b"/>", begin, end):
            end_tag = self._buffer.index_of(self._parser.CurrentByteIndex + self._skipped)
            end = data.index(b">", end_tag) + 1
        return data[begin:end]

    def _is_textless(self, frame: _Frame) -> bool:
        """Whether the element that ends here holds nothing, if it is still in the buffer."""
        if frame.has_elements or not frame.is_kept:
            return False
        raw = self._cut(frame.start)
        return not raw[end_of_tag(raw, 0) : max(raw.rfind(b"</"), 0)].strip(SPACE)

    # -- what can be wrong

    def _doctype(self, name: str, _system: str | None, _public: str | None, _subset: bool) -> None:
        if not self._layout.doctype:
            raise FormatError(
                "doctype_forbidden",
                f"the body has a DOCTYPE ({name}), which feedd does not read by default",
                hint="Remove it from the feed, or set doctype = true for this feed if you trust its source.",
            )

    def _entity(self, name: str, *_: object) -> None:
        raise FormatError(
            "doctype_forbidden",
            f"the body's DOCTYPE declares the entity {name!r}; feedd reads no entities",
            hint="Remove the DOCTYPE from the feed.",
        )

    def _is_empty_feed(self) -> bool:
        """Whether there is a place for items, with none in it."""
        if self._root_is_empty and self._paths.may_be_below_root:
            return True
        return self._paths.parent_met and not self.seen

    def _refused(self, error: expat.ExpatError) -> FormatError:
        if error.code in _CUT:
            return FormatError(
                "truncated",
                f"the body ends after {self._buffer.offset} bytes, in the middle of the document",
                hint="The download was cut short, or the server sent half a file.",
            )
        buffer = self._buffer
        offset = self._parser.ErrorByteIndex + self._skipped
        index = max(0, buffer.index_of(offset))
        place = f"at byte {offset + 1}"
        if self._has_lines:
            place = f"in line {error.lineno}, column {error.offset + 1}"
        return FormatError(
            "not_well_formed",
            f"the body is not well-formed XML: {expat.ErrorString(error.code)} {place}, "
            f"at {excerpt(buffer.data[index : index + 200], 40)!r}",
            hint="Have the feed checked with an XML validator.",
        )

    def _record_too_large(self) -> FormatError:
        return FormatError(
            "record_too_large",
            f"the <{self.item_name}> at byte {self._item_start} is larger than {self._layout.max_record_bytes} bytes",
            hint="Is `items` the path of the repeated element, not of something around it?",
        )

    def _skeleton_too_large(self) -> FormatError:
        seen = f"; repeated elements were seen at {self.seen}" if self.seen else ""
        return FormatError(
            "skeleton_too_large",
            f"there are more than {self._layout.max_skeleton_bytes} bytes without an item{seen}",
            hint="Set `items` to the path of the repeated element that is a product.",
        )

    def _no_items(self) -> FormatError:
        looked = ", ".join(f'"{path}"' for path in self._layout.items if path)
        hint = "The body repeats no element that holds others; is it an error message?"
        if self.seen:
            hint = f"Set `items` to one of the repeated elements that are there: {self.seen}."
        return FormatError(
            "no_items_found",
            f"there is no element at {looked or 'any known place'}; the body is a <{self._root_name}>",
            hint=hint,
        )
