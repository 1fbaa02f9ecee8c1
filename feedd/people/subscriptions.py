"""What somebody has agreed to be sent, as Klaviyo's current API tells it. Pure.

feedd keeps no consent yet: everybody is one who never subscribed, whom an email may reach unless they are suppressed.
"""

from typing import Any

from msgspec import Struct

NEVER = "NEVER_SUBSCRIBED"


class Suppression(Struct, frozen=True, kw_only=True):
    """Why and since when somebody is sent no emails."""

    reason: str
    timestamp: str


class ListSuppression(Suppression, frozen=True, kw_only=True):
    """The same for one list."""

    list_id: str


class EmailMarketing(Struct, frozen=True, kw_only=True):
    """Marketing by email."""

    can_receive_email_marketing: bool
    consent: str = NEVER
    consent_timestamp: str | None = None
    last_updated: str | None = None
    method: str | None = None
    method_detail: str | None = None
    custom_method_detail: str | None = None
    double_optin: bool | None = None
    suppression: tuple[Suppression, ...] = ()
    list_suppressions: tuple[ListSuppression, ...] = ()


class SmsMarketing(Struct, frozen=True, kw_only=True):
    """Marketing by text message."""

    can_receive_sms_marketing: bool = False
    consent: str = NEVER
    consent_timestamp: str | None = None
    method: str | None = None
    method_detail: str | None = None
    last_updated: str | None = None


class SmsTransactional(Struct, frozen=True, kw_only=True):
    """Text messages about orders."""

    can_receive_sms_transactional: bool = False
    consent: str = NEVER
    consent_timestamp: str | None = None
    method: str | None = None
    method_detail: str | None = None
    last_updated: str | None = None


class PushMarketing(Struct, frozen=True, kw_only=True):
    """Marketing on a phone's screen."""

    can_receive_push_marketing: bool = False
    consent: str = NEVER
    consent_timestamp: str | None = None


class Consent(Struct, frozen=True, kw_only=True):
    """What somebody has agreed to, as the newer channels tell it."""

    consent: str = NEVER
    consent_timestamp: str | None = None
    last_updated: str | None = None
    created_timestamp: str | None = None
    metadata: dict[str, Any] | None = None
    can_receive: bool = False
    valid_until: str | None = None


class WhatsappConsent(Consent, frozen=True, kw_only=True):
    """The same for a number of WhatsApp."""

    phone_number: str | None = None


class EmailChannel(Struct, frozen=True):
    """What is sent by email, and whether it may tell that it was opened."""

    marketing: EmailMarketing
    open_tracking: Consent | None = None


class SmsChannel(Struct, frozen=True):
    """What is sent by text message."""

    marketing: SmsMarketing = SmsMarketing()
    transactional: SmsTransactional = SmsTransactional()


class PushChannel(Struct, frozen=True):
    """What is sent to a phone."""

    marketing: PushMarketing = PushMarketing()


class WhatsappChannel(Struct, frozen=True):
    """What is sent by WhatsApp."""

    marketing: WhatsappConsent | None = None
    transactional: WhatsappConsent | None = None
    conversational: WhatsappConsent | None = None


class Subscriptions(Struct, frozen=True):
    """What somebody has agreed to, by channel."""

    email: EmailChannel
    sms: SmsChannel = SmsChannel()
    mobile_push: PushChannel = PushChannel()
    whatsapp: WhatsappChannel | None = None


MAILABLE = Subscriptions(EmailChannel(EmailMarketing(can_receive_email_marketing=True)))
NOT_MAILABLE = Subscriptions(EmailChannel(EmailMarketing(can_receive_email_marketing=False)))


class PredictiveAnalytics(Struct, frozen=True, kw_only=True):
    """What is foreseen of somebody. feedd foresees nothing: each is null."""

    historic_clv: float | None = None
    predicted_clv: float | None = None
    total_clv: float | None = None
    historic_number_of_orders: float | None = None
    predicted_number_of_orders: float | None = None
    average_days_between_orders: float | None = None
    average_order_value: float | None = None
    churn_probability: float | None = None
    expected_date_of_next_order: str | None = None
    ranked_channel_affinity: tuple[str, ...] | None = None


UNFORESEEN = PredictiveAnalytics()
