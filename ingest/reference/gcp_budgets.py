"""Read the budgets of a Google Cloud billing account: what is to be spent a period, on what, and who is told when.

Source: `gcloud billing budgets list --format=json`, or answers of the Cloud Billing Budget API v1
(`billingAccounts.budgets.list`): an array, pages under `budgets`, or a budget a line, as files or asked over gRPC
(`cloud_budgets`). Never late: an object is the whole listing of its billing accounts and holds from its day until the
next one. Landing table: provider_budgets.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
import pyarrow as pa

from ingest.contracts import PROVIDER_BUDGETS, LandingTable
from ingest.payload import JSON_ERRORS, iterate_records
from ingest.reference.gpu_prices import read_as_of
from ingest.server_options import check_google_names, check_names
from ingest.source import ObjectRefusedError, OptionProblem, RowSink, ServerKind, SourceObject
from ingest.values import round_money

if TYPE_CHECKING:
    from ingest.reference.cloud_budgets import CloudBudgets

_ROWS_PER_BATCH: Final = 20_000
_MOST_SHOWN: Final = 200
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_NAME: Final = re.compile(r"billingAccounts/([^/\s]+)/budgets/([^/\s]+)")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
_INT64: Final = 2**63 - 1
_NANOS: Final = 999_999_999
_MOST_DIGITS: Final = 18
_SNAKE: Final = re.compile(r"_([a-z])")
_PERIODS: Final = ("MONTH", "QUARTER", "YEAR")
_TREATMENTS: Final = ("INCLUDE_ALL_CREDITS", "EXCLUDE_ALL_CREDITS", "INCLUDE_SPECIFIED_CREDITS")
_BASES: Final = ("CURRENT_SPEND", "FORECASTED_SPEND")
_SCOPES: Final = {
    "credit_types": "creditTypes",
    "projects": "projects",
    "resource_ancestors": "resourceAncestors",
    "services": "services",
    "subaccounts": "subaccounts",
}
_KNOWN: Final = ("name", "displayName", "budgetFilter", "amount", "thresholdRules")
_KNOWN_FILTERS: Final = (*_SCOPES.values(), "creditTypesTreatment", "labels", "calendarPeriod", "customPeriod")


class _BudgetError(Exception):
    """A budget that cannot be landed."""

    def __init__(self, field: str, reason: str, found: object = "") -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.found = str(found)[:_MOST_SHOWN]


class CloudBudgetsKind:
    """The Cloud Billing Budget API, once a day."""

    schemes: ClassVar[tuple[str, ...]] = ("billingbudgets",)
    window: ClassVar[timedelta] = timedelta(days=1)
    re_read: ClassVar[timedelta] = timedelta(0)
    is_append_only: ClassVar[bool] = False

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`endpoint_url`, and of the common ones those that choose days."""
        yield from check_google_names(options)

    def connect(self, location: str, options: Mapping[str, Any], base_dir: Path) -> "CloudBudgets":
        # Google's library takes longer to import than all else: only who asks it waits for it.
        from ingest.reference.cloud_budgets import CloudBudgets

        return CloudBudgets(location, options)


