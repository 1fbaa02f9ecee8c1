"""A plan meets the document whose records it is for. Pure."""

from typing import BinaryIO

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
    wanted = plan.wanted
    return plan.within(form.around(stream, layout, charset, wanted) if wanted else [], base=base)
