"""Wiring of the control app."""

from django.apps import AppConfig

from revfirst import health, metrics


class ControlConfig(AppConfig):
    """The operation: schedules, signs of life, the demo."""

    name = "control"

    def ready(self) -> None:
        """Register health checks and series."""
        from control import health as own
        from control import series

        health.register("worker", own.check_worker)
        health.register("scheduler", own.check_scheduler)
        metrics.register(series.worker)
