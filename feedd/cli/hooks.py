"""Commands for webhooks."""

from typing import Annotated

import typer

from feedd.cli.backend import connect
from feedd.cli.options import AsJson, options_of
from feedd.cli.show import ago, clock, counted, emit, plain, say, table, until
from feedd.errors import UsageError

Name = Annotated[str, typer.Argument(metavar="NAME", help="The webhook.")]


def list_(context: typer.Context, *, as_json: AsJson = False) -> None:
    """How each webhook is doing: how far it is, what waits, what could not be delivered."""
    with connect(options_of(context)) as backend:
        found = backend.webhooks()
    if as_json:
        for view in found:
            emit(view)
        return
    if not found:
        say("No webhooks. Register one with [webhooks.NAME] in the configuration.")
        return
    table(
        ("webhook", "status", ">behind", ">waiting", ">dead", ">delivered", "last", "next try"),
        [
            (
                view.name,
                view.status,
                view.behind,
                view.waiting,
                view.dead,
                view.delivered,
                ago(view.last_delivered),
                until(view.next_try) if view.next_try else None,
            )
            for view in found
        ],
    )
    for view in found:
        if view.error and view.status != "paused":
            say(f"{plain(view.name)}: {plain(view.error)}")
        if view.status == "disabled":
            say(f"  It gets nothing any more; when it is back: feedd webhook test {view.name}")


def dead(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Of this webhook only.")
    ] = None,
    *,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Those that wait for their next try instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Messages that could not be delivered, and why. `webhook replay` sends them again."""
    status = "waiting" if waiting else "dead"
    with connect(options_of(context)) as backend:
        found = list(backend.webhook_deliveries(name, status))
    if as_json:
        for delivery in found:
            emit(delivery)
        return
    if not found:
        say("No messages wait." if waiting else "No messages are dead.")
        return
    table(
        (">id", "webhook", "type", "changes", ">tries", "made", "reason"),
        [
            (
                str(delivery.id),
                delivery.webhook,
                delivery.type,
                None if delivery.first_seq is None else f"{delivery.first_seq}-{delivery.last_seq}",
                delivery.tries,
                clock(delivery.created_at),
                delivery.reason,
            )
            for delivery in found
        ],
    )


def replay(
    context: typer.Context,
    name: Name,
    delivery: Annotated[
        int | None, typer.Argument(metavar="[ID]", min=0, help="This dead message.")
    ] = None,
    *,
    since: Annotated[
        int | None, typer.Option(min=0, metavar="SEQ", help="The changes after this number.")
    ] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All dead messages.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell a webhook again: the changes after a number, all dead messages, or one."""
    if [since is not None, dead, delivery is not None].count(True) != 1:
        raise UsageError("say what to tell again", hint="Give --since SEQ, --dead, or an ID.")
    with connect(options_of(context)) as backend:
        again = backend.replay_webhook(name, since=since, dead=dead, delivery=delivery)
    if as_json:
        emit({"webhook": name, "again": again})
        return
    what = "message" if since is None else "change"
    say(f"{counted(again, what)} to be told again to {plain(name)}.")


def send_test(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Send a test message now, and say how it went."""
    with connect(options_of(context), to_send=True) as backend:
        trial = backend.test_webhook(name)
    if as_json:
        emit(
            {
                "webhook": name,
                "delivered": trial.delivered,
                "http_status": trial.http_status,
                "reason": trial.reason,
            }
        )
    elif trial.delivered:
        say(f"Delivered: {plain(name)} answered {trial.http_status}.")
    else:
        say(f"Not delivered: {plain(trial.reason)}.")
    if not trial.delivered:
        raise typer.Exit(1)


def drop(
    context: typer.Context,
    delivery: Annotated[int, typer.Argument(metavar="ID", min=0, help="The message.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Give up a message: one that waits is dead, so that the next has its turn; a dead one is deleted."""
    with connect(options_of(context)) as backend:
        dropped = backend.drop_delivery(delivery)
    if as_json:
        emit(dropped)
    elif dropped.status == "dead":
        say(f"Deleted the message {delivery} to {plain(dropped.webhook)}.")
    else:
        say(f"Gave up the message {delivery} to {plain(dropped.webhook)}: it is dead now.")
