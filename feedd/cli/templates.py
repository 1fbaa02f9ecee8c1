"""The command `templates`: which there are, and what is wrong with them."""

from typing import TYPE_CHECKING

import typer

from feedd.cli.backend import connect
from feedd.cli.options import AsJson, options_of
from feedd.cli.show import ago, counted, emit, plain, say, table, text
from feedd.model import TemplateView

if TYPE_CHECKING:
    from rich.text import Text


def _trouble(view: TemplateView) -> "str | Text | None":
    if view.problem:
        return text(view.problem, "red")
    return text(f"warning: {view.warning}", "yellow") if view.warning else None


_NONE = 'No templates. Name a directory of them in the configuration ([templates], directory = "…"), or make some over the API.'


def templates(context: typer.Context, *, as_json: AsJson = False) -> None:
    """The templates, by name: those of files and those that were made over the API, and what is wrong with them."""
    with connect(options_of(context)) as backend:
        found, refused, directory, trouble = backend.templates()
    if as_json:
        for view in found:
            emit(view)
        for file, reason in refused:
            emit({"file": file, "refused": reason})
        if trouble is not None:
            emit({"directory": directory, "problem": trouble})
        return
    if trouble is not None:
        kept = "; what was read before stays" if found and "stays" not in trouble else ""
        say(text(f"{plain(trouble)}{kept}.", "red"))
    elif not found and not refused:
        say(_NONE if directory is None else f"No templates: there is no *.html below {plain(directory)}, and none was made over the API.")  # fmt: skip
    if found:
        table(
            ("template", "id", "file", "changed", "problem"),
            [
                (
                    view.name,
                    view.id,
                    view.file,
                    ago(view.updated),
                    _trouble(view),
                )
                for view in found
            ],
        )
    if refused:
        say(f"{counted(len(refused), 'file')} of the directory cannot be used:")
    for file, reason in refused:
        say(f"  {plain(file)} {plain(reason)}")
