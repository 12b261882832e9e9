"""The SELECT that types the rows of a bill: text in, contract columns out, with what was mended and what is wrong.

Every column arrives as text, also from Parquet, so that one set of rules holds for all files. A bad value never
becomes null unseen: each row carries the number of the first rule that it breaks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from ingest.billing.bill_format import BillFormat, ListShape
from ingest.contracts import BILL_PERIODS, INSTANT, MONEY, TEXT

MONTH_FIRST: Final = "m/d/y"
DAY_FIRST: Final = "d/m/y"
_SLASH_FORMATS: Final = {MONTH_FIRST: "%m/%d", DAY_FIRST: "%d/%m"}
_SLASH_CODES: Final = {MONTH_FIRST: "us_date", DAY_FIRST: "d_m_y_date"}
SLASH_DATE_PATTERN: Final = r"^\s*\d{1,2}/\d{1,2}/(\d{2}|\d{4})(\s+\d{1,2}:\d{2}(:\d{2})?)?\s*$"
_ISO_PATTERN: Final = r"^\s*\d{4}-\d{2}-\d{2}([T ].*)?$"
_PLAIN_INSTANTS: Final = (
    "____-__-__T__:__:__Z",
    "____-__-__ __:__:__",
    "____-__-__",
    "____-__-__ __:__:__ UTC",
    "____-__-__ __:__:__.% UTC",
    "____-__-__T__:__:__.%Z",
)
_LATE_HOUR_PATTERN: Final = r"^\s*\d{4}-\d{2}-\d{2}[T ](2[4-9]|3\d|4[0-7]):"
_DOLLAR_PATTERN: Final = r"^\s*-?\$-?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?\s*$"
_LONG_PATTERN: Final = r"^-?[0-9]+\.[0-9]+$"
_SCIENTIFIC_PATTERN: Final = r"^\s*[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d{1,2}\s*$"
_ENGINE_TYPES: Final = {TEXT: "varchar", INSTANT: "timestamp", MONEY: "decimal(38, 18)"}
_LONGEST_YEARS: Final = 10
_LATEST_YEARS: Final = 5  # beyond the present one: commitments are billed ahead
_FIRST_YEAR: Final = 2000
_NULLS: Final = ("", "NULL", "null")

AMOUNT_REASON: Final = "not an amount: expected a decimal number below 10^20, such as 12.5 or 1.25e-7"
LIST_REASON: Final = (
    'not a list of amounts: expected a JSON array such as [{"type": "PROMOTION", "amount": -1.5}], each with an amount'
)
INSTANT_REASON: Final = "not an instant: expected UTC ISO 8601, such as 2026-05-01T00:00:00Z"


@dataclass
class TypedSelect:
    """`sql` has the contract columns that the source can say anything of, `_repairs`, `_extra`, `_period` (the first
    day of the billing period), and `_problem` (null, or an index into `problems`) with `_found`, the text of the field
    that broke the rule; `_position` too where the columns have one."""

    sql: str = ""
    problems: list[tuple[str, str]] = field(default_factory=list)  # (column as the format spells it, reason)
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceColumns:
    """Where things stand in what is read, each by the name of a column of it."""

    spelled: Mapping[str, str]  # by contract column
    keyed: Mapping[str, Mapping[str, str]]  # by contract column of JSON, then by key
    extra: Mapping[str, str]  # by header, of what the contract does not name
    notes: Sequence[str] = ()  # repair codes that hold for every row
    position: str | None = None  # the column that says where a row stands, if there is one


def slash_formats(date_format: str) -> list[str]:
    """strptime formats of dates written with slashes, two-digit years first."""
    day = _SLASH_FORMATS[date_format]
    return [f"{day}/{year}{time}" for year in ("%y", "%Y") for time in ("", " %H:%M", " %H:%M:%S")]


def build_select(
    form: BillFormat, source_sql: str, columns: SourceColumns, defaults: Mapping[str, str], date_format: str | None
) -> TypedSelect:
    """Type the rows of `source_sql`. `defaults` maps contract columns to a text that stands where nothing does."""
    select = TypedSelect()
    present = [
        name for name in form.column_names if name in columns.spelled or name in columns.keyed or name in defaults
    ]
    texts = [f"{_text_sql(form, columns, defaults, name, select)} as {_raw(name)}" for name in present]
    plain = [
        f"{_cast_plain_instant(_raw(name), date_format)} as {_plain(name)}"
        for name in form.instant_columns
        if name in present
    ]
    typed = [f"{_typed_sql(form, name, date_format)} as {name}" for name in present]
    # What is absent costs nothing: a null of the right type.
    typed += [f"null::{_ENGINE_TYPES[kind]} as {name}" for name, kind in form.table.columns if name not in present]
    rules = _list_rules(form, present, date_format)
    select.problems = [(form.spell(column), reason) for column, _, reason in rules]
    problem = " ".join(f"when {condition} then {index}" for index, (_, condition, _) in enumerate(rules))
    found = " ".join(
        f"when {index} then {_raw(column)}" for index, (column, _, _) in enumerate(rules) if column in present
    )
    repairs = ", ".join(_repair_codes(form, columns, present, date_format))
    said = {*present, *form.outputs, *form.claim_columns}
    outputs = [f"{form.outputs.get(name, name)} as {name}" for name in form.column_names if name in said]
    if columns.position is not None:
        texts.append(f"source.{columns.position} as _position")
    select.sql = f"""
    with texts as (select {", ".join(texts)}, {_extra_sql(columns.extra)} as _extra from ({source_sql}) as source),
    plain as (select {", ".join(("*", *plain))} from texts),
    typed as (select *, {", ".join(typed)} from plain),
    judged as (select *, case {problem} end as _problem from typed)
    select {", ".join(outputs)},
        nullif(concat_ws(',', {repairs}), '') as _repairs,
        _extra, {form.partition_date_sql} as _period, {"_position," if columns.position else ""}
        _problem, case _problem {found} end as _found
    from judged"""
    return select


def _raw(name: str) -> str:
    return f"raw_{name}"


def _plain(name: str) -> str:
    return f"plain_{name}"


def _text_sql(
    form: BillFormat, columns: SourceColumns, defaults: Mapping[str, str], name: str, select: TypedSelect
) -> str:
    source = "null::varchar"
    if name in columns.spelled:
        nulls = (*_NULLS, *(form.amount_nulls if name in form.money_columns else ()))
        source = _unless_null(f"source.{columns.spelled[name]}", nulls)
        if name in form.rewritten:
            source = form.rewritten[name].replace("$", source)
    if name in columns.keyed:
        source = f"coalesce({source}, {_object_sql(columns.keyed[name])})"
    if name in defaults:
        select.parameters[f"default_{name}"] = defaults[name]
        source = f"coalesce({source}, $default_{name}::varchar)"
    return source


def _unless_null(column: str, nulls: Sequence[str]) -> str:
    # Comparing the first letters costs a tenth of trimming, and few texts begin as one that stands for nothing.
    looks = " or ".join([f"{column} < '!'", *(f"prefix({column}, {quote_literal(null)})" for null in nulls if null)])
    return f"case when not ({looks}) or trim({column}) not in {tuple(nulls)} then {column} end"


def _extra_sql(extra: Mapping[str, str]) -> str:
    return _object_sql(extra) if extra else "null::varchar"


def _object_sql(columns: Mapping[str, str]) -> str:
    pairs = ", ".join(f"{quote_literal(name)}, source.{column}" for name, column in columns.items())
    # A merge patch drops the keys that are null.
    return f"nullif(json_merge_patch('{{}}', json_object({pairs}))::varchar, '{{}}')"


def _typed_sql(form: BillFormat, name: str, date_format: str | None) -> str:
    raw = _raw(name)
    if name in form.money_columns:
        return (
            f"case when contains({raw}, '$') then case when regexp_matches({raw}, '{_DOLLAR_PATTERN}') "
            f"then try_cast(replace(replace({raw}, '$', ''), ',', '') as decimal(38, 18)) end "
            f"when not contains({raw}, '_') then {_cast_amount(raw)} end"
        )
    if name in form.instant_columns:
        return f"coalesce({_plain(name)}, {_cast_instant(raw, date_format)})"
    return _list_sql(form.lists[name], raw) if name in form.lists else raw


def _cast_plain_instant(raw: str, date_format: str | None) -> str:
    """The usual spellings of UTC, which need neither a pattern nor a zone, each of which costs more than the cast."""
    like = " or ".join(f"{raw} like '{spelling}'" for spelling in _PLAIN_INSTANTS)
    # The cast takes an hour of 24 for the next day's first without a word.
    is_plain = f"{raw} between '1' and '3' and ({like}) and not {raw} like '___________24:%'"
    branches = [
        f"when {is_plain} then try_cast({raw} as timestamp)",
        f"when {raw} between '1' and '3' and {raw} like '____-__-__T__:__Z' and not {raw} like '___________24:%' "
        f"then try_cast(substr({raw}, 1, 16) || ':00' as timestamp)",
    ]
    if date_format is not None:
        day = quote_literal(f"{_SLASH_FORMATS[date_format]}/%Y")
        branches.append(f"when {raw} like '__/__/____' then try_strptime({raw}, {day})")
    return f"case {' '.join(branches)} end"


def _cast_instant(raw: str, date_format: str | None) -> str:
    """Every spelling, through timestamptz: a plain cast to timestamp drops the offset without a word."""
    hour = f"lpad((try_cast(substr(trim({raw}), 12, 2) as integer) - 24)::varchar, 2, '0')"
    shifted = f"substr(trim({raw}), 1, 11) || {hour} || substr(trim({raw}), 14)"
    # The engine insists on seconds, which 2026-05-01T10:00Z has not.
    seconds = "'^(\\d{4}-\\d{2}-\\d{2}[T ]\\d{2}:\\d{2})(Z|[+-]|$)', '\\1:00\\2'"
    # Nor does it read an offset behind a blank, 10:00:00 +0000.
    offset = "' ([+-]\\d{2}:?\\d{2})$', '\\1'"
    branches = [
        f"when {_is_late_hour(raw)} then timezone('UTC', try_cast({shifted} as timestamptz)) + interval 1 day",
        f"when regexp_matches({raw}, '{_ISO_PATTERN}') "
        f"then timezone('UTC', try_cast(regexp_replace(regexp_replace(trim({raw}), {seconds}), {offset}) "
        "as timestamptz))",
    ]
    if date_format is not None:
        formats = ", ".join(quote_literal(text) for text in slash_formats(date_format))
        branches.append(
            f"when regexp_matches({raw}, '{SLASH_DATE_PATTERN}') then try_strptime(trim({raw}), [{formats}])"
        )
    return f"case {' '.join(branches)} end"


def _list_sql(shape: ListShape, raw: str) -> str:
    """A JSON array with the fields of the shape, amounts as decimal texts; null where it is none.

    The text is JSON, a single object too, or what Python prints of such a list.
    """
    items = _read_items(shape, raw)
    lost = " or ".join(f"x.{name} is null" for name in shape.amounts)
    whole = f"to_json({items})::varchar"
    return f"case when len(list_filter({items}, lambda x: {lost})) = 0 then {whole} end" if lost else whole


def _read_items(shape: ListShape, raw: str) -> str:
    names = (*shape.texts, *shape.amounts)
    json_shape = "[{" + ", ".join(f'"{name}": "VARCHAR"' for name in names) + "}]"
    struct = ", ".join(f"{quote_name(name)} varchar" for name in names)

    def spell_items(items: str, text: str) -> str:
        fields = [f"'{name}': {text.replace('$', f'x.{name}')}" for name in shape.texts]
        fields += [f"'{name}': ({_cast_amount(f'x.{name}')})::varchar" for name in shape.amounts]
        return f"list_transform({items}, lambda x: {{{', '.join(fields)}}})"

    array = f"case when ltrim({raw})[1] = '{{' then '[' || {raw} || ']' else {raw} end"
    read = spell_items(f"try(from_json({array}, '{json_shape}'))", "$")
    printed = spell_items(f"try_cast({raw} as struct({struct})[])", "nullif($, 'None')")
    return f"case when json_valid({raw}) then {read} else {printed} end"


def _cast_amount(raw: str) -> str:
    """The wide cast takes a hundred times as long, so an amount of up to 18 digits goes through a narrow one."""
    point = f"instr({raw}, '.')"
    tiers = " ".join(
        f"when {point} <= {19 - places} and length({raw}) - {point} <= {places} "
        f"then try_cast({raw} as decimal(18, {places}))::decimal(38, 18)"
        for places in (9, 12, 15)
    )
    is_long = (
        f"{point} <= 10 and length({raw}) - {point} between 16 and 18 and regexp_matches({raw}, '{_LONG_PATTERN}')"
    )
    # Nine places and the rest, each of which a narrow cast reads.
    rest = f"rpad(substr({raw}, {point} + 10), 9, '0')::bigint::decimal(18, 0) * 0.000000000000000001::decimal(19, 18)"
    first = f"try_cast(substr({raw}, 1, {point} + 9) as decimal(18, 9))::decimal(38, 18)"
    return (
        f"case when contains({raw}, 'e') or contains({raw}, 'E') then {_cast_scientific(raw)} "
        f"when {point} = 0 and length({raw}) <= 9 then try_cast({raw} as decimal(18, 9))::decimal(38, 18) "
        f"when {point} = 0 then try_cast({raw} as decimal(38, 18)) {tiers} "
        f"when {is_long} then {first} + case when {raw}[1] = '-' then -({rest}) else {rest} end "
        f"else try_cast({raw} as decimal(38, 18)) end"
    )


def _cast_scientific(raw: str) -> str:
    """Written out first: the engine's own reading of 8.8e-21 is 1e-18, and of some amounts past 10^20 no error."""
    mantissa = f"ltrim(regexp_extract(lower(trim({raw})), '^[^e]*'), '+-')"
    whole, fraction = f"split_part({mantissa}, '.', 1)", f"split_part({mantissa}, '.', 2)"
    digits = f"({whole} || {fraction})"
    point = f"(length({whole}) + try_cast(regexp_extract(lower({raw}), 'e([+-]?\\d+)', 1) as integer))"
    written = (
        f"case when {point} <= 0 then '0.' || repeat('0', -{point}) || {digits} "
        f"when {point} >= length({digits}) then {digits} || repeat('0', {point} - length({digits})) "
        f"else substr({digits}, 1, {point}) || '.' || substr({digits}, {point} + 1) end"
    )
    sign = f"case when ltrim({raw})[1] = '-' then '-' else '' end"
    return (
        f"case when regexp_matches({raw}, '{_SCIENTIFIC_PATTERN}') "
        f"then try_cast({sign} || {written} as decimal(38, 18)) end"
    )


