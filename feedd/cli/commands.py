"""The table of commands: what each is called, where it is, what it does.

To add a command: a function in the module that it belongs to, its line here, its part in `docs/cli.md` and its tests in
`tests/test_cli.py`. Only the module of the command that was typed is imported, so a command costs the others nothing;
what is heavy in it (sqlalchemy, httpx, rich, numpy, lxml, jsonschema) is imported where it is needed, not at its top.
"""

from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

CONTEXT = {"help_option_names": ["-h", "--help"]}


class Command(NamedTuple):
    """One command: its words, the function (module below `feedd.cli`, and name), and its line in `--help`.

    The line is the first one of the function's docstring too; a test compares.
    """

    name: str
    where: str
    help: str

    def load(self) -> TyperCommand:
        """The command itself, its module imported."""
        module, _, function = self.where.partition(":")
        single = typer.Typer(
            add_completion=False, pretty_exceptions_enable=False, context_settings=CONTEXT
        )
        single.command(self.name.rpartition(" ")[2])(
            getattr(import_module(f"feedd.cli.{module}"), function)
        )
        command: Any = typer.main.get_command(single)
        return command  # type: ignore[no-any-return]


COMMANDS = (
    Command(
        "run",
        "running:run",
        "Run the daemon until SIGTERM or Ctrl-C; SIGHUP reads the configuration again.",
    ),
    Command(
        "demo",
        "running:demo",
        "Show what feedd does: the real daemon and a small shop whose prices change while you watch.",
    ),
    Command(
        "check",
        "checking:check",
        "Name everything that is wrong with the configuration, where, and what to write instead.",
    ),
    Command(
        "probe",
        "probing:probe",
        "Look at a feed before registering it: what it is, what it would become, the configuration to paste.",
    ),
    Command(
        "install-service",
        "installing:install_service",
        "Install feedd as a systemd service: unit, user, directories, man page, completion, a first configuration.",
    ),
    Command("feeds", "reading:feeds", "How each feed is doing, and what is wrong with it."),
    Command("resync", "syncing:resync", "Sync feeds now, and tell what it did."),
    Command(
        "cancel",
        "operating:cancel",
        "End the sync of a feed that runs, and the one that waits; the catalog stays as it was.",
    ),
    Command(
        "forget",
        "operating:forget",
        "Drop what is stored of a feed; its items are told as removed.",
    ),
    Command(
        "changes",
        "changes:changes",
        "What changed, in the order of the stream: field by field, old -> new.",
    ),
    Command(
        "item", "items:item", "One item as it is stored, or as it was; or what happened to it."
    ),
    Command("rejects", "reading:rejects", "Records that could not become items, and why."),
    Command(
        "render",
        "rendering:render",
        "Render a template for one person, as it would be sent.",
    ),
    Command(
        "templates",
        "templates:templates",
        "The templates, by name: those of files and those that were made over the API, and what is wrong with them.",
    ),
    Command(
        "web-feeds list",
        "web_feeds:list_",
        "How each web feed is doing: how old its body is, when it is refreshed next, what is wrong.",
    ),
    Command(
        "web-feeds refresh", "web_feeds:refresh", "Fetch a web feed now, and tell how it went."
    ),
    Command(
        "template check",
        "template_checking:check",
        "Name everything that is wrong with templates, where, and what to write instead.",
    ),
    Command(
        "profile show",
        "profiles:show",
        "Who somebody is, what is known of them, and what they did, the newest first.",
    ),
    Command(
        "profile set",
        "profiles:set_",
        "Change what is known of somebody; makes their profile where there is none.",
    ),
    Command(
        "profile merge",
        "profiles:merge",
        "Make one profile of several: events and identifiers move, gaps are filled. It cannot be undone.",
    ),
    Command(
        "profile delete",
        "profiles:delete",
        "Delete what is known of a person. Their events stay and name nobody any more. It cannot be undone.",
    ),
    Command(
        "profile import",
        "profiles:import_",
        "Take in profiles from a file. Interrupted, the same command goes on where it was.",
    ),
    Command(
        "profile export",
        "profiles:export",
        "Write all profiles to a file, the oldest first; `profile import` reads it without loss.",
    ),
    Command(
        "track",
        "tracking:track",
        "Record that somebody did something; with --import, the events of a file.",
    ),
    Command(
        "identify",
        "tracking:identify",
        "Say who somebody is, as the identify call does; makes their profile where there is none.",
    ),
    Command(
        "metrics list",
        "people_metrics:list_",
        "What people do: every metric, how much of it there is, and when it was last.",
    ),
    Command(
        "metrics timeline",
        "people_metrics:timeline",
        "What happened, the newest first: of one metric, or of all.",
    ),
    Command(
        "metrics chart",
        "people_metrics:chart",
        "How much of a metric there was over time, drawn.",
    ),
    Command(
        "jobs list",
        "jobs:list_",
        "What was sent in bulk over the API, the newest first, and how far it is.",
    ),
    Command(
        "jobs show",
        "jobs:show",
        "How far a job is, and what was wrong with rows of it.",
    ),
    Command(
        "jobs cancel",
        "jobs:cancel",
        "Leave off with a job that is not done; what of it is done stays.",
    ),
    Command(
        "backup",
        "backups:backup",
        "Write both databases, as they are at one moment, to one file; the daemon may run.",
    ),
    Command(
        "restore",
        "backups:restore",
        "Put a backup in the place of the databases that are there; these are kept aside. No daemon may run.",
    ),
    Command(
        "key create",
        "keys:create",
        "Make an API key. A private one is shown this once, and stored as a hash.",
    ),
    Command("key list", "keys:list_", "The API keys, without their secrets."),
    Command(
        "key rotate",
        "keys:rotate",
        "Replace an API key by a new one of the same name, kind and scopes.",
    ),
    Command("key revoke", "keys:revoke", "Make an API key useless, at once."),
    Command(
        "webhook list",
        "hooks:list_",
        "How each webhook is doing: how far it is, what waits, what could not be delivered.",
    ),
    Command(
        "webhook dead",
        "hooks:dead",
        "Messages that could not be delivered, and why. `webhook replay` sends them again.",
    ),
    Command(
        "webhook replay",
        "hooks:replay",
        "Tell a webhook again: the changes after a number, all dead messages, or one.",
    ),
    Command("webhook test", "hooks:send_test", "Send a test message now, and say how it went."),
    Command(
        "webhook drop",
        "hooks:drop",
        "Give up a message: one that waits is dead, so that the next has its turn; a dead one is deleted.",
    ),
)
GROUPS = {
    "key": "API keys for the HTTP side.",
    "template": "Templates of messages.",
    "profile": "People: who they are, and what is known of them.",
    "metrics": "What people do, and how much of it; alone it lists the metrics.",
    "jobs": "What was sent in bulk over the API; alone it lists the jobs.",
    "webhook": "Webhooks, and what they were not told.",
    "web-feeds": "What templates see as feeds.NAME; alone it lists them.",
}


