"""Django's `{% widthratio %}`, to which a missing width is no mistake of the template's author."""

from typing import Any

from django.template import Library
from django.template.defaulttags import WidthRatioNode
from django.template.defaulttags import widthratio as django_widthratio

register = Library()


class WidthRatio(WidthRatioNode):
    """A ratio of a width; nothing where there is no width."""

    def render(self, context: Any) -> str:
        """The rounded ratio, or nothing where it is given a name. Raises TemplateSyntaxError for a width that is no number."""
        width = self.max_width.resolve(context)
        if width is None or width == "" or width in (float("inf"), float("-inf")):
            if self.asvar:
                context[self.asvar] = ""
            return ""
        return str(super().render(context))


@register.tag
def widthratio(parser: Any, token: Any) -> WidthRatio:
    """`{% widthratio value largest 100 %}`."""
    found = django_widthratio(parser, token)
    return WidthRatio(found.val_expr, found.max_expr, found.max_width, asvar=found.asvar)