def _is_late_hour(raw: str) -> str:
    first_digits = " or ".join(f"{raw} like '___________{digit}_:%'" for digit in "234")
    matches = f"regexp_matches({raw}, '{_LATE_HOUR_PATTERN}')"
    return f"(case when {raw} < '!' or {first_digits} then {matches} else false end)"


def _list_rules(form: BillFormat, present: Sequence[str], date_format: str | None) -> list[tuple[str, str, str]]:
    """(contract column, condition that breaks it, reason), first match wins."""
    rules = [(name, f"{_raw(name)} is null", "empty: this column is required") for name in form.required]
    rules += [
        (name, _is_lost(name), AMOUNT_REASON)
        for name in form.money_columns
        if name in present and name not in form.lenient_amounts
    ]
    for name in form.instant_columns:
        if name not in present:
            continue
        if date_format is None:
            hint = (
                f"{INSTANT_REASON}. With slashes it can be month/day or day/month: "
                f"set options.date_format to {MONTH_FIRST} or {DAY_FIRST}"
            )
            rules.append((name, f"{_is_lost(name)} and contains({_raw(name)}, '/')", hint))
        rules.append((name, _is_lost(name), INSTANT_REASON))
    rules += [
        (name, _is_lost(name), LIST_REASON) for name, shape in form.lists.items() if name in present and shape.amounts
    ]
    return [*rules, *form.rules, *_list_period_rules(form, present)]


