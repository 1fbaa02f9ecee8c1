"""How a render ends without text: each of these fails one message, never the process or the next message.

TemplateSyntaxError (Django's)   the template is wrong: nothing renders until its author mends it
LookupFailed                     this recipient is skipped: what the message is about is not there
TooMuch                          a bound was hit

The last two are no `Exception`: conditions and filters of Django's take those for a value that is false or blank, and go on.
"""


class LookupFailed(BaseException):
    """A recipient is skipped, such as one whose catalog item is gone. `reason` is shown with the recipient."""

    def __init__(self, reason: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.hint = hint


class TooMuch(BaseException):
    """A render would take more than it may have. `code` is a word of the API, such as `too_large`."""

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class TooSlow(BaseException):
    """The processor time of a message is used up. Raised by a signal, so nothing may catch it as an `Exception`."""


class Unanswered(BaseException):
    """A question was asked and its answer not read, so that the next answer would be another question's. The process must end.

    `__cause__` is what came between.
    """
