"""What a private key may do: `read` and `write` for everything, `RESOURCE:read` and `RESOURCE:write` for one kind of thing. Pure."""

from collections.abc import Iterable

from feedd.errors import UsageError

ACTIONS = ("read", "write")
RESOURCES = (
    "accounts",
    "catalogs",
    "data-privacy",
    "events",
    "feeds",
    "metrics",
    "profiles",
    "templates",
    "web-feeds",
    "webhooks",
)


def allows(scopes: Iterable[str], resource: str, action: str) -> bool:
    """Whether somebody with these scopes may do that to a resource. Writing does not include reading."""
    return action in scopes or f"{resource}:{action}" in scopes


def check_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """The same scopes, each once, the wide ones first. Raises UsageError where one is none, or there are none."""
    found = tuple(dict.fromkeys(sorted(scopes, key=lambda each: (":" in each, each))))
    if not found:
        raise UsageError(
            "a private key needs a scope", hint="read, write, or one such as feeds:read."
        )
    for scope in found:
        resource, _, action = scope.rpartition(":")
        if action not in ACTIONS or (resource not in RESOURCES if ":" in scope else resource):
            raise UsageError(
                f"{scope!r} is no scope",
                hint=f"read, write, or RESOURCE:read, RESOURCE:write with one of {', '.join(RESOURCES)}.",
            )
    return found
