"""Wiring of the X integration."""

from django.apps import AppConfig


class XIntegrationConfig(AppConfig):
    """The account on X, its tokens, and what people say to it."""

    name = "x_integration"
    verbose_name = "X integration"

    def ready(self) -> None:
        """Register the counters of token renewals and of what reading costs, and the checks."""
        from workspaces.counters import Tally, register
        from x_integration import checks  # noqa: F401

        register(
            Tally("x_token_refresh_total", "token.refresh", labels={"outcome": "outcome"}),
            Tally("x_spend_usd_total", "posts.ingest", labels={"kind": "spend"}, amount="usd"),
            *(
                Tally("x_spend_usd_total", type_, labels={"kind": "spend"}, amount="usd")
                for type_ in (
                    "posts.look_up",
                    "posts.look",
                    "posts.look_again",
                    "account.connect",
                    "account.look_up",
                )
            ),
        )
