"""Prices of models that a catalogue states otherwise than the price book, for the doctor."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

import duckdb

from ingest.home import Home

_SQL: Final = """
select
    catalogue_name, catalogue_date, gateway_provider, gateway_model, token_class, tier_start_tokens, price_book,
    book_usd_per_mtok, catalogue_usd_per_mtok, used_tokens, exposure_usd
from intermediate.int_tokens__price_disagreements
where not has_own_price
order by
    abs(exposure_usd) desc,
    abs(catalogue_usd_per_mtok - book_usd_per_mtok) / greatest(catalogue_usd_per_mtok, book_usd_per_mtok) desc,
    catalogue_name, gateway_provider, gateway_model, token_class, tier_start_tokens
"""


@dataclass(frozen=True)
class PriceDisagreement:
    """One class of tokens; prices are USD per million tokens, use and exposure those of thirty days."""

    catalogue_name: str
    catalogue_date: date
    gateway_provider: str | None
    gateway_model: str
    token_class: str
    tier_start_tokens: int
    price_book: str
    book_usd_per_mtok: Decimal
    catalogue_usd_per_mtok: Decimal
    used_tokens: int
    exposure_usd: Decimal

    def __str__(self) -> str:
        tier = f" above {self.tier_start_tokens:,} tokens" if self.tier_start_tokens else ""
        used = (
            f": {self.exposure_usd:+,.2f} USD for the {self.used_tokens:,} tokens of thirty days"
            if self.used_tokens
            else ""
        )
        return (
            f"{self.gateway_provider}/{self.gateway_model} {self.token_class}{tier}: {_show(self.book_usd_per_mtok)} "
            f"USD per million in {self.price_book}, {_show(self.catalogue_usd_per_mtok)} in {self.catalogue_name} of "
            f"{self.catalogue_date}{used}"
        )

    @property
    def override_line(self) -> str:
        """The line of price_overrides.csv that takes the catalogue's price."""
        return (
            f"{self.gateway_provider},{self.gateway_model},{self.token_class},{_show(self.catalogue_usd_per_mtok)},"
            f"{self.catalogue_date},,{self.catalogue_name}"
        )


def read_price_disagreements(home: Home) -> list[PriceDisagreement]:
    """Those without a price of the home's own, what the calls of thirty days expose most first; none before a build."""
    if not home.warehouse_path.exists():
        return []
    with duckdb.connect(str(home.warehouse_path), read_only=True) as warehouse:
        try:
            return [PriceDisagreement(*row) for row in warehouse.execute(_SQL).fetchall()]
        except duckdb.CatalogException:
            return []


def _show(rate: Decimal) -> str:
    return f"{rate.normalize():f}"
