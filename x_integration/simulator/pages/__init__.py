"""The simulator's pages for people."""
