"""Django's `{% for %}`, which counts what it writes and how often it turns."""

from typing import Any

from django.template.base import NodeList, TemplateSyntaxError
from django.template.defaulttags import ForNode, do_for
from django.utils.safestring import SafeString


class BoundedForNode(ForNode):
    """A loop that ends its message when the message grows beyond what one may be.

    It turns as Django's does; the context is set up and left the same way.
    """

    def render(self, context: Any) -> str:
        """The text of every turn.

        Raises:
            TooMuch: the message is too large, or turns too often.
        """
        parent = context.get("forloop", {})
        with context.push():
            values = self.sequence.resolve(context, ignore_failures=True)
            if values is None:
                values = []
            elif not isinstance(values, list | tuple):
                values = list(values)
            count = len(values)
            if count < 1:
                return str(self.nodelist_empty.render(context))
            if self.is_reversed:
                values = values[::-1]
            return self._turn(context, values, count, parent)

    def _turn(self, context: Any, values: Any, count: int, parent: Any) -> str:
        written: list[str] = []
        loop = context["forloop"] = {"parentloop": parent}
        message = context.message
        names = self.loopvars
        nodes = [node.render_annotated for node in self.nodelist_loop]
        last = count - 1
        for index, value in enumerate(values):
            loop["counter0"] = index
            loop["counter"] = index + 1
            loop["revcounter"] = count - index
            loop["revcounter0"] = last - index
            loop["first"] = index == 0
            loop["last"] = index == last
            if len(names) == 1:
                context[names[0]] = value
                text = "".join([render(context) for render in nodes])
            else:
                with context.update(_unpacked(names, value)):
                    text = "".join([render(context) for render in nodes])
            message.write(len(text))
            written.append(text)
        whole: str = SafeString("".join(written))  # each node has escaped what it wrote
        return whole


def _unpacked(names: list[str], value: Any) -> dict[str, Any]:
    """The parts of a value under the names of a loop. Raises ValueError where they are not as many."""
    count = len(value) if hasattr(value, "__len__") else 1
    if len(names) != count:
        raise ValueError(f"Need {len(names)} values to unpack in for loop; got {count}. ")
    return dict(zip(names, value, strict=True))


def bounded_for(parser: Any, token: Any) -> BoundedForNode:
    """`{% for x in xs %}…{% empty %}…{% endfor %}`, as Django has it."""
    found = do_for(parser, token)
    if not isinstance(found, ForNode):  # pragma: no cover
        raise TemplateSyntaxError("a loop is expected")
    empty = found.nodelist_empty
    return BoundedForNode(
        found.loopvars,
        found.sequence,
        found.is_reversed,
        found.nodelist_loop,
        empty if isinstance(empty, NodeList) else None,
    )
