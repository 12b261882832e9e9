"""Stands in for dbt's `adapter` while sqlfluff renders the SQL: an engine macro shows as a call of its own name."""

from collections.abc import Callable


def dispatch(name: str, _package: str) -> Callable[..., str]:
    return lambda *arguments: f"{name}({', '.join(str(argument) for argument in arguments)})"
