"""What /metrics shows of this app's rows."""

from collections import defaultdict
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from workspaces.counters import labels_of, plain_names
from workspaces.models import AuditChain, Counter, SystemSwitch, Workspace


def counters() -> Iterable[Metric]:
    """Every business counter, by workspace slug; those without labels also where they are zero."""
    slugs = {str(pk): slug for pk, slug in Workspace.objects.values_list("pk", "slug")}
    rows: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for name in plain_names():
        rows[name].update({(slug, ""): 0.0 for slug in slugs.values()})
    slugs[AuditChain.SYSTEM] = AuditChain.SYSTEM
    for row in Counter.objects.iterator(2000):
        rows[row.name][slugs.get(row.chain, row.chain), row.labels] = float(row.value)
    for name in sorted(rows):
        yield _family(name, rows[name])


def _family(name: str, rows: dict[tuple[str, str], float]) -> CounterMetricFamily:
    label_names = sorted({label for _, labels in rows for label in labels_of(labels)})
    family = CounterMetricFamily(
        f"revfirst_{name.removesuffix('_total')}",
        f"{name.removesuffix('_total').replace('_', ' ').capitalize()}, as the audit log has it.",
        labels=["workspace", *label_names],
    )
    for (slug, labels), value in sorted(rows.items()):
        known = labels_of(labels)
        family.add_metric([slug, *(known.get(label, "") for label in label_names)], value)
    return family


def switches() -> Iterable[Metric]:
    """The kill switch, and who is paused."""
    on = SystemSwitch.objects.filter(name="kill_switch", on=True).exists()
    yield GaugeMetricFamily("revfirst_kill_switch", "1 while nothing may be sent.", value=on)
    paused = GaugeMetricFamily(
        "revfirst_workspace_paused", "1 while the workspace is paused.", labels=["workspace"]
    )
    for slug, since in Workspace.objects.values_list("slug", "paused_at"):
        paused.add_metric([slug], since is not None)
    yield paused
