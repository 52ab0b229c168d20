"""What a scrape says, by the parser of Prometheus' own library."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

Series = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Name and labels of every sample -> its value; none stands there twice."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def value(series: Series, name: str, /, **labels: str) -> float:
    return series[name, frozenset(labels.items())]


def total(series: Series, name: str, /, **labels: str) -> float:
    """Sum of all series of a name that have these labels."""
    wanted = set(labels.items())
    return sum(count for (each, with_), count in series.items() if each == name and wanted <= with_)
