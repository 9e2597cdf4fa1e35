"""Settings that contradict each other."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register("publishing")
def direct_api_is_closed(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """In production nothing is published without an approval. The settings say so, too, and first."""
    if settings.ENVIRONMENT == "production" and settings.PUBLISHING_DIRECT_API_ENABLED:
        hint = "Set PUBLISHING_DIRECT_API_ENABLED=false."
        return [Error("The direct API is open.", hint=hint, id="publishing.E001")]
    return []
