"""What a shell is told of an error."""

from feedd.errors import (
    ConfigError,
    FeeddError,
    FeedError,
    StateInUse,
    StoreError,
    Unavailable,
    UsageError,
)

EXIT_CODES: dict[type[FeeddError], int] = {
    ConfigError: 2,
    Unavailable: 1,
    UsageError: 2,
    StateInUse: 75,
    FeedError: 1,
    StoreError: 1,
}


def exit_code(error: FeeddError) -> int:
    """The exit code of an error: that of its own kind, or of the kind above it."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
