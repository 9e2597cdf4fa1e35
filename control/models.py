"""Signs of life."""

from django.db import models


class Heartbeat(models.Model):
    """When something last showed that it works: one row per name."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S}"
