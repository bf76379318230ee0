"""The samples of a text in Prometheus's exposition format."""

from prometheus_client.parser import text_string_to_metric_families


def samples(text: str) -> dict[tuple, float]:
    """The values by name and labels: ``samples(text)["brink_jobs", ("state", "queued")]``."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
