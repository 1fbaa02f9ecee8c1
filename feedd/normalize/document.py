"""A plan meets the document whose records it is for. Pure."""

from typing import Any, BinaryIO

from feedd.formats import Format
from feedd.model import Layout
from feedd.normalize.plan import Plan


def plan_in_document(
    plan: Plan,
    form: Format,
    stream: BinaryIO,
    layout: Layout,
    charset: str | None,
    *,
    base: str | None,
) -> Plan:
    """The plan for the records of one body, with what stands around them. Reads the stream from where it is."""
    return plan.within(found_around(plan, form, stream, layout, charset), base=base)


def found_around(
    plan: Plan, form: Format, stream: BinaryIO, layout: Layout, charset: str | None
) -> list[list[Any]]:
    """What stands at the places around the records that the plan wants. Reads the stream from where it is."""
    wanted = plan.wanted
    return form.around(stream, layout, charset, wanted) if wanted else []
