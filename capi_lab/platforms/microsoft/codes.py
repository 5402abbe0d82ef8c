"""What Microsoft's error codes mean and what to do; each product has its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from capi_lab.platforms.route import OutcomeStatus, StatusRule

__all__ = ["NUMBER_OF", "OFFLINE_CODES", "UET_CODES"]

_TAKEN, _NO, _AGAIN = OutcomeStatus.ACCEPTED, OutcomeStatus.REJECTED, OutcomeStatus.RETRY

OFFLINE_CODES = (
    StatusRule("0", _AGAIN, "internal or unnamed error on Microsoft's side", "", timedelta(seconds=5), False),
    StatusRule("100", _NO, "the request was empty", "report it: we send none", None, False),
    StatusRule(
        "105",
        _NO,
        "the credentials are wrong for this environment",
        "check access token and developer token, and that both are for production",
        None,
        False,
    ),
    StatusRule("106", _NO, "no access to the account", "give the user access to customer and account", None, False),
    StatusRule("109", _NO, "the access token has expired", "renew it (it lives about an hour)", None, False),
    StatusRule("116", _NO, "a header is missing", "check customer_id and customer_account_id", None, False),
    StatusRule("117", _AGAIN, "too many calls in this minute", "", timedelta(seconds=60), False),
    StatusRule("1029", _NO, "the customer id is missing", "check customer_id", None, False),
    StatusRule("1030", _NO, "the account id is missing", "check customer_account_id", None, False),
    StatusRule("5600", _NO, "the list of conversions was empty", "report it: we send none", None, False),
    StatusRule("5601", _NO, "more than 1,000 conversions in one request", "send smaller batches"),
    StatusRule("5602", _NO, "a conversion was null", "report it: we send none"),
    StatusRule("5603", _NO, "no click id, and no hash that can be used instead", "add msclkid, e-mail or phone"),
    StatusRule("5604", _NO, "the click id is no GUID", "take msclkid from the landing page's URL, whole"),
    StatusRule("5605", _NO, "the goal's name is missing", "set conversion_name", None, False),
    StatusRule(
        "5606",
        _NO,
        "no offline goal has this name",
        "spell conversion_name as the goal; a new goal needs two hours",
        None,
        False,
    ),
    StatusRule("5607", _NO, "the time is invalid", "check event_time"),
    StatusRule("5608", _NO, "the time is missing", "check event_time"),
    StatusRule("5609", _NO, "the conversion is older than allowed", "send within 90 days of the conversion"),
    StatusRule("5610", _NO, "the value is invalid", "0 to 999,999,999,999 with at most three decimals"),
    StatusRule("5611", _NO, "the currency is invalid", "use an ISO-4217 code that Microsoft supports"),
    StatusRule("5612", _AGAIN, "Microsoft could not pass the conversion on", "", timedelta(seconds=5), False),
    StatusRule(
        "5613", _NO, "offline conversions are not enabled for the customer", "ask Microsoft's support", None, False
    ),
    StatusRule("5614", _NO, "the conversion lies in the future", "check clock and zone of event_time"),
    StatusRule("5615", _AGAIN, "the goal is younger than two hours", "", timedelta(hours=2), False),
    StatusRule("5616", _NO, "the conversion is earlier than its click", "check the zones of click and conversion"),
    StatusRule("5617", _NO, "the click is too long ago for the goal", "widen the goal's window, at most 90 days"),
    StatusRule("5618..5627", _NO, "an adjustment was refused", "we send none: look for another sender"),
    StatusRule(
        "NotEligibleForEnhancedConversions",
        _NO,
        "hashes were sent to a goal without enhanced conversions",
        "switch them on for the goal, or send conversions with a click id only",
    ),
    StatusRule("ConversionEmailAddressIsNotHashed", _NO, "the e-mail is no SHA-256 digest", "report it: we hash"),
    StatusRule("ConversionPhoneNumberIsNotHashed", _NO, "the phone is no SHA-256 digest", "report it: we hash"),
    StatusRule(
        "GoalNotEligibleForExternalAttribution",
        _NO,
        "the goal takes no credit computed elsewhere",
        "we send none: look for another sender",
    ),
    StatusRule(
        "ExternalAttributionRequiredFieldEmpty",
        _NO,
        "the goal wants credit and model computed elsewhere, which conversions do not hold",
        "use a goal that is not externally attributed",
        None,
        False,
    ),
    StatusRule("ExternalAttributionModelTooLong", _NO, "the model's name is too long", "we send none"),
    StatusRule("ExternalAttributionCreditValueInvalid", _NO, "the credit is not within 0 and 1", "we send none"),
)
"""By number; by name where no number is documented."""

NUMBER_OF: Mapping[str, str] = MappingProxyType(
    {
        "InternalError": "0",
        "NullRequest": "100",
        "InvalidCredentials": "105",
        "UserIsNotAuthorized": "106",
        "AuthenticationTokenExpired": "109",
        "RequestMissingHeaders": "116",
        "CallRateExceeded": "117",
        "CampaignServiceCustomerIdHasToBeSpecified": "1029",
        "CampaignServiceAccountIdHasToBeSpecified": "1030",
        "OfflineConversionsNullOrEmpty": "5600",
        "OfflineConversionsLimitExceeded": "5601",
        "OfflineConversionIsNull": "5602",
        "OfflineConversionMicrosoftClickIdNullOrEmpty": "5603",
        "OfflineConversionMicrosoftClickIdInvalid": "5604",
        "OfflineConversionNameNullOrEmpty": "5605",
        "OfflineConversionNameInvalid": "5606",
        "OfflineConversionTimeInvalid": "5607",
        "OfflineConversionTimeNullOrEmpty": "5608",
        "OfflineConversionTimeOutOfWindow": "5609",
        "OfflineConversionValueInvalid": "5610",
        "OfflineConversionCurrencyCodeInvalid": "5611",
        "OfflineConversionsApplyFailed": "5612",
        "OfflineConversionPilotNotEnabledForCustomer": "5613",
        "FutureConversionTimeCannotBeSet": "5614",
        "OfflineConversionNotAcceptedForGoal": "5615",
        "ConversionTimeEarlierThanClickTime": "5616",
        "ClickIdDateTimeOutsideGoalConversionWindow": "5617",
    }
)
"""An offline error's name to its number. Replies carry both; the name is the one to trust."""

UET_CODES = (
    StatusRule("ValidationError", _NO, "an event is invalid", "see validate()"),
    StatusRule("ValidationWarning", _TAKEN, "a field was invalid and is lost", "see validate()"),
    StatusRule("InvalidEnumValue", _NO, "a word is none of those allowed", "report it: we send allowed words only"),
    StatusRule("Empty", _NO, "a field that must be there is empty", "see validate()"),
    StatusRule("InvalidUrl", _NO, "a URL is not absolute", "send page_url and referrer_url with https://"),
    StatusRule("InvalidSha256", _TAKEN, "a digest is none", "send raw values, or whole SHA-256 digests"),
    StatusRule("InvalidEventTime", _NO, "the time is in the future or older than 7 days", "send within 7 days"),
    StatusRule(
        "Unauthorized",
        _NO,
        "the token is missing, wrong, or another tag's",
        "copy the token of this tag_id",
        None,
        False,
    ),
)
"""Those seen in the guide; the full list is not published. Whether one blocks is said by ``isWarning``, not by it."""