class GcpBudgets:
    """One row per budget and listing of it."""

    kind: ClassVar[str] = "gcp_budgets"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = PROVIDER_BUDGETS
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(as_of as date)"
    server: ClassVar[ServerKind | None] = CloudBudgetsKind()

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`as_of`: the day of the listing, which names none; by default its object's."""
        yield from check_names(options, ("as_of",))
        try:
            read_as_of(options)
        except ValueError:
            yield OptionProblem("as_of", repr(options["as_of"]), "a day, such as 2026-10-01")

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write a row for each budget, refuse the others by running number and field.

        Raises `ObjectRefusedError` for a listing that lacks its last page, and for an answer that is an error: budgets
        that are missing from a listing count as deleted.
        """
        as_of = read_as_of(source_object.options) or source_object.modified_at.astimezone(UTC).replace(tzinfo=None)
        rows: list[dict[str, Any]] = []
        for position, record in _iterate_budgets(source_object):
            try:
                row = _read_budget(record)
            except _BudgetError as error:
                sink.refuse_row(position, error.field, error.reason, error.found)
                continue
            rows.append(row | {"as_of": as_of, "_position": position})
            if len(rows) >= _ROWS_PER_BATCH:
                _write(sink, rows)
        if rows:
            _write(sink, rows)


def _iterate_budgets(source_object: SourceObject) -> Iterator[tuple[int, Any]]:
    """Yield (running number, a budget, or what stands where one should)."""
    number, has_more = 0, False
    for position, text in iterate_records(source_object):
        try:
            record = _DECODER.decode(text)
        except JSON_ERRORS as error:
            record = _BudgetError("", f"no JSON: {error}", f"record {position}")
        page = _open_page(record)
        if page is None:
            number += 1
            yield number, record
            continue
        has_more = bool(page.get("nextPageToken"))
        for budget in page["budgets"]:
            number += 1
            yield number, budget
    if has_more:
        raise ObjectRefusedError(
            "half a listing: its last page names another. Deliver all pages in one object, a page a line",
            field="nextPageToken",
        )


def _open_page(record: Any) -> Mapping[str, Any] | None:
    """An answer with its list of budgets, `{}` being one of none; None for what is no answer."""
    if not isinstance(record, dict):
        return None
    if "error" in record and "name" not in record:
        raise ObjectRefusedError(
            "an error that the server answered, no listing: ask again", field="error", found=str(record["error"])
        )
    page = _camelize(record)
    if "budgets" not in page and not page.keys() <= {"nextPageToken"}:
        return None
    budgets = page.get("budgets")
    if budgets is not None and not isinstance(budgets, list):
        raise ObjectRefusedError("expected a list of budgets", field="budgets", found=str(budgets))
    return page | {"budgets": budgets or []}


def _read_budget(record: Any) -> dict[str, Any]:
    if isinstance(record, _BudgetError):
        raise record
    if not isinstance(record, dict):
        raise _BudgetError("", "no JSON object: every budget is one", record)
    budget = _camelize(record)
    name = budget.get("name")
    parts = _NAME.fullmatch(name) if isinstance(name, str) else None
    if parts is None:
        raise _BudgetError("name", "expected billingAccounts/ID/budgets/ID", "" if name is None else name)
    scope = _read_message(budget, "budgetFilter") or {}
    extra = {field: value for field, value in budget.items() if field not in _KNOWN}
    if other := {field: value for field, value in scope.items() if field not in _KNOWN_FILTERS}:
        extra["budgetFilter"] = other
    row = {
        "provider": "gcp",
        "billing_account_id": parts[1],
        "budget_id": parts[2],
        "budget_name": _read_text(budget, "displayName"),
        **_read_period(scope),
        "credit_treatment": _read_word(
            scope, "creditTypesTreatment", _TREATMENTS, "CREDIT_TYPES_TREATMENT_UNSPECIFIED", _TREATMENTS[0]
        ),
        **{column: _read_texts(scope, field) for column, field in _SCOPES.items()},
        "labels": _read_labels(scope),
        "threshold_rules": _read_thresholds(budget),
        "_extra": _show(extra),
    }
    return row | _read_amount(budget, is_custom=row["period"] == "CUSTOM")


def _read_period(scope: Mapping[str, Any]) -> dict[str, Any]:
    """A calendar period, a month where none is named, or days of one's own."""
    custom = _read_message(scope, "customPeriod")
    calendar = _read_word(scope, "calendarPeriod", _PERIODS, "CALENDAR_PERIOD_UNSPECIFIED", None)
    if custom is None:
        return {"period": calendar or "MONTH", "custom_start_date": None, "custom_end_date": None}
    if calendar is not None:
        raise _BudgetError("customPeriod", "beside calendarPeriod: a budget has one period", calendar)
    start, end = _read_date(custom, "startDate"), _read_date(custom, "endDate")
    if start is None:
        raise _BudgetError("startDate", "empty: every custom period has one")
    if end is not None and end < start:
        raise _BudgetError("endDate", f"before the start, {start}", end)
    return {"period": "CUSTOM", "custom_start_date": start, "custom_end_date": end}


def _read_amount(budget: Mapping[str, Any], *, is_custom: bool) -> dict[str, Any]:
    """What is specified; null where it is what the last period spent, which an empty object says."""
    amount = _read_message(budget, "amount") or {}
    specified, last = _read_message(amount, "specifiedAmount"), _read_message(amount, "lastPeriodAmount")
    if (specified is None) == (last is None):
        raise _BudgetError("amount", "expected either specifiedAmount or lastPeriodAmount", ", ".join(sorted(amount)))
    if specified is None:
        if is_custom:
            raise _BudgetError("lastPeriodAmount", "of a custom period, which has none before it")
        return {"is_last_period_amount": True, "budgeted_amount": None, "currency": None}
    currency = specified.get("currencyCode")
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        found = "" if currency is None else currency
        raise _BudgetError("currencyCode", "expected a currency's code, such as USD", found)
    units, nanos = _read_integer(specified, "units", _INT64), _read_integer(specified, "nanos", _NANOS)
    if units * nanos < 0:
        raise _BudgetError("nanos", "units and nanos of different signs", f"{units} and {nanos}")
    return {
        "is_last_period_amount": False,
        "budgeted_amount": round_money(Decimal(units) + Decimal(nanos).scaleb(-9)),
        "currency": currency,
    }


