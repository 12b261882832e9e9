"""The SELECT that types FOCUS rows: text in, contract columns out, with what was mended and what is wrong.

Every column arrives as text, also from Parquet, so that one set of rules holds for all files. A bad value never
becomes null unseen: each row carries the number of the first rule that it breaks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ingest.contracts import FOCUS_CHARGES, INSTANT, MONEY

MONEY_COLUMNS: Final = tuple(name for name, kind in FOCUS_CHARGES.columns if kind == MONEY)
INSTANT_COLUMNS: Final = tuple(name for name, kind in FOCUS_CHARGES.columns if kind == INSTANT)
COLUMN_NAMES: Final = tuple(name for name, _ in FOCUS_CHARGES.columns)
REQUIRED: Final = (
    "billed_cost",
    "effective_cost",
    "billing_period_start",
    "charge_period_start",
    "charge_period_end",
    "charge_category",
)
EXPECTED: Final = ("billing_account_id", "billing_currency", "provider_name")
"""Columns whose absence lands as null with a repair code."""

MONTH_FIRST: Final = "m/d/y"
DAY_FIRST: Final = "d/m/y"
_SLASH_FORMATS: Final = {MONTH_FIRST: "%m/%d", DAY_FIRST: "%d/%m"}
_SLASH_CODES: Final = {MONTH_FIRST: "us_date", DAY_FIRST: "d_m_y_date"}
SLASH_DATE_PATTERN: Final = r"^\s*\d{1,2}/\d{1,2}/(\d{2}|\d{4})(\s+\d{1,2}:\d{2}(:\d{2})?)?\s*$"
_ISO_PATTERN: Final = r"^\s*\d{4}-\d{2}-\d{2}([T ].*)?$"
_LATE_HOUR_PATTERN: Final = r"^\s*\d{4}-\d{2}-\d{2}[T ](2[4-9]|3\d|4[0-7]):"
_DOLLAR_PATTERN: Final = r"^\s*-?\$-?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?\s*$"
_NULLS: Final = "('', 'NULL', 'null')"

AMOUNT_REASON: Final = "not an amount: expected a decimal number below 10^20, such as 12.5 or 1.25e-7"
INSTANT_REASON: Final = "not an instant: expected UTC ISO 8601, such as 2026-05-01T00:00:00Z"


@dataclass
class TypedSelect:
    """`sql` has the contract columns, `_repairs`, `_extra`, and `_problem` (null, or an index into `problems`) with
    `_found`, the text of the field that broke the rule."""

    sql: str = ""
    problems: list[tuple[str, str]] = field(default_factory=list)  # (FOCUS column, reason)
    parameters: dict[str, str] = field(default_factory=dict)


def slash_formats(date_format: str) -> list[str]:
    """strptime formats of dates written with slashes, two-digit years first."""
    day = _SLASH_FORMATS[date_format]
    return [f"{day}/{year}{time}" for year in ("%y", "%Y") for time in ("", " %H:%M", " %H:%M:%S")]


def build_select(
    source_sql: str,
    spelled: Mapping[str, str],
    extra: Mapping[str, str],
    defaults: Mapping[str, str],
    date_format: str | None,
) -> TypedSelect:
    """Type the rows of `source_sql`.

    `spelled` maps contract columns to the quoted column of the source, `extra` the names of other columns to theirs,
    `defaults` contract columns to a text that stands where nothing does.
    """
    select = TypedSelect()
    texts = [f"{_text_sql(spelled, defaults, name, select)} as {name}" for name in COLUMN_NAMES]
    texts += [f"{_extra_sql(extra)} as _extra"]
    typed = [_typed_sql(name, date_format) for name in COLUMN_NAMES]
    repairs = _repair_codes(spelled, defaults, date_format)
    rules = _list_rules(date_format)
    select.problems = [(spell(column), reason) for column, _, reason in rules]
    problem = " ".join(f"when {condition} then {index}" for index, (_, condition, _) in enumerate(rules))
    found = " ".join(f"when {index} then t.{column}" for index, (column, _, _) in enumerate(rules))
    select.sql = f"""
    with texts as (select {", ".join(texts)} from ({source_sql}) as source),
    typed as (select texts as t, {", ".join(f"{sql} as {name}" for name, sql in typed)}, _extra from texts),
    judged as (select *, case {problem} end as _problem from typed)
    select {", ".join(_output_sql(name) for name in COLUMN_NAMES)},
        nullif(concat_ws(',', {", ".join(repairs)}), '') as _repairs,
        _extra, _problem, case _problem {found} end as _found
    from judged"""
    return select


def spell(column: str) -> str:
    """The FOCUS name of a contract column: billed_cost -> BilledCost."""
    return "".join(word.capitalize() for word in column.split("_"))


def _text_sql(spelled: Mapping[str, str], defaults: Mapping[str, str], name: str, select: TypedSelect) -> str:
    source = "null::varchar"
    if name in spelled:
        source = f"case when trim(source.{spelled[name]}) not in {_NULLS} then source.{spelled[name]} end"
    if name in defaults:
        select.parameters[f"default_{name}"] = defaults[name]
        source = f"coalesce({source}, $default_{name}::varchar)"
    return source


def _extra_sql(extra: Mapping[str, str]) -> str:
    if not extra:
        return "null::varchar"
    pairs = ", ".join(f"{quote_literal(name)}, source.{column}" for name, column in extra.items())
    # A merge patch drops the keys that are null.
    return f"nullif(json_merge_patch('{{}}', json_object({pairs}))::varchar, '{{}}')"


def _typed_sql(name: str, date_format: str | None) -> tuple[str, str]:
    column = f"texts.{name}"
    if name in MONEY_COLUMNS:
        plain = f"case when not contains({column}, '_') then try_cast({column} as decimal(38, 18)) end"
        dollars = (
            f"case when contains({column}, '$') and regexp_matches({column}, '{_DOLLAR_PATTERN}') "
            f"then try_cast(replace(replace({column}, '$', ''), ',', '') as decimal(38, 18)) end"
        )
        return name, f"coalesce({plain}, {dollars})"
    if name in INSTANT_COLUMNS:
        # Through timestamptz: a plain cast to timestamp drops the offset without a word.
        late_hour = f"try_cast(substr(trim({column}), 12, 2) as integer)"
        hour = f"lpad(({late_hour} - 24)::varchar, 2, '0')"
        shifted = f"substr(trim({column}), 1, 11) || {hour} || substr(trim({column}), 14)"
        branches = [
            f"when regexp_matches({column}, '{_LATE_HOUR_PATTERN}') "
            f"then timezone('UTC', try_cast({shifted} as timestamptz)) + interval 1 day",
            f"when regexp_matches({column}, '{_ISO_PATTERN}') "
            f"then timezone('UTC', try_cast({_complete_time(column)} as timestamptz))",
        ]
        if date_format is not None:
            formats = ", ".join(quote_literal(text) for text in slash_formats(date_format))
            branches.append(
                f"when regexp_matches({column}, '{SLASH_DATE_PATTERN}') then try_strptime(trim({column}), [{formats}])"
            )
        return name, f"case {' '.join(branches)} end"
    return name, column


def _complete_time(column: str) -> str:
    """2026-05-01T10:00Z has no seconds, which the engine insists on."""
    return (
        f"regexp_replace(trim({column}), '^(\\d{{4}}-\\d{{2}}-\\d{{2}}[T ]\\d{{2}}:\\d{{2}})(Z|[+-]|$)', '\\1:00\\2')"
    )


def _list_rules(date_format: str | None) -> list[tuple[str, str, str]]:
    """(contract column, condition that breaks it, reason), first match wins."""
    rules = [(name, f"t.{name} is null", "empty: this column is required") for name in REQUIRED]
    rules += [(name, f"t.{name} is not null and {name} is null", AMOUNT_REASON) for name in MONEY_COLUMNS]
    for name in INSTANT_COLUMNS:
        bad = f"t.{name} is not null and {name} is null"
        if date_format is None:
            hint = (
                f"{INSTANT_REASON}. With slashes it can be month/day or day/month: "
                f"set options.date_format to {MONTH_FIRST} or {DAY_FIRST}"
            )
            rules.append((name, f"{bad} and contains(t.{name}, '/')", hint))
        rules.append((name, bad, INSTANT_REASON))
    rules += [
        (
            "charge_period_end",
            "charge_period_end <= charge_period_start",
            "ends before or when ChargePeriodStart begins: periods are [start, end)",
        ),
        (
            "billing_period_end",
            "billing_period_end <= billing_period_start",
            "ends before or when BillingPeriodStart begins: periods are [start, end)",
        ),
        (
            "billing_currency",
            "billing_currency is not null and not regexp_matches(billing_currency, '^[A-Z]{3}$')",
            "not a currency code: expected three capital letters (ISO 4217), such as USD",
        ),
    ]
    return rules


def _repair_codes(spelled: Mapping[str, str], defaults: Mapping[str, str], date_format: str | None) -> list[str]:
    """SQL expressions, each a code or null."""
    amounts = [f"t.{name}" for name in MONEY_COLUMNS if name in spelled]
    instants = [f"t.{name}" for name in INSTANT_COLUMNS if name in spelled]
    codes = [
        _code("currency_text", [f"contains({text}, '$')" for text in amounts]),
        _code("rounded_to_18_places", [_is_rounded(text) for text in amounts]),
        _code("hour_past_midnight", [f"regexp_matches({text}, '{_LATE_HOUR_PATTERN}')" for text in instants]),
        _code("derived_billing_period_end", ["t.billing_period_end is null"]),
    ]
    if date_format is not None:
        codes.append(_code(_SLASH_CODES[date_format], [f"contains({text}, '/')" for text in instants]))
    pairs = (("provider_name", "service_provider_name"), ("publisher_name", "host_provider_name"))
    codes += [_code(f"derived_{name}", [f"t.{name} is null and t.{other} is not null"]) for name, other in pairs]
    replaced_by = dict(pairs)
    for name in EXPECTED:
        if name not in spelled and name not in defaults and replaced_by.get(name) not in spelled:
            codes.append(f"'missing_column:{spell(name)}'")
    return codes


def _code(code: str, conditions: list[str]) -> str:
    return f"case when {' or '.join(conditions) or 'false'} then '{code}' end"


def _is_rounded(text: str) -> str:
    """More than 18 places that are not zeros, counting the exponent."""
    mantissa = f"regexp_extract(lower({text}), '^[^e]*')"
    places = f"length(rtrim(regexp_extract({mantissa}, '\\.(\\d*)', 1), '0'))"
    exponent = f"coalesce(try_cast(regexp_extract(lower({text}), 'e([+-]?\\d+)', 1) as integer), 0)"
    # An exponent moves the zeros at the end of a whole mantissa behind the point: 10e-19 is one place, not nineteen.
    zeros = f"case when {places} = 0 then length(regexp_extract({mantissa}, '(0*)\\.?0*\\s*$', 1)) else 0 end"
    is_long = f"length({text}) > 19 or contains(lower({text}), 'e')"
    is_zero = f"not regexp_matches({mantissa}, '[1-9]')"
    return f"(({is_long}) and not {is_zero} and {places} - {exponent} - {zeros} > 18)"


def _output_sql(name: str) -> str:
    derived = {
        "provider_name": "coalesce(provider_name, service_provider_name)",
        "service_provider_name": "coalesce(service_provider_name, provider_name)",
        "publisher_name": "coalesce(publisher_name, host_provider_name)",
        "host_provider_name": "coalesce(host_provider_name, publisher_name)",
        "billing_period_end": "coalesce(billing_period_end, billing_period_start + interval 1 month)",
    }
    return f"{derived[name]} as {name}" if name in derived else name


def quote_name(name: str) -> str:
    """A SQL identifier."""
    return chr(34) + name.replace(chr(34), chr(34) * 2) + chr(34)


def quote_literal(text: str) -> str:
    """A SQL text."""
    return "'" + text.replace("'", "''") + "'"
