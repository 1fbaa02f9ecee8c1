"""Which operations of Klaviyo's APIs feedd is still to have, so that who asks for one is not told of a typo. Pure.

What the documentation lists as `later` is here, and nothing else (a test compares the two).
"""

import re

_BULK = r"(?:item|variant|category)-bulk-(?:create|update|delete)-jobs"
_LATER = re.compile(
    "/client/(?:back-in-stock-)?subscriptions"
    r"|/api/profile-(?:suppression|subscription)-bulk-(?:create|delete)-jobs(?:/[^/]+)?"
    r"|/api/profiles/[^/]+/(?:relationships/)?(?:lists|segments)"
    rf"|/api/catalog-(?:variants|categories|{_BULK})(?:/.+)?"
    r"|/api/catalog-items/.+/(?:variants|categories)"
    "|/api/back-in-stock-subscriptions"
    r"|/api/(?:lists|segments|campaigns)(?:/.+)?"
    r"|/api/campaign-(?:messages|send-jobs|recipient-estimations|recipient-estimation-jobs)(?:/.+)?"
    "|/api/campaign-(?:clone|message-assign-template)"
    r"|/api/v1/(?:segment|lists|people/exclusions|campaigns?)(?:/.+)?"
    "|/api/v1/email-template/[^/]+/send"
    r"|/api/v2/(?:lists?|group|segment)(?:/.+)?"
)
_NEVER = re.compile("/(?:tags|flow-triggers|image)$")


def is_later(path: str) -> bool:
    """Whether there will be something at a path."""
    return _LATER.fullmatch(path) is not None and _NEVER.search(path) is None
