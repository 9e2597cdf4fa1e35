"""Settings that contradict each other."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from publishing import pleas, ranking, voice
from publishing.errors import NoBrandVoice, NoOptOutWords, NoRanking


@register("publishing")
def direct_api_is_closed(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """In production nothing is published without an approval. The settings say so, too, and first."""
    if settings.ENVIRONMENT == "production" and settings.PUBLISHING_DIRECT_API_ENABLED:
        hint = "Set PUBLISHING_DIRECT_API_ENABLED=false."
        return [Error("The direct API is open.", hint=hint, id="publishing.E001")]
    return []


@register("publishing")
def the_brand_voice_can_be_used(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A file that cannot be used lets no text in; better to know before."""
    try:
        voice.current()
    except NoBrandVoice as error:
        hint = "Mend the file that BRAND_VOICE_FILE_PATH names: docs/BRAND-VOICE.md explains it."
        return [Error(str(error), hint=hint, id="publishing.E002")]
    return []


@register("publishing")
def the_ranking_can_be_used(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A file that cannot be used proposes nothing; better to know before."""
    try:
        ranking.current()
    except NoRanking as error:
        hint = "Mend the file that CANDIDATES_FILE_PATH names: docs/CANDIDATES.md explains it."
        return [Error(str(error), hint=hint, id="publishing.E004")]
    return []


@register("publishing")
def the_opt_out_words_can_be_used(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Whoever asks in the team's own words would be answered all the same."""
    try:
        pleas.check_words_of_the_team()
    except NoOptOutWords as error:
        hint = "Mend the file that OPT_OUTS_FILE_PATH names: docs/OPT-OUTS.md explains it."
        return [Error(str(error), hint=hint, id="publishing.E003")]
    return []
