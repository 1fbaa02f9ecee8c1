"""Whether a raw XML record is exactly one well-formed element. Pure.

As strict as the pass that follows a whole document, and no stricter: what cannot move the border of a record (an unknown
entity, a control character, bytes that are not UTF-8, a prefix that nobody declares) is for its decoding to tell.
"""

from xml.parsers import expat

from feedd.errors import FormatError
from feedd.formats.text import excerpt
from feedd.formats.xml_markup import borders_only


def check_structure(raw: bytes, position: int) -> None:
    """Look at the record at a position of its document.

    Raises:
        FormatError: it is not one well-formed element, so that the document around it is not well-formed either.
    """
    parser = expat.ParserCreate("UTF-8")
    try:
        parser.Parse(borders_only(raw, is_last=True)[0], True)
    except expat.ExpatError as error:
        at = max(0, min(parser.ErrorByteIndex, len(raw) - 1))
        raise FormatError(
            "not_well_formed",
            f"record {position} of the body is not well-formed XML: {expat.ErrorString(error.code)} in its line "
            f"{error.lineno}, column {error.offset + 1}, at {excerpt(raw[at : at + 200], 40)!r}; "
            f"it begins with {excerpt(raw, 60)!r}",
            hint="Have the feed checked with an XML validator.",
        ) from error