def _list_period_rules(form: BillFormat, present: Sequence[str]) -> list[tuple[str, str, str]]:
    """A year that was mistyped spreads a charge over a century, or hides it in a month that nobody looks at."""
    start, end = BILL_PERIODS[form.table.name]
    rules: list[tuple[str, str, str]] = []
    if {start, end} <= set(present):
        reason = f"more than {_LONGEST_YEARS} years after {form.spell(start)}: no charge is for so long"
        rules.append((end, f"{end} > {start} + interval {_LONGEST_YEARS} year", reason))
    if form.period_column in form.instant_columns:
        latest = datetime.now(UTC).year + _LATEST_YEARS
        reason = f"a billing period before {_FIRST_YEAR} or after {latest}: no bill is of then"
        rules.append((form.period_column, f"year({form.period_column}) not between {_FIRST_YEAR} and {latest}", reason))
    return rules


def _is_lost(name: str) -> str:
    return f"{name} is null and {_raw(name)} is not null"


def _repair_codes(
    form: BillFormat, columns: SourceColumns, present: Sequence[str], date_format: str | None
) -> list[str]:
    """SQL expressions, each a code or null."""
    amounts = [_raw(name) for name in form.money_columns if name in present]
    instants = [_raw(name) for name in form.instant_columns if name in present]
    codes = [
        _code("currency_text", [f"contains({raw}, '$')" for raw in amounts]),
        _code("rounded_to_18_places", [_is_rounded(raw) for raw in amounts]),
        _code(
            "hour_past_midnight",
            [
                f"case when {_plain(name)} is null then {_is_late_hour(_raw(name))} end"
                for name in form.instant_columns
                if name in present
            ],
        ),
    ]
    if date_format is not None:
        codes.append(_code(_SLASH_CODES[date_format], [f"contains({raw}, '/')" for raw in instants]))
    codes += [
        _code(f"unreadable:{form.spell(name)}", [_is_lost(name)])
        for name in form.column_names
        if name in present and (name in form.lenient_amounts or (name in form.lists and not form.lists[name].amounts))
    ]
    codes += [quote_literal(note) for note in columns.notes]
    codes += [_code(code, [condition]) for code, condition in form.repairs]
    for name, other in form.expected.items():
        if name not in present and other not in columns.spelled:
            codes.append(f"'missing_column:{form.spell(name)}'")
    return codes


