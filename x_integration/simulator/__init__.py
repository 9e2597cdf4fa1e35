"""A local X: the peer that the demo, the tests and the benchmarks talk to over real HTTP.

It imports nothing from the product, so a test against it cannot agree with itself. What it knows
of X (shapes, status codes, texts, limits) is written down here a second time, on purpose.
"""
