"""The encodings that feeds are read in, by the labels that headers, XML declarations and people give them. Pure.

A label means what browsers take it to mean (WHATWG Encoding Standard): Latin-1 is windows-1252, GBK is GB18030, Shift_JIS
is Microsoft's. Only what contains ASCII as it is, is in the list: UTF-7, UTF-32, ISO-2022 and EBCDIC hide markup from
whoever looks at the bytes.
"""

import codecs
import re

_AS_THEY_ARE = (
    "utf-8", "utf-16", "utf-16-le", "utf-16-be",
    *(f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
    *(f"cp125{n}" for n in range(9)),
    "cp866", "cp874", "koi8-r", "koi8-u", "gb18030", "cp950", "big5hkscs", "cp932", "euc_jp", "cp949",
)  # fmt: skip
_READ_AS = {name: name for name in _AS_THEY_ARE} | {
    "ascii": "utf-8",  # many a feed says US-ASCII and is UTF-8
    "utf-8-sig": "utf-8",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "cp950",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
_ALSO = {"utf8mb4": "utf-8", "windows-31j": "cp932", "ms_kanji": "cp932", "windows-949": "cp949"}
_WINDOWS = re.compile(r"(?:x-)?(?:windows|win|cp)[-_ ]?(125[0-8]|874)")


def codec_of(label: str) -> str | None:
    """The name of Python's codec for an encoding's label, None where feedd does not read it."""
    plain = label.strip().strip("\"'").lower()
    windows = _WINDOWS.fullmatch(plain)
    if windows is not None:
        return f"cp{windows[1]}"
    plain = plain.removeprefix("x-")
    try:
        name = codecs.lookup(_ALSO.get(plain, plain)).name
    except (LookupError, ValueError):
        return None
    return _READ_AS.get(name)
