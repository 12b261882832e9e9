"""The company's own facts: owners, facilities, hardware, rates, adjustments and others (CSV), and policies (YAML).

Source: HOME/config, edited by people. Lands in: config_<name>, replaced whole. A file with one problem is refused
whole, since half a rule set sends money to the wrong team; what was landed before then stays. Where nothing was, the
built-in policies hold and a CSV has no rows, as if there were none.

A CSV is UTF-8 (a byte-order mark is fine), separated by commas, one record a line; lines that start with # are
comments. Validity is half-open, [valid_from, valid_to), and blank is open.
"""

import csv
import difflib
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from ingest.allocation_policies import list_default_rows
from ingest.config import ConfigError, list_built_in_policies, load_allocation_policies, load_policies
from ingest.contracts import COUNT, DATE, DATED_FACTS, POLICY_FACTS, RATE, LandingTable
from ingest.fact_rules import FACT_RULES, FactRules
from ingest.failures import is_machine_fault, refuse_failed
from ingest.home import Home
from ingest.validity import Validity, find_overlaps

SHARED: Final = "shared"
"""The named owner that a rule may give: it says that something serves everyone."""

UNOWNED: Final = ("unallocated", "untagged", "unknown")
"""The named owners of dollars that no rule speaks for: no rule may give these."""

TRIMMED: Final = "trimmed_spaces"
"""Repair code of a row with spaces around a value."""

_DATE_PATTERN: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DECIMAL_PATTERN: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_COUNT_PATTERN: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_CONTROL_PATTERN: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


@dataclass(frozen=True)
class FactProblem:
    """One thing wrong with a config file; the fields are those of a quarantine row."""

    path: Path
    position: int | None  # line, 1-based
    field: str | None
    reason: str
    found: str = ""

    def __str__(self) -> str:
        where = f"{self.path}:{self.position}" if self.position else str(self.path)
        found = f"found {self.found!r}; " if self.found else ""
        return f"{where}: {f'{self.field}: ' if self.field else ''}{found}{self.reason}"


@dataclass(frozen=True)
class DatedFact:
    """One file of facts as read. With `problems`, `table` is empty and nothing of the file may be landed.

    `table` has the schema of `DATED_FACTS[name]`; `_position` is the line, so two versions are compared without the
    audit columns. `version_id` is the SHA-256 of the file's bytes, `text` what they say.
    """

    name: str
    path: Path
    table: pa.Table
    version_id: str
    text: str
    problems: tuple[FactProblem, ...]


def get_fact_path(home: Home, name: str) -> Path:
    """The file in HOME/config that says the fact."""
    return home.policies_path if name in POLICY_FACTS else home.config_dir / f"{name}.csv"


def read_dated_fact(home: Home, name: str) -> DatedFact:
    """The facts of HOME/config/<name>.csv, or of policies.yml. A CSV that is absent has no rows.

    Never raises for what is in the file: see `problems`.
    """
    table = DATED_FACTS[name]
    path = get_fact_path(home, name)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = None
    except OSError as error:
        problem = FactProblem(path, None, None, f"cannot be read: {error.strerror}; mend it or move it away")
        return DatedFact(name, path, table.schema.empty_table(), hashlib.sha256().hexdigest(), "", (problem,))
    version_id = hashlib.sha256(content or b"").hexdigest()
    text = (content or b"").decode("utf-8-sig", errors="replace")
    try:
        rows, problems = _read_rows(home, name, content)
    except Exception as error:
        if is_machine_fault(error):
            raise
        refusal = refuse_failed(f"a file of {name}", 0, error)
        rows, problems = [], [FactProblem(path, None, None, refusal.reason, refusal.found)]
    if problems:
        rows = []
    audit = {"_source": "config", "_object": str(path), "_delivery_id": version_id}
    landed = pa.Table.from_pylist([audit | row for row in rows], schema=table.schema)
    return DatedFact(name, path, landed, version_id, text, tuple(problems))


def _read_rows(home: Home, name: str, content: bytes | None) -> tuple[list[dict[str, Any]], list[FactProblem]]:
    if name in POLICY_FACTS:
        return _read_policies(home, name)
    if content is None:
        return [], []
    reader = _FactReader(get_fact_path(home, name), DATED_FACTS[name], FACT_RULES[name])
    return reader.read(content), reader.problems


def read_built_in_fact(name: str) -> pa.Table:
    """What holds while no version of the file was ever landed: the defaults of a policy, no rows of a CSV."""
    rows: dict[str, list[dict[str, Any]]] = {
        "policies": _list_policy_rows(list_built_in_policies()),
        "allocation_policies": list_default_rows(()),
    }
    audit = {"_source": "config", "_object": "built-in"}
    return pa.Table.from_pylist([audit | row for row in rows.get(name, [])], schema=DATED_FACTS[name].schema)


def _read_policies(home: Home, name: str) -> tuple[list[dict[str, Any]], list[FactProblem]]:
    # Each reads the whole file: one problem in it refuses both.
    try:
        policies, allocation = load_policies(home), load_allocation_policies(home)
    except ConfigError as error:
        return [], [FactProblem(error.path, None, None, text) for text in error.problems]
    if name == "allocation_policies":
        return allocation, []
    return _list_policy_rows(policies), []


