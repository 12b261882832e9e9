"""Series whose columns are their labels by name: what most exporters' samples are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from ingest.landing_table import LandingTable
from ingest.telemetry.prometheus_samples import (
    Constants,
    encode_labels,
    finite_or_null,
    list_constants,
    pick_label,
)

ALIAS = "metric_alias"
"""Repair code of a sample whose metric lands under another name; its own stands in `_extra`."""


@dataclass(frozen=True)
class LabelledShape:
    """A `SampleShape`: the metrics that `is_own` knows, a column for each label wanted, the others in `_extra`."""

    name: str
    table: LandingTable
    is_own: Callable[[str], bool]
    labels: Mapping[str, Sequence[str]]  # for each column the labels that give it, first match wins
    find_missing: Callable[[Constants], str | None]  # the column that a series cannot do without
    aliases: Mapping[str, str]
    gathered_prefix: str | None = None  # labels that begin so go into the column `labels`

    @property
    def constants(self) -> pa.Schema:
        return list_constants(self.table)

    def read_labels(
        self, labels: Mapping[str, str], options: Mapping[str, Any], repairs: Sequence[str]
    ) -> tuple[Constants, float] | None:
        metric = labels.get("__name__", "")
        if not self.is_own(metric):
            return None
        used = {"__name__"}
        row: Constants = {column: pick_label(labels, names, used) for column, names in self.labels.items()}
        if row["cluster"] is None and options.get("cluster") is not None:
            row["cluster"] = str(options["cluster"])
        row["metric"] = self.aliases.get(metric, metric)
        rest = {key: value for key, value in labels.items() if key not in used}
        if self.gathered_prefix is not None:
            gathered = {key: rest.pop(key) for key in list(rest) if key.startswith(self.gathered_prefix)}
            row["labels"] = encode_labels(gathered)
        repairs = list(repairs)
        if row["metric"] != metric:
            repairs.append(ALIAS)
            rest["__name__"] = metric
        return row | {"_repairs": ",".join(repairs) or None, "_extra": encode_labels(rest)}, 1.0

    def find_fault(self, constants: Constants) -> tuple[str, str] | None:
        column = self.find_missing(constants)
        return None if column is None else (column, f"missing: a sample of {self.name} needs it")

    def clean(self, values: pl.Series) -> pl.Series:
        return finite_or_null(values)
