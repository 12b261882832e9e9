"""The tests of hours, tokens, waste and bills turn red when what they guard is broken on the golden day."""

import shutil
from pathlib import Path

import duckdb
import pytest

from tests.dbt_project.small_warehouse import try_dbt

pytestmark = pytest.mark.slow

NANO_DOLLAR = "0.000000001"
_LINE_OF_NO_BILL = """
create or replace view intermediate.int_charges__{provider}_lines as
select 'bill' as source_name, 'Cloud' as provider_name, '1' as billing_account_id, 'USD' as currency_code,
    date '2026-10-01' as billing_period_start_date,
    {nano} as billed_cost_local, 0 as effective_cost_local, 0 as list_cost_local"""

_COUNTED = """
create table if not exists raw.counted as from raw.control_totals;
create or replace view raw.control_totals as from raw.counted;
update raw.counted set total = total + 1 where table_name = '{table}' and measure = '{measure}'"""

BREACHES = {
    "assert_a_commitment_is_not_counted_twice": f"""
        update intermediate.int_charges__routed set effective_cost_usd = {NANO_DOLLAR}, charge_category = 'Purchase'
        where commitment_discount_id = 'sp-1'""",
    "assert_nothing_is_accrued_that_is_billed": """
        insert into intermediate.int_charges__accruals by name
        select charge_key, usage_date, node_key as resource_id, provider_name
        from intermediate.int_charges__routed where is_node_charge""",
    "assert_adjustments_add_up_to_zero": f"""
        insert into intermediate.int_charges__zero_sum by name
        select 'manual' as charge_key, {NANO_DOLLAR} as billed_cost_usd, 0 as effective_cost_usd""",
    "assert_law_1_calls_hold_what_was_counted": _COUNTED.format(table="litellm_requests", measure="input_tokens"),
    "assert_law_1_lake_holds_what_was_counted": _COUNTED.format(table="dcgm_samples", measure="row_count"),
    "assert_samples_hold_what_was_counted": """
        delete from intermediate.int_gpu__samples
        where sampled_at = (select min(sampled_at) from intermediate.int_gpu__samples)""",
    "assert_energy_cost_is_kwh_by_pue_by_tariff": f"""
        update marts.fct_gpu_energy_hourly set energy_cost_usd = energy_cost_usd + {NANO_DOLLAR}""",
    "assert_energy_hours_add_up_to_the_counter": """
        update intermediate.int_gpu__energy_hours set counter_millijoules = counter_millijoules + 1""",
    "assert_gpu_hours_add_up_to_one": """
        delete from marts.fct_gpu_state_hours where gpu_state = 'held_idle'""",
    "assert_named_owners_stand_for_no_holder": """
        update marts.fct_gpu_state_hours set team_id = 'vision' where gpu_state = 'unallocated'""",
    "assert_waste_hours_equal_state_hours": f"""
        update marts.fct_waste set wasted_gpu_hours = wasted_gpu_hours + {NANO_DOLLAR}
        where waste_kind = 'unallocated_gpu'""",
    "assert_waste_never_exceeds_the_bill": f"""
        update marts.fct_waste set waste_cost_usd = waste_cost_usd + {NANO_DOLLAR}
        where waste_kind = 'unused_commitment'""",
    "assert_a_missing_waste_cost_has_a_reason": """
        update marts.fct_waste set waste_cost_usd = null where waste_kind = 'held_idle_gpu'""",
    "assert_missing_is_never_a_zero_cost": """
        update intermediate.int_tokens__requests set calculated_cost_usd = 0, price_set_id = null""",
    "assert_unit_costs_equal_priced_requests": f"""
        update marts.fct_unit_costs_daily set calculated_cost_usd = coalesce(calculated_cost_usd, 0) + {NANO_DOLLAR}""",
    "assert_token_classes_add_up_to_the_logged_totals": """
        update marts.fct_unit_costs_daily set cache_read_tokens = cache_read_tokens + 1""",
    "assert_the_waterfall_adds_up_to_the_bill": f"""
        update marts.fct_reconciliation set billed_cost_usd = billed_cost_usd + {NANO_DOLLAR}
        where step = 'gateway_variance'""",
    "assert_azure_views_agree": f"""
        create or replace view staging.stg_azure_cost__line_items as
        select 's' as source_name, export_view, 'EA' as billing_account_id,
            date '2026-10-01' as billing_period_start_date, 'USD' as currency_code,
            'usage' as charge_type, false as is_commitment, cost_local
        from (values ('actual', 1.0), ('amortized', 1.0 - {NANO_DOLLAR})) as items(export_view, cost_local);
        insert into intermediate.int_charges__azure_bills by name
        select 's' as source_name, view_name as export_view, 'EA' as billing_account_id, view_name as bill_view,
            true as is_counted, true as has_actual, true as has_amortized,
            date '2026-10-01' as billing_period_start_date
        from (values ('actual'), ('amortized')) as views(view_name)""",
    "assert_policies_name_teams_that_a_rule_knows": """
        create or replace view staging.stg_config__allocation_policies as
        select 'p' as policy_id, 'nobody' as recipient_team_id""",
    "assert_quotas_name_teams_that_a_rule_knows": """
        create or replace view staging.stg_config__quotas as
        select 'c1' as cluster_name, 'H100' as gpu_model, 'nobody' as team_id""",
} | {
    law: _LINE_OF_NO_BILL.format(provider=provider, nano=NANO_DOLLAR)
    for law, provider in {
        "assert_law_1_aws_line_items_add_up": "aws",
        "assert_law_1_azure_rows_add_up": "azure",
        "assert_law_1_gcp_rows_add_up": "gcp",
        "assert_law_1_invoice_lines_add_up": "invoice",
        "assert_law_1_oci_rows_add_up": "oci",
    }.items()
}
"""By the name of the test: what it must not let pass, done to the warehouse."""


@pytest.fixture(scope="module")
def broken(golden_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden day's warehouse, with every breach in it."""
    warehouse = tmp_path_factory.mktemp("broken") / "warehouse.duckdb"
    shutil.copy(golden_home / "warehouse.duckdb", warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        for breach in BREACHES.values():
            connection.execute(breach)
    return warehouse


def test_every_test_turns_red_when_it_is_broken(broken: Path) -> None:
    _failed, results = try_dbt(broken, "test", "--select", *BREACHES)
    found_rows = {result.unique_id.split(".")[2]: result.failures for result in results}
    assert found_rows.keys() == BREACHES.keys()
    assert [name for name, count in sorted(found_rows.items()) if not count] == []
