"""Sentry without secrets: no personal data, no local variables, every text redacted."""

from typing import Any

import sentry_sdk

from revfirst.logs import redact_value


def scrub(event: Any, hint: dict[str, Any]) -> Any:
    """Sentry's `before_send`: it leaves the query string in by itself (measured), we do not."""
    return redact_value("event", event)


def start(*, dsn: str, environment: str, release: str, traces_sample_rate: float) -> None:
    """Send errors to `dsn`; nothing is done when it is blank."""
    if not dsn:
        return
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=release,
        traces_sample_rate=traces_sample_rate,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=scrub,
        before_send_transaction=scrub,
    )
