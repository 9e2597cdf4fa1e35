"""RevFirst: settings, wiring and what every app shares."""

__version__ = "0.1.0"