# the command of a group that is meant where none is named
DEFAULTS = {"metrics": "list", "jobs": "list", "web-feeds": "list"}


class LazyGroup(TyperGroup):
    """A group that knows the names of its commands, and imports the one that is typed."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._lazy: dict[str, Command] = {}
        self._default = DEFAULTS.get(self.name or "")
        self.no_args_is_help = self.no_args_is_help and self._default is None

    def add(self, command: Command) -> None:
        """Take up a command by its name and help; `resolve_command` loads it."""
        name = command.name.rpartition(" ")[2]
        self.add_command(TyperCommand(name, help=command.help, context_settings=CONTEXT))
        self._lazy[name] = command

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        unnamed = not args or (args[0].startswith("-") and args[0] not in ("-h", "--help"))
        if self._default is not None and unnamed and not ctx.resilient_parsing:
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name in self._lazy:
            command = self._lazy[name].load()
        return name, command, rest


def fill(program: LazyGroup) -> None:
    """Give the program its commands, and the groups of commands that it has."""
    groups: dict[str, LazyGroup] = {"": program}
    for command in COMMANDS:
        group = command.name.rpartition(" ")[0]
        if group not in groups:
            groups[group] = LazyGroup(name=group, help=GROUPS[group], no_args_is_help=True)
            program.add_command(groups[group])
        groups[group].add(command)
