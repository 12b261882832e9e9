"""What dbt's manifest says of incremental builds: which models filter by the touched keys, and which hold no others."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

TOUCHED_LISTS: Final = {
    "usage_date": "source.wattledger.build.touched_days",
    "billing_period_start_date": "source.wattledger.build.touched_periods",
}
"""The list of touched keys by the key that an incremental model replaces."""


@dataclass(frozen=True)
class TouchedModels:
    """The models of a manifest."""

    manifest: Mapping[str, Any]

    @cached_property
    def nodes(self) -> dict[str, dict[str, Any]]:
        """Models by unique id."""
        return {id_: node for id_, node in self.manifest["nodes"].items() if node["resource_type"] == "model"}

    @cached_property
    def singular_tests(self) -> dict[str, dict[str, Any]]:
        """Tests that are a query of their own, by unique id."""
        return {
            id_: node
            for id_, node in self.manifest["nodes"].items()
            if node["resource_type"] == "test" and "test_metadata" not in node
        }

    def incremental(self) -> list[dict[str, Any]]:
        """Models that replace touched keys and keep all others."""
        return [node for node in self.nodes.values() if node["config"]["materialized"] == "incremental"]

    @cached_property
    def passing(self) -> set[str]:
        """Models made anew by each build of the touched keys alone: they hold no other rows."""
        found: set[str] = set()
        while True:
            more = {
                id_
                for id_, node in self.nodes.items()
                if node["config"]["materialized"] != "incremental"
                and {*TOUCHED_LISTS.values(), *found} & {*node["depends_on"]["nodes"]}
            } - found
            if not more:
                return found
            found |= more

    def name(self, unique_id: str) -> str:
        return self.nodes[unique_id]["name"]

    def parents(self, node: Mapping[str, Any]) -> set[str]:
        """Models that a model or test reads."""
        return {id_ for id_ in node["depends_on"]["nodes"] if id_ in self.nodes}

    def whole_relations(self) -> dict[str, str]:
        """Table by name of each mart, and of each other model that holds all keys."""
        return {
            node["name"]: f"{node['schema']}.{node['alias']}"
            for id_, node in self.nodes.items()
            if node["config"]["materialized"] in ("table", "incremental")
            and (node["fqn"][1] == "marts" or id_ not in self.passing)
        }
