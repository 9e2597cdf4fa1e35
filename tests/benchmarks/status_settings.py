"""The product's settings for tests.benchmarks.status: no throttles, and one bare view more.

A person may ask 600 times a minute; what is measured here is what an answer costs, so the throttles
are off. Nothing but the benchmark reads this module.
"""

from revfirst.settings import *  # noqa: F403
from revfirst.settings import REST_FRAMEWORK as _AS_IT_IS

REST_FRAMEWORK = {**_AS_IT_IS, "DEFAULT_THROTTLE_CLASSES": []}
ROOT_URLCONF = "tests.benchmarks.status_urls"
