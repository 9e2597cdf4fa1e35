"""Wiring that every process does once."""

from django.apps import AppConfig
from django.conf import settings

from revfirst import health, metrics, sentry


class RevfirstConfig(AppConfig):
    """Registers what belongs to no app, and starts Sentry."""

    name = "revfirst"

    def ready(self) -> None:
        """Fill the registries."""
        health.register_own()
        metrics.register(metrics.build_info)
        sentry.start(
            dsn=settings.SENTRY_DSN,
            environment=settings.ENVIRONMENT,
            release=f"revfirst@{settings.VERSION}",
            traces_sample_rate=settings.SENTRY_TRACES_SAMPLE_RATE,
        )
