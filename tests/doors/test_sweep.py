"""The route sweep."""

import pytest

from tests.doors import routes

pytestmark = pytest.mark.django_db(transaction=True)


def test_print():
    ds = routes.doors()
    print(len(ds), len(routes.urls()), len(routes.actions()), len(routes.decisions()), len(routes.commands()), len(routes.tasks()))
    for d in ds:
        if not d.startswith("url admin") or d.count("/") < 3 or "auth/" in d:
            print(d)