def _list_policy_rows(policies: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"policy_key": key, "policy_value": value} for key, value in policies.items()]


class _FactReader:
    """Reads one CSV; every problem found on the way is kept in `problems`."""

    def __init__(self, path: Path, table: LandingTable, rules: FactRules) -> None:
        self.problems: list[FactProblem] = []
        self._path = path
        self._types = dict(table.columns)
        self._ranges = table.ranges
        self._rules = rules

    def read(self, content: bytes) -> list[dict[str, Any]]:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            self._refuse(line, None, "not UTF-8; save the file as UTF-8", repr(content[error.start : error.end]))
            return []
        records = self._split(text)
        header_line, header = next(records, (1, None))
        if header is None:
            self._refuse(header_line, None, f"no header; the first line names the columns: {','.join(self._types)}")
            return []
        names = [name.strip() for name in header]
        if not self._check_header(header_line, names):
            return []
        rows = [row for line, cells in records if (row := self._read_row(line, names, cells)) is not None]
        self._check_overlaps(rows)
        self._check_groups(rows)
        return rows

    def _refuse(self, line: int | None, name: str | None, reason: str, found: str = "") -> None:
        self.problems.append(FactProblem(self._path, line, name, reason, found[:500]))

    def _split(self, text: str) -> Iterator[tuple[int, list[str]]]:
        # One record a line: a quote left open then spoils its own line, and not the rest of the file.
        for line, record in enumerate(text.split("\n"), start=1):
            record = record.removesuffix("\r")
            if not record.strip() or record.lstrip().startswith("#"):
                continue
            if control := _CONTROL_PATTERN.search(record.replace("\t", " ")):
                self._refuse(line, None, "no control characters are allowed", repr(control.group()))
                continue
            try:
                yield line, next(csv.reader([record], strict=True))
            except csv.Error as error:
                self._refuse(line, None, f"not CSV: {error}; a quoted value ends on its own line", record)

    def _check_header(self, line: int, names: Sequence[str]) -> bool:
        before = len(self.problems)
        if len(names) == 1 and names[0].count(";") >= 2:
            self._refuse(line, None, "columns are separated by commas; save the file with commas", names[0])
            return False
        for name in dict.fromkeys(names):
            if name not in self._types:
                allowed = f"{', '.join(self._types)}{_suggest(name, self._types)}"
                self._refuse(line, name, f"unknown column; allowed: {allowed}", name)
            elif names.count(name) > 1:
                self._refuse(line, name, "a column is named once", name)
        for name in self._types:
            if name not in names and name not in self._rules.optional:
                self._refuse(line, name, "this column is required")
        return len(self.problems) == before

    def _read_row(self, line: int, names: Sequence[str], cells: Sequence[str]) -> dict[str, Any] | None:
        if len(cells) != len(names):
            self._refuse(line, None, f"{len(names)} values, as the header says", f"{len(cells)} values")
            return None
        before = len(self.problems)
        row = {name: self._read_cell(line, name, cell.strip()) for name, cell in zip(names, cells, strict=True)}
        if len(self.problems) == before:
            self._check_row(line, row)
        if len(self.problems) > before:
            return None
        is_trimmed = any(cell != cell.strip() for cell in cells)
        return row | {"_position": line, "_repairs": TRIMMED if is_trimmed else None}

    def _read_cell(self, line: int, name: str, text: str) -> Any:
        """The value with the contract's type; None when blank or refused."""
        if not text:
            if name not in self._rules.optional and name not in ("valid_from", "valid_to"):
                self._refuse(line, name, "a value is required")
            return None
        try:
            value = _parse_value(text, self._types[name])
        except ValueError as error:
            self._refuse(line, name, f"allowed: {error}", text)
            return None
        choices = self._rules.choices.get(name)
        least, most = self._rules.least.get(name), self._rules.most.get(name)
        pattern, example = self._rules.shapes.get(name, (None, ""))
        if choices is not None and text not in choices:
            self._refuse(line, name, f"allowed: {', '.join(choices)}{_suggest(text, choices)}", text)
        bounds = self._ranges.get(name)
        if bounds is not None and not bounds.least <= value <= bounds.most:
            self._refuse(line, name, f"allowed: {bounds.what}", text)
        if least is not None and value < least:
            self._refuse(line, name, f"allowed: {least:f} or more", text)
        if most is not None and value > most:
            self._refuse(line, name, f"allowed: {most:f} or less", text)
        if pattern is not None and not pattern.fullmatch(text):
            self._refuse(line, name, f"allowed: {example}", text)
        return value

    def _check_row(self, line: int, row: Mapping[str, Any]) -> None:
        """What takes two values of a row to see."""
        valid_from, valid_to = row.get("valid_from"), row.get("valid_to")
        if valid_from is not None and valid_to is not None and valid_from >= valid_to:
            self._refuse(line, "valid_to", f"allowed: a day after valid_from, {valid_from}", str(valid_to))
        if row.get("match_on") is not None:
            if row["match_on"] == "tag" and row.get("match_key") is None:
                self._refuse(line, "match_key", "the key of the tag is required where match_on is tag")
            if row["match_on"] != "tag" and row.get("match_key") is not None:
                self._refuse(line, "match_key", f"allowed: blank where match_on is {row['match_on']}", row["match_key"])
            if row["team_id"] != SHARED and row["team_id"].lower() in (SHARED, *UNOWNED):
                reason = f"allowed: a team, or {SHARED}; {', '.join(UNOWNED)} are where no rule speaks"
                self._refuse(line, "team_id", reason, row["team_id"])
        if "currency_code" in row and row["currency_code"] == row["to_currency_code"]:
            self._refuse(line, "to_currency_code", "allowed: another currency than currency_code", row["currency_code"])
        if "power_source" in row:
            account = row.get("power_invoice_account_id")
            if row["power_source"] == "invoice" and account is None:
                reason = "the account that the power invoice is charged to is required where power_source is invoice"
                self._refuse(line, "power_invoice_account_id", reason)
            if row["power_source"] != "invoice" and account is not None:
                # Energy that is measured and invoiced would be charged twice.
                reason = f"allowed: blank where power_source is {row['power_source']}"
                self._refuse(line, "power_invoice_account_id", reason, account)
        if "residual_usd" in row and row["residual_usd"] > row["purchase_cost_usd"]:
            reason = f"allowed: no more than purchase_cost_usd, {_show(row['purchase_cost_usd'])}"
            self._refuse(line, "residual_usd", reason, _show(row["residual_usd"]))
        if (
            "adjustment_id" in row
            and row["team_id"] != row["team_id"].lower()
            and (row["team_id"].lower() in (SHARED, *UNOWNED))
        ):
            reason = f"allowed: a team, or {', '.join((SHARED, *UNOWNED))}"
            self._refuse(line, "team_id", reason, row["team_id"])

    def _check_groups(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """What takes all rows of one id to see."""
        id_column = next(iter(self._types))
        by_id: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            by_id.setdefault(row[id_column], []).append(row)
        for row_id, same in by_id.items():
            for row in same[1:]:
                for name in self._rules.fixed:
                    if row.get(name) != same[0].get(name):
                        reason = f"allowed: {_show(same[0].get(name))}, as line {same[0]['_position']} says of {row_id}"
                        self._refuse(row["_position"], name, reason, _show(row.get(name)))
            zero_sum = self._rules.zero_sum
            if zero_sum is not None and (total := sum(row[zero_sum] for row in same)) != 0:
                numbers = " ".join(f"{row[zero_sum].normalize():+f}" for row in same)
                reason = f"allowed: the rows of {row_id} add up to 0"
                self._refuse(same[-1]["_position"], zero_sum, reason, f"{numbers} = {_show(total)}")

    def _check_overlaps(self, rows: Iterable[Mapping[str, Any]]) -> None:
        by_key: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
        for row in rows if self._rules.key else ():
            key = tuple(row[name] for name in self._rules.key)
            if None not in key:
                by_key.setdefault(key, []).append(row)
        for key, same in by_key.items():
            intervals = [Validity(row["valid_from"], row["valid_to"], row["_position"]) for row in same]
            for one, other in find_overlaps(intervals):
                later, earlier = (one, other) if one.line > other.line else (other, one)
                reason = (
                    f"allowed: one row at a time for {' '.join(map(str, key))}, "
                    f"and line {earlier.line} holds {earlier}; end one where the other begins"
                )
                self._refuse(later.line, "valid_from", reason, str(later))


def _parse_value(text: str, arrow_type: pa.DataType) -> Any:
    """Raises `ValueError` saying what is allowed."""
    if arrow_type == DATE:
        try:
            if _DATE_PATTERN.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError:  # 2026-02-30
            pass
        raise ValueError("a day of the calendar as YYYY-MM-DD")
    if arrow_type == COUNT:
        if not _COUNT_PATTERN.fullmatch(text):
            raise ValueError("a whole number")
        return int(text)
    if arrow_type == RATE:
        return _parse_rate(text)
    return text


def _parse_rate(text: str) -> Decimal:
    if not _DECIMAL_PATTERN.fullmatch(text):
        raise ValueError("a plain decimal number, such as 1.0832")
    value = Decimal(text)
    if abs(value) >= Decimal(10) ** (RATE.precision - RATE.scale):
        raise ValueError(f"less than 10^{RATE.precision - RATE.scale}")
    rate = round(value, RATE.scale)
    if rate != value:
        raise ValueError(
            f"at most {RATE.scale} decimal places; round it yourself, so that the rate is the one you mean"
        )
    return rate


def _show(value: Any) -> str:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def _suggest(found: str, allowed: Iterable[str]) -> str:
    near = difflib.get_close_matches(found.lower(), list(allowed), n=1)
    return f"; did you mean {near[0]}?" if near else ""
