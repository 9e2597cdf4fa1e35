"""Settings that contradict each other are found before anything starts."""

import pytest
from django.core import checks


def found():
    return sorted(problem.id for problem in checks.run_checks(tags=["x_integration"]))


def test_the_time_outs_are_in_order_as_they_come():
    assert found() == []


@pytest.mark.parametrize("seconds", [1, 25, 60, 300])
def test_a_lock_that_is_shorter_than_a_call_or_longer_than_a_task_is_an_error(settings, seconds):
    settings.X_REFRESH_LOCK_TTL_SECONDS = seconds
    assert found() == ["x_integration.E001"]


@pytest.mark.parametrize("change", [{"timeout": 30}, {"timeout": 120}, {"retry": 120}])
def test_a_task_engine_out_of_order_is_an_error(settings, change):
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, **change}
    assert set(found()) == {"x_integration.E001"}


def test_a_skew_as_long_as_the_schedules_lead_is_an_error(settings):
    settings.X_REFRESH_SKEW_SECONDS = 600
    assert found() == ["x_integration.E002"]