def _code(code: str, conditions: list[str]) -> str:
    return f"case when {' or '.join(conditions) or 'false'} then '{code}' end"


def _is_rounded(raw: str) -> str:
    """More than 18 places that are not zeros, counting the exponent."""
    mantissa = f"regexp_extract(lower({raw}), '^[^e]*')"
    places = f"length(rtrim(regexp_extract({mantissa}, '\\.(\\d*)', 1), '0'))"
    exponent = f"coalesce(try_cast(regexp_extract(lower({raw}), 'e([+-]?\\d+)', 1) as integer), 0)"
    # An exponent moves the zeros at the end of a whole mantissa behind the point: 10e-19 is one place, not nineteen.
    zeros = f"case when {places} = 0 then length(regexp_extract({mantissa}, '(0*)\\.?0*\\s*$', 1)) else 0 end"
    counted = f"regexp_matches({mantissa}, '[1-9]') and {places} - {exponent} - {zeros} > 18"
    return (
        f"(case when length({raw}) > 19 or contains({raw}, 'e') or contains({raw}, 'E') then {counted} else false end)"
    )


def quote_name(name: str) -> str:
    """A SQL identifier."""
    return chr(34) + name.replace(chr(34), chr(34) * 2) + chr(34)


def quote_literal(text: str) -> str:
    """A SQL text."""
    return "'" + text.replace("'", "''") + "'"
