"""What is kept of a budget for what is under way and has no row of the ledger yet."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from workspaces.models import Workspace


class ReadingReservation(models.Model):
    """What the reading that runs may cost: it counts as spent until it ends, or `until`, where it died.

    An attempt in flight reserves its own price.
    """

    workspace = models.OneToOneField(
        Workspace, models.CASCADE, primary_key=True, related_name="reading_reservation"
    )
    usd = models.DecimalField(max_digits=14, decimal_places=4)
    until = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(usd__gte=0), name="reading_reservation_not_below_0"),
        ]

    def __str__(self) -> str:
        return f"{self.usd} USD for {self.workspace} until {self.until}"
