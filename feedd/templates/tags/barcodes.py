"""`{% barcode person.LoyaltyId width=200 height=75 mode=html %}`: a text as bars, in Code 128.

As HTML it is a table, whose cells are shown by mail clients that show no pictures; otherwise it is the address of a
picture, which is in the address itself. Source: Klaviyo's help, "How to add barcodes to your messages".
"""

from typing import Any

from barcode.codex import Code128
from barcode.errors import BarcodeError
from django.template import Library, Node, TemplateSyntaxError
from django.template.base import token_kwargs
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from feedd.templates.bounded import text_of, whole_number
from feedd.templates.pictures import png

register = Library()

MODES = ("url", "html", "rcs")
MAX_VALUE = 100
MAX_PIXELS = 4096
_NUMBERS = ("width", "height", "padded_width", "padded_height")
_QUIET = 10  # empty modules at each side, as scanners need them
_SIZES = {"url": (100, 50, 3), "html": (100, 50, 1), "rcs": (600, 300, 1)}  # width, height, scale
_RCS_CANVAS = (1440, 720)


def bars_of(value: str) -> str:
    """The modules of a text, `1` for black, quiet ones included; nothing for what Code 128 cannot say."""
    if not value or len(value) > MAX_VALUE:
        return ""
    try:
        built: str = Code128(value).build()[0]
    except (BarcodeError, KeyError, ValueError):
        return ""
    return "0" * _QUIET + built + "0" * _QUIET


def table(value: str, bars: str, width: int, height: int) -> SafeString:
    """Bars as a table of one row, each cell one bar or gap, at least one pixel a module."""
    module = max(width // len(bars), 1)
    runs: list[list[Any]] = []
    for bar in bars:
        if runs and runs[-1][0] == bar:
            runs[-1][1] += module
        else:
            runs.append([bar, module])
    cells = format_html_join(
        "",
        '<td width="{0}" height="{1}" bgcolor="{2}" style="width:{0}px;height:{1}px;background:{2};padding:0;'
        'font-size:0;line-height:0"></td>',
        ((pixels, height, "#000000" if bar == "1" else "#ffffff") for bar, pixels in runs),
    )
    return format_html(
        '<table role="img" aria-label="{}" cellpadding="0" cellspacing="0" border="0" width="{}" '
        'style="border-collapse:collapse"><tr>{}</tr></table>',
        value,
        len(bars) * module,
        cells,
    )


def _pixels(given: int, otherwise: int) -> int:
    return min(given, MAX_PIXELS) if given > 0 else otherwise


def picture(bars: str, mode: str, numbers: dict[str, int]) -> str:
    """Bars as the address of a picture; nothing where they do not fit into it."""
    usual_width, usual_height, scale = _SIZES[mode]
    width = min(_pixels(numbers["width"], usual_width) * scale, MAX_PIXELS)
    height = min(_pixels(numbers["height"], usual_height) * scale, MAX_PIXELS)
    canvas = (0, 0)
    if mode == "rcs" and width <= _RCS_CANVAS[0] and height <= _RCS_CANVAS[1]:
        canvas = _RCS_CANVAS
    bar_width = width // len(bars)
    if bar_width < 1:
        return ""
    return png(
        max(width, _pixels(numbers["padded_width"], canvas[0])),
        max(height, _pixels(numbers["padded_height"], canvas[1])),
        bars,
        bar_width=bar_width,
        bar_height=height,
    )


class BarcodeNode(Node):
    """The bars of a value."""

    def __init__(self, value: Any, mode: Any, numbers: dict[str, Any]) -> None:
        self.value = value
        self.mode = mode
        self.numbers = numbers

    def render(self, context: Any) -> str:
        """The table, or the address; nothing for a value that is missing or cannot be said in bars."""
        value = text_of(self.value.resolve(context))
        bars = bars_of(value)
        mode = self.mode if isinstance(self.mode, str) else text_of(self.mode.resolve(context))
        numbers = dict.fromkeys(_NUMBERS, 0) | {
            name: min(whole_number(each.resolve(context), 0), MAX_PIXELS)
            for name, each in self.numbers.items()
        }
        if not bars:
            return ""
        if mode == "html":
            width, height, _ = _SIZES["html"]
            size = _pixels(numbers["width"], width), _pixels(numbers["height"], height)
            return str(table(value, bars, *size))
        return picture(bars, mode if mode in MODES else "url", numbers)


@register.tag
def barcode(parser: Any, token: Any) -> BarcodeNode:
    """`{% barcode 'value' width=200 height=100 mode=html %}`."""
    _, *bits = token.split_contents()
    if not bits or "=" in bits[0].split("'")[0].split('"')[0]:
        raise TemplateSyntaxError(
            "'barcode' needs a value: {% barcode person.LoyaltyId mode=html %}"
        )
    value = parser.compile_filter(bits.pop(0))
    mode: Any = "url"
    for bit in [bit for bit in bits if bit.startswith("mode=")]:
        bits.remove(bit)
        word = bit.removeprefix("mode=")
        mode = word if word in MODES else parser.compile_filter(word)
    given = token_kwargs(bits, parser)
    if bits:
        raise TemplateSyntaxError(f"'barcode' does not understand {bits[0]!r}")
    coupon = given.pop("coupon", None)
    if coupon is not None and coupon.token not in ("False", "0"):
        raise _coupons_come_later()
    if unknown := sorted(set(given) - set(_NUMBERS)):
        raise TemplateSyntaxError(
            f"'barcode' takes {', '.join(_NUMBERS)}, mode and coupon, not {unknown[0]!r}"
        )
    return BarcodeNode(value, mode, given)


def _coupons_come_later() -> TemplateSyntaxError:
    error = TemplateSyntaxError("coupon codes are not there yet: 'barcode' cannot take coupon=True")
    error.hint = (
        "Keep the code in a property of the profile: {% barcode person.CouponCode mode=html %}."
    )
    return error
