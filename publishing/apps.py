"""Wiring of the publishing app."""

from django.apps import AppConfig

from revfirst import metrics


class PublishingConfig(AppConfig):
    """The queue: proposals, approvals, attempts."""

    name = "publishing"

    def ready(self) -> None:
        """Register the checks, the counters and the series."""
        from publishing import checks, series  # noqa: F401
        from workspaces import counters

        counters.register(*series.TALLIES)
        metrics.register(series.queue)
        metrics.register(series.money)
