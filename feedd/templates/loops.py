"""Django's `{% for %}`, which counts what it writes and how often it turns, and its `{% ifchanged %}`, which changes no value."""

from typing import Any

from django.template.base import NodeList, TemplateSyntaxError
from django.template.defaulttags import ForNode, IfChangedNode, do_for, ifchanged
from django.utils.safestring import SafeString


class Turns(dict[str, Any]):
    """`forloop`. What is remembered from one turn to the next is beside it, where no name reaches."""

    __slots__ = ("remembered",)

    def __init__(self, parent: Any) -> None:
        super().__init__(parentloop=parent)
        self.remembered: dict[Any, Any] = {}


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
        loop = context["forloop"] = Turns(parent)
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


class KeptApartIfChangedNode(IfChangedNode):
    """Remembers beside the loop what was shown last. Django keeps it in `forloop`, and that may be a name for any dict."""

    def _get_context_stack_frame(self, context: Any) -> Any:
        loop = context.get("forloop")
        return loop.remembered if type(loop) is Turns else context.render_context


def kept_apart_ifchanged(parser: Any, token: Any) -> KeptApartIfChangedNode:
    """`{% ifchanged x %}…{% else %}…{% endifchanged %}`, as Django has it."""
    found = ifchanged(parser, token)
    return KeptApartIfChangedNode(found.nodelist_true, found.nodelist_false, *found._varlist)
