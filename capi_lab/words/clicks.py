"""Words of a click id's way: how far it gets, and what would have kept it."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ClickFix", "ClickStep"]


class ClickStep(StrEnum):
    """How far a click id gets: the first three count clicks, the others orders."""

    BOUGHT = "bought"
    LANDED = "landed"
    REDIRECTED = "redirected"
    CAME = "came"
    CHECKOUT = "checkout"
    ORDER = "order"
    EVENT = "event"
    ACCEPTED = "accepted"
    ATTRIBUTED = "attributed"

    @property
    def label(self) -> str:
        """What passes the step, for readers."""
        return _CLICK_STEP_LABELS[self.value]


_CLICK_STEP_LABELS = {
    "bought": "clicks bought",
    "landed": "landed with the id",
    "redirected": "past redirects with the id",
    "came": "orders after an ad click",
    "checkout": "id known at checkout",
    "order": "id on the order",
    "event": "id on the server event",
    "accepted": "event accepted",
    "attributed": "attributed",
}


class ClickFix(StrEnum):
    """What would have kept a click id that was lost."""

    KEEP_PARAMETERS = "keep_parameters"
    FORWARD_QUERY = "forward_query"
    ASK_CONSENT = "ask_consent"
    OWN_SERVER_COOKIE = "own_server_cookie"
    STORE_ON_LANDING = "store_on_landing"
    TIE_BY_PERSON = "tie_by_person"
    WRITE_TO_ORDER = "write_to_order"
    SEND_EVERY_ORDER = "send_every_order"
    SEND_FROM_ORDER = "send_from_order"
    MEND_REJECTED = "mend_rejected"
    SEND_AGAIN = "send_again"
    CHECK_ACCOUNT = "check_account"

    @property
    def remedy(self) -> str:
        """What to do, for readers."""
        return _REMEDIES[self.value]


_REMEDIES = {
    "keep_parameters": "let the ad's final URL, tracking template and click trackers pass the id on; "
    "look for landing pages that a cache answers before the log sees them",
    "forward_query": "make redirects (https, www, language, login) carry the query string along",
    "ask_consent": "nothing to mend but the question: the buyer declined, so the id may not be kept or sent",
    "own_server_cookie": "set the cookie that keeps the id from the shop's own server: "
    "this browser deletes cookies that scripts set",
    "store_on_landing": "store the id on the landing request itself, before scripts, tag managers or the next click",
    "tie_by_person": "bring the id to the order by the person: cl.attach_clicks",
    "write_to_order": "write the id from cookie or session into the order (a note attribute, a hidden field)",
    "send_every_order": "send a server event for every order",
    "send_from_order": "fill the server event's id from the order, not from the request that happens to send it",
    "mend_rejected": "mend what the receipt's code names, then send again",
    "send_again": "send again: it was never taken",
    "check_account": "compare the id's ad account, the conversion action and its window with those of the campaign",
}
