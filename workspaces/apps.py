"""Wiring of the workspaces app."""

from django.apps import AppConfig

from revfirst import metrics


class WorkspacesConfig(AppConfig):
    """People, workspaces, switches, audit and counters."""

    name = "workspaces"

    def ready(self) -> None:
        """Register the series that this app owns, and how OpenAPI names the ways in."""
        from workspaces import (
            schema,  # noqa: F401
            series,
        )

        metrics.register(series.counters)
        metrics.register(series.switches)