def _read_thresholds(budget: Mapping[str, Any]) -> str | None:
    rules = budget.get("thresholdRules")
    if rules is None:
        return None
    rows: list[dict[str, Any]] = []
    for rule in [rules] if isinstance(rules, dict) else rules if isinstance(rules, list) else [None]:
        if not isinstance(rule, dict):
            raise _BudgetError("thresholdRules", "expected a list of thresholds", rules)
        rule = _camelize(rule)
        share = rule.get("thresholdPercent")
        share = 0 if share is None else share  # what is 0 need not be written
        if isinstance(share, bool) or not isinstance(share, int | Decimal):
            raise _BudgetError("thresholdPercent", "no number: expected 0.9 for 90 %", share)
        if share < 0 or (share and abs(Decimal(share).adjusted()) >= _MOST_DIGITS):
            raise _BudgetError("thresholdPercent", f"below 0, or of {_MOST_DIGITS} digits or more", share)
        basis = _read_word(rule, "spendBasis", _BASES, "BASIS_UNSPECIFIED", _BASES[0])
        rows.append({"threshold_share": share, "spend_basis": basis})
    return _show(rows)


def _read_labels(scope: Mapping[str, Any]) -> str | None:
    """Values by key, always lists; gcloud wraps them in `values`."""
    labels = scope.get("labels")
    if labels is None:
        return None
    if not isinstance(labels, dict):
        raise _BudgetError("labels", "expected an object of lists of texts", labels)
    found = {}
    for key, values in labels.items():
        values = values.get("values") if isinstance(values, dict) else values
        values = [values] if isinstance(values, str) else values
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise _BudgetError("labels", "expected an object of lists of texts", labels)
        found[key] = values
    return _show(found)


def _read_message(record: Mapping[str, Any], field: str) -> dict[str, Any] | None:
    value = record.get(field)
    if value is not None and not isinstance(value, dict):
        raise _BudgetError(field, "expected an object", value)
    return None if value is None else _camelize(value)


def _read_text(record: Mapping[str, Any], field: str) -> str | None:
    value = record.get(field)
    if value is not None and not isinstance(value, str):
        raise _BudgetError(field, "no text", value)
    return value or None


def _read_texts(record: Mapping[str, Any], field: str) -> str | None:
    values = record.get(field)
    if values is None:
        return None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _BudgetError(field, "expected a list of texts", values)
    return _show(values)


def _read_word(
    record: Mapping[str, Any], field: str, words: tuple[str, ...], unset: str, usual: str | None
) -> str | None:
    """One of `words`; `usual` where the field is absent or says that it is not set."""
    value = record.get(field)
    if value is None or value == unset:
        return usual
    if value not in words:
        raise _BudgetError(field, f"expected one of {', '.join(words)}", value)
    return value


def _read_date(record: Mapping[str, Any], field: str) -> date | None:
    parts = _read_message(record, field)
    if parts is None:
        return None
    year, month, day = (_read_integer(parts, name, 9999) for name in ("year", "month", "day"))
    try:
        return date(year, month, day)
    except ValueError:
        raise _BudgetError(field, "no day: expected year, month and day", f"{year}-{month}-{day}") from None


def _read_integer(record: Mapping[str, Any], field: str, limit: int) -> int:
    """A whole number up to `limit` either way; 0 need not be written, and 64 bits come as text."""
    value = record.get(field)
    if value is None:
        return 0
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > limit:
        raise _BudgetError(field, f"no whole number from {-limit} to {limit}", value)
    return value


def _camelize(record: Mapping[str, Any]) -> dict[str, Any]:
    """Google's JSON may spell a field as its protocol does: calendar_period."""
    return {_SNAKE.sub(lambda letter: letter[1].upper(), field): value for field, value in record.items()}


def _show(value: Any) -> str | None:
    """JSON; nothing of what is empty."""
    return _ENCODER.encode(value).decode() if value else None


def _write(sink: RowSink, rows: list[dict[str, Any]]) -> None:
    audit = [("_position", pa.int64()), ("_extra", pa.string())]
    sink.write(pa.Table.from_pylist(rows, schema=pa.schema([*PROVIDER_BUDGETS.columns, *audit])))
    rows.clear()
