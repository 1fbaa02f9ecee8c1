"""The man page, made from the table of commands, so that it says what they do.

python -m feedd.cli.manual > man/feedd.1
"""

import sys
from typing import Any

from feedd.cli.commands import COMMANDS, Command
from feedd.cli.main import build

_HEAD = r"""
.TH FEEDD 1 "" "feedd" "feedd"
.SH NAME
feedd \- keeps product catalogs in step with the feeds they come from, and says what changed
.SH SYNOPSIS
.B feedd
.RB [ \-\-config
.IR PATH ]
.RB [ \-\-state\-dir
.IR PATH ]
.I COMMAND
.RI [ ARGUMENTS ]
.SH DESCRIPTION
.B feedd
fetches the feeds that its configuration names on schedule, turns their items into one shape, and keeps an ordered stream of
what was added, updated, removed and restored.
.PP
Commands ask the running daemon over its unix socket.
With no daemon they do the work themselves.
"""
_TAIL = r"""
.SH EXIT STATUS
.TP
.B 0
Done; held removals are no failure.
.TP
.B 1
A feed failed, rows of a file were not taken in, or a database cannot be used.
.TP
.B 2
Wrong usage or configuration; nothing like that exists.
.TP
.B 75
Something else holds the state directory; it is named.
.SH SIGNALS
The daemon
.RB ( "feedd run" )
stops at SIGTERM and SIGINT, and reads its configuration again at SIGHUP.
.SH ENVIRONMENT
.TP
.B FEEDD_CONFIG
The configuration file.
.TP
.B FEEDD_STATE_DIR
The state directory.
.TP
.B NO_COLOR
No colours.
.SH FILES
.TP
.I feedd.toml
In the working directory, in the XDG configuration directory, or
.IR /etc/feedd/feedd.toml ;
.I feeds.d/*.toml
beside it.
.TP
.I /var/lib/feedd
The state directory of the service.
.TP
.I /run/feedd/feedd.sock
Where the service answers.
.SH SEE ALSO
.BR systemctl (1),
.BR systemd.service (5)
"""


def manual() -> str:
    """The page in man(7)'s language."""
    parts = [_HEAD.strip(), ".SH OPTIONS", *_options(build().params), ".SH COMMANDS"]
    for command in COMMANDS:
        parts += _command(command)
    return "\n".join([*parts, _TAIL.strip(), ""])


def _command(command: Command) -> list[str]:
    loaded = command.load()
    arguments = [p for p in loaded.params if p.param_type_name == "argument"]
    usage = " ".join(f"\\fI{_roff(_argument(p))}\\fR" for p in arguments)
    some = " [\\fIOPTIONS\\fR]" if any(p.param_type_name == "option" for p in loaded.params) else ""
    text = (loaded.help or command.help).split("\n\n")
    lines = [".SS", f"\\fBfeedd {_roff(command.name)}\\fR{some} {usage}".rstrip()]
    lines[0:2] = [f".SS {lines[1]}"]
    lines.append(_roff(" ".join(text[0].split())))
    for paragraph in text[1:]:
        lines += [".PP", _roff(" ".join(paragraph.split()))]
    return lines + _options(loaded.params)


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name or "").strip("[]").upper()
    name = f"{name}..." if parameter.nargs == -1 else name
    return name if parameter.required else f"[{name}]"


def _options(parameters: list[Any]) -> list[str]:
    lines = []
    for each in parameters:
        if each.param_type_name == "argument":
            lines += [".TP", f"\\fI{_roff(_argument(each))}\\fR", _roff(each.help or "")]
        elif not each.hidden and each.help:
            names = ", ".join(f"\\fB{_roff(name)}\\fR" for name in sorted(each.opts, key=len))
            value = "" if each.is_flag else f" \\fI{_roff(_value(each))}\\fR"
            lines += [".TP", f"{names}{value}", _roff(each.help)]
    return lines


def _value(option: Any) -> str:
    return (option.metavar or option.name or "value").upper()


def _roff(text: str) -> str:
    """Plain text, nothing of it taken for a request or an escape."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return f"\\&{text}" if text.startswith(".") else text


if __name__ == "__main__":
    sys.stdout.write(manual())
