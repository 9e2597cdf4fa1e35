"""Wiring of the publishing app."""

from django.apps import AppConfig

from revfirst import metrics


class PublishingConfig(AppConfig):
    """The queue: proposals, approvals, attempts."""

    name = "publishing"

    def ready(self) -> None:
        """Register counters and series."""
        from publishing import series
        from workspaces import counters

        counters.register(*series.TALLIES)
        metrics.register(series.queue)
