"""What of a bill would go: days, sub accounts and charges that one delivery of a slice has and another has not.

A month-to-date export only grows, and a restatement keeps its days and accounts. What loses them, or more than a
policy's share of the charges, is a partial export or another part of the account: a person says which one counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from ingest import lake
from ingest.billing.claims import BillKind
from ingest.contracts import BILL_AMOUNTS, BILL_PERIODS, LandingTable
from ingest.landing_run import LandingRun

_MOST_NAMED: Final = 3
_LONGEST_SPAN_DAYS: Final = 31
"""A row of more days, such as a commitment bought for a year, does not stand for the days that it spans."""

_Charged = dict[str | None, list[Decimal]]

_CELLS_SQL: Final = """
create or replace temp table {name} as
select
    first_date,
    greatest(first_date, coalesce(cast(ends_at - interval 1 microsecond as date), first_date)) as last_date,
    account,
    currency,
    sum(amount) as amount,
    sum(size) as size,
    {charges}
from (
    select
        coalesce(cast({start} as date), {partition}) as first_date,
        {end} as ends_at,
        {account} as account,
        {currency} as currency,
        {amount} as amount,
        {size} as size,
        {parts}
    from ({rows})
)
group by all
"""

_LOST_DAYS_SQL: Final = """
select old.first_date, old.currency, sum(old.amount) as amount
from losing as old
where old.size > 0
    and old.first_date not in (select first_date from winning)
    -- Other rows may stand for the day, such as one for the month: not those that the loser has beside it.
    and not exists (
        select 1 from winning as new
        where old.first_date between new.first_date and new.last_date
            and new.last_date - new.first_date between 1 and {longest}
            and (new.first_date, new.last_date) not in (select (first_date, last_date) from losing)
    )
group by all
order by all
"""

_LOST_ACCOUNTS_SQL: Final = """
select account, currency, sum(amount) as amount
from losing
where size > 0 and account is not null
    and account not in (select account from winning where account is not null)
group by all
order by all
"""


@dataclass(frozen=True)
class Loss:
    """What a slice would lose. `fingerprint` changes with each day, account and amount of it."""

    days: tuple[date, ...]
    accounts: tuple[str, ...]
    gone: tuple[tuple[str | None, Decimal], ...]  # by currency: what the days and accounts came to
    before: tuple[tuple[str | None, Decimal], ...]
    after: tuple[tuple[str | None, Decimal], ...]
    fingerprint: str

    def __str__(self) -> str:
        """A clause without a verb of its own: what would go, and what the bill would come to."""
        told: list[str] = []
        if self.days:
            span = f"{self.days[0]}" if len(self.days) == 1 else f"{self.days[0]} to {self.days[-1]}"
            told.append(f"{len(self.days)} day(s) ({span})")
        if self.accounts:
            more = ", …" if len(self.accounts) > _MOST_NAMED else ""
            told.append(f"{len(self.accounts)} sub account(s) ({', '.join(self.accounts[:_MOST_NAMED])}{more})")
        of = f"{' and '.join(told)}, {_show(self.gone)}; " if told else ""
        return f"{of}{_show(self.after)} instead of {_show(self.before)}"


def find_loss(
    run: LandingRun, kind: BillKind, key: str, loser_sql: str, winner_sql: str, shrink_share: Decimal | None
) -> Loss | None:
    """What `winner_sql` has nothing of and `loser_sql` has; None when nothing of weight goes. Less in charges counts
    from a share of `shrink_share` on; where that is None, it does not count.
    """
    engine = run.engine
    engine.execute(_write_cells_sql("losing", kind, loser_sql))
    if not engine.table("losing").fetchone():
        return None
    engine.execute(_write_cells_sql("winning", kind, winner_sql))
    days = engine.execute(_LOST_DAYS_SQL.format(longest=_LONGEST_SPAN_DAYS)).fetchall()
    accounts = engine.execute(_LOST_ACCOUNTS_SQL).fetchall()
    before, after = _sum_cells(run, "losing"), _sum_cells(run, "winning")
    is_less = shrink_share is not None and _is_less(run, kind.table, shrink_share)
    gone = _sum_gone(run, [day for day, _, _ in days], [name for name, _, _ in accounts])
    engine.execute("drop table losing; drop table winning")
    if not (days or accounts or is_less):
        return None
    totals = (before, after) if is_less else ()
    return Loss(
        days=tuple(dict.fromkeys(day for day, _, _ in days)),
        accounts=tuple(dict.fromkeys(name for name, _, _ in accounts)),
        gone=gone,
        before=before,
        after=after,
        fingerprint=lake.hash_text(key, *map(str, (*days, *accounts, *totals))),
    )


def _write_cells_sql(name: str, kind: BillKind, rows_sql: str) -> str:
    table = kind.table
    start, end = BILL_PERIODS[table.name]
    amounts, currency = BILL_AMOUNTS[table.name]
    return _CELLS_SQL.format(
        name=name,
        start=start,
        end=end,
        partition=table.partition,
        account=kind.sub_account_column,
        currency=currency,
        amount=f"coalesce({amounts[0]}, 0)",
        size=" + ".join(f"abs(coalesce({column}, 0))" for column in amounts),
        # What was charged: a credit that arrives is no charge that goes.
        parts=", ".join(f"greatest(coalesce({column}, 0), 0) as {column}_charged" for column in amounts),
        charges=", ".join(f"sum({column}_charged) as {column}_charged" for column in amounts),
        rows=rows_sql,
    )


def _is_less(run: LandingRun, table: LandingTable, shrink_share: Decimal) -> bool:
    had, has = _read_charged(run, table, "losing"), _read_charged(run, table, "winning")
    if None in {*had, *has}:  # rows whose currency was not known before, or is not now
        had, has = _sum_all(had), _sum_all(has)
    nothing = [Decimal(0)] * len(BILL_AMOUNTS[table.name][0])
    return any(
        before - after > shrink_share * before
        for currency, charged in had.items()
        for before, after in zip(charged, has.get(currency, nothing), strict=True)
    )


def _sum_all(charged: _Charged) -> _Charged:
    return {None: [sum(column, Decimal(0)) for column in zip(*charged.values(), strict=True)]} if charged else {}


def _read_charged(run: LandingRun, table: LandingTable, cells: str) -> _Charged:
    """By currency the sum of each amount that was charged."""
    sums = ", ".join(f"sum({column}_charged)" for column in BILL_AMOUNTS[table.name][0])
    found = run.engine.execute(f"select currency, {sums} from {cells} group by currency").fetchall()
    return {currency: charged for currency, *charged in found}


def _sum_cells(run: LandingRun, cells: str) -> tuple[tuple[str | None, Decimal], ...]:
    return tuple(run.engine.execute(f"select currency, sum(amount) from {cells} group by 1 order by 1").fetchall())


def _sum_gone(run: LandingRun, days: Sequence[date], accounts: Sequence[str]) -> tuple[tuple[str | None, Decimal], ...]:
    """By currency, each amount once, also where its day and its account go."""
    return tuple(
        run.engine.execute(
            """select currency, sum(amount) from losing
            where first_date in (select unnest($1::date[])) or account in (select unnest($2::varchar[]))
            group by 1 order by 1""",
            [list(dict.fromkeys(days)), list(dict.fromkeys(accounts))],
        ).fetchall()
    )


def _show(amounts: Iterable[tuple[str | None, Decimal]]) -> str:
    told = (f"{amount.normalize():,f} {currency or 'in no currency'}" for currency, amount in amounts)
    return " and ".join(told) or "nothing"
