"""Options that every tabular bill has: where its columns stand in a file of another shape, and how it writes days."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ingest.billing import typed_select
from ingest.billing.bill_format import BillFormat
from ingest.source import ObjectRefusedError, OptionProblem
from ingest.wording import list_names

_OPTIONS: Final = ("columns", "defaults", "date_format", "scope")


def check_bill_options(form: BillFormat, options: Mapping[str, Any], *own: str) -> Iterator[OptionProblem]:
    """What is wrong with the options of a bill; `own` are names of options that its kind judges."""
    known = (*_OPTIONS, *own)
    for name in options:
        if name not in known:
            yield OptionProblem(name, "an unknown option", list_names(name, known))
    for option, meaning in (("columns", "the file's own header"), ("defaults", "a text for every row")):
        given = options.get(option) or {}
        if not isinstance(given, Mapping):
            yield OptionProblem(option, repr(given), f"a map of columns to {meaning}")
            continue
        for name, value in given.items():
            if form.find_column(str(name)) is None:
                yield OptionProblem(
                    f"{option}.{name}", f"no {form.name} column", list_names(str(name), form.column_names)
                )
            elif value is None or isinstance(value, (Mapping, list)):
                yield OptionProblem(f"{option}.{name}", repr(value), meaning)
    if options.get("date_format") not in (None, typed_select.MONTH_FIRST, typed_select.DAY_FIRST):
        allowed = f"{typed_select.MONTH_FIRST} or {typed_select.DAY_FIRST}"
        yield OptionProblem("date_format", repr(options["date_format"]), allowed)


def read_columns(form: BillFormat, option: str, options: Mapping[str, Any]) -> dict[str, str]:
    """An option that gives contract columns texts. Raises `ObjectRefusedError`."""
    given = options.get(option) or {}
    if not isinstance(given, Mapping):
        raise ObjectRefusedError(f"options.{option} of the source: expected columns with values, found {given!r}")
    texts: dict[str, str] = {}
    for name, value in given.items():
        key = form.find_column(str(name))
        if key is None:
            allowed = list_names(str(name), form.column_names)
            raise ObjectRefusedError(
                f"options.{option} of the source: {name} is no {form.name} column; allowed: {allowed}", field=str(name)
            )
        texts[key] = str(value)
    return texts


def read_date_format(options: Mapping[str, Any]) -> str | None:
    """`m/d/y`, `d/m/y` or none. Raises `ObjectRefusedError`."""
    given = options.get("date_format")
    if given is not None and given not in (typed_select.MONTH_FIRST, typed_select.DAY_FIRST):
        raise ObjectRefusedError(
            f"options.date_format of the source: found {given!r}; allowed: {typed_select.MONTH_FIRST}, "
            f"{typed_select.DAY_FIRST}"
        )
    return given
