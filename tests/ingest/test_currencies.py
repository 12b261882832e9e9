"""Currencies of bills: national, virtual, and what is neither."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.ingest.test_focus import only_row, read_cells


def test_a_virtual_currency_lands_by_its_name_and_nothing_of_it_becomes_dollars(tmp_path: Path) -> None:
    row = only_row(read_cells(tmp_path, BillingCurrency="Acme Credits"))
    assert row["billing_currency"] == "Acme Credits"
    priced = only_row(read_cells(tmp_path, BillingCurrency="USD", PricingCurrency="Databricks DBUs", BilledCost="5.5"))
    assert (priced["billing_currency"], priced["pricing_currency"]) == ("USD", "Databricks DBUs")
    assert priced["billed_cost"] == Decimal("5.5")


@pytest.mark.parametrize("text", ["US$", "??", "$", "Euro"])
def test_a_misspelt_currency_is_no_virtual_one(tmp_path: Path, text: str) -> None:
    assert [field for _, field, *_ in read_cells(tmp_path, BillingCurrency=text).refused] == ["BillingCurrency"]
