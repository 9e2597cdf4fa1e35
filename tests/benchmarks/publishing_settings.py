"""The product's settings for tests.benchmarks.publishing: no throttles, and a poll to vary.

A person may ask 600 times a minute; what is measured is what an answer costs. Nothing but the
benchmark reads this module.
"""

import os

from revfirst.settings import *  # noqa: F403
from revfirst.settings import Q_CLUSTER as _CLUSTER_AS_IT_IS
from revfirst.settings import REST_FRAMEWORK as _API_AS_IT_IS

REST_FRAMEWORK = {**_API_AS_IT_IS, "DEFAULT_THROTTLE_CLASSES": []}
Q_CLUSTER = {
    **_CLUSTER_AS_IT_IS,
    "poll": float(os.environ.get("BENCHMARK_POLL") or str(_CLUSTER_AS_IT_IS["poll"])),
}
