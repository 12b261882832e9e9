"""A small warehouse with the marts' own columns and types, and numbers that were worked by hand.

Ten days of March 2026. Team research: 100.00 a day on EC2 nodes (130.25 on the 10th), Bedrock 20.00 on the 9th and
15.50 on the 10th (estimates), a credit of 5.75 on the 10th. So the 10th is 140.00, the day before 120.00, the seven
days before 720.00, the month to date 1060.00. Team chat: 10.00 a day. Nobody's: 30.00 a day.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from delivery.marts import Marts, open_marts
from delivery.publish import publish

DAY = date(2026, 3, 10)
PUBLISHED_AT = datetime(2026, 3, 11, 6, 0, tzinfo=UTC)
DATA_THROUGH = {"aws-focus": datetime(2026, 3, 11, tzinfo=UTC), "gateway": datetime(2026, 3, 10, 18, tzinfo=UTC)}

TABLES = """
create table marts.fct_cost_ledger (
    usage_date date, billing_period_start_date date, posting_period_start_date date, provider_name varchar,
    billing_account_id varchar, charge_category varchar, service_name varchar, resource_id varchar, cost_pool varchar,
    team_id varchar, cost_center_id varchar, environment varchar, workload_id varchar, consumer_id varchar,
    model_id varchar, allocation_step varchar, allocation_method varchar, is_estimate boolean, source_name varchar,
    charge_key varchar, billed_cost_usd decimal(18, 9), effective_cost_usd decimal(18, 9), list_cost_usd decimal(18, 9)
);
create table marts.dim_teams (
    team_id varchar, team_name varchar, cost_center_id varchar, is_named_owner boolean, valid_from_date date,
    valid_to_date date
);
create table marts.fct_reconciliation (
    provider_name varchar, billing_account_id varchar, billing_period_start_date date, step_number integer,
    step varchar, cause varchar, currency_code varchar, billed_cost_usd decimal(38, 9),
    effective_cost_usd decimal(38, 9), list_cost_usd decimal(38, 9), billed_cost_local decimal(38, 18),
    effective_cost_local decimal(38, 18),
    list_cost_local decimal(38, 18)
);
create table marts.fct_unit_costs_daily (
    usage_date date, team_id varchar, app_id varchar, provider_name varchar, model_id varchar, service_tier varchar,
    request_count bigint, failed_request_count bigint, missing_usage_request_count bigint,
    unpriced_request_count bigint, uncached_input_tokens bigint, cache_read_tokens bigint,
    cache_write_5m_tokens bigint, cache_write_1h_tokens bigint, cache_write_other_tokens bigint,
    output_visible_tokens bigint, output_reasoning_tokens bigint, audio_tokens bigint, image_tokens bigint,
    total_tokens bigint, unpriced_tokens bigint, unpriced_reason varchar, calculated_cost_usd decimal(38, 9),
    gateway_cost_usd decimal(38, 9), unpriced_exposure_usd decimal(38, 9), usd_per_request decimal(18, 9),
    usd_per_mtok decimal(18, 9)
);
create table marts.fct_gpu_state_hours (
    usage_hour_at timestamp, usage_date date, gpu_uuid varchar, mig_instance_id varchar, mig_profile varchar,
    hostname varchar, cluster_name varchar, gpu_model varchar, namespace varchar, pod varchar, team_id varchar,
    gpu_state varchar, gpu_hours decimal(18, 9), allocation_basis varchar, activity_signal varchar, is_estimate boolean
);
create table marts.fct_gpu_energy_hourly (
    usage_hour_at timestamp, usage_date date, gpu_uuid varchar, hostname varchar, gpu_model varchar,
    facility_id varchar, gpu_kwh decimal(18, 9), pue decimal(18, 9), facility_kwh decimal(18, 9),
    usd_per_kwh decimal(18, 9), energy_cost_usd decimal(18, 9), energy_source varchar,
    counter_reset_count bigint, missing_reason varchar
);
create table marts.dim_billing_periods (period_start_date date, data_through_date date);
create table marts.fct_source_conformance (source_name varchar, source_conformance_share decimal(9, 6));
create table marts.fct_waste (
    usage_date date, finding_key varchar, waste_kind varchar, team_id varchar, resource_id varchar, workload_id varchar,
    wasted_gpu_hours decimal(18, 9), waste_cost_usd decimal(18, 9), missing_reason varchar, evidence varchar,
    recommended_action varchar, is_estimate boolean
);
"""

CHARGEBACK = """
create or replace table marts.fct_chargeback_daily as
select
    usage_date, team_id, cost_center_id, cost_pool,
    cast(sum(billed_cost_usd) as decimal(38, 9)) as billed_cost_usd,
    cast(sum(effective_cost_usd) as decimal(38, 9)) as effective_cost_usd,
    cast(sum(list_cost_usd) as decimal(38, 9)) as list_cost_usd,
    cast(coalesce(sum(effective_cost_usd) filter (where is_estimate), 0) as decimal(38, 9))
        as estimated_effective_cost_usd,
    count(*) as ledger_row_count
from marts.fct_cost_ledger
group by all;
comment on table marts.fct_chargeback_daily is 'One row per day, team, cost centre and pool: what''s charged';
comment on column marts.fct_chargeback_daily.effective_cost_usd is 'Effective cost, USD';
"""

RECONCILIATION = """
create or replace table marts.fct_reconciliation as
select
    provider_name, billing_account_id, billing_period_start_date, step_number, step, cause, 'USD' as currency_code,
    cast(sum(factor * billed_cost_usd) as decimal(38, 9)) as billed_cost_usd,
    cast(sum(factor * effective_cost_usd) as decimal(38, 9)) as effective_cost_usd,
    cast(null as decimal(38, 9)) as list_cost_usd,
    cast(null as decimal(38, 18)) as billed_cost_local,
    cast(null as decimal(38, 18)) as effective_cost_local,
    cast(null as decimal(38, 18)) as list_cost_local
from marts.fct_cost_ledger, (
    values
        (1, 'delivered', 'rate_known', 1), (3, 'allocated', 'direct', 1),
        (4, 'residual', 'delivered_minus_allocated', 0)
) as steps (step_number, step, cause, factor)
group by all;
"""

Charge = tuple[date, str, str, str, str, bool]  # day, team, pool, service, effective USD, is_estimate


def list_charges() -> list[Charge]:
    """The ten days of the module's first lines."""
    charges: list[Charge] = []
    for offset in range(9, -1, -1):
        day = DAY - timedelta(days=offset)
        nodes = "130.25" if day == DAY else "100"
        charges.append((day, "research", "cluster_nodes", "Amazon EC2", nodes, False))
        charges.append((day, "chat", "llm_api", "Amazon Bedrock", "10", True))
        charges.append((day, "unallocated", "cluster_nodes", "Amazon EC2", "30", False))
    charges.append((DAY - timedelta(days=1), "research", "llm_api", "Amazon Bedrock", "20", True))
    charges.append((DAY, "research", "llm_api", "Amazon Bedrock", "15.50", True))
    charges.append((DAY, "research", "credit", "Amazon EC2", "-5.75", False))
    return charges


def write_warehouse(path: Path, charges: list[Charge] | None = None) -> None:
    """A warehouse at `path` with every mart; `charges` in place of the hand-worked ones."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts")
        connection.execute(TABLES)
        for number, (day, team, pool, service, usd, is_estimate) in enumerate(charges or list_charges()):
            connection.execute(
                """
                insert into marts.fct_cost_ledger by name
                select
                    $day::date as usage_date, date_trunc('month', $day::date) as billing_period_start_date,
                    date_trunc('month', $day::date) as posting_period_start_date, 'AWS' as provider_name,
                    '0001' as billing_account_id, 'Usage' as charge_category, $service as service_name,
                    $pool as cost_pool, $team as team_id, 'cc-' || $team as cost_center_id,
                    'direct' as allocation_step, $is_estimate as is_estimate, 'aws-focus' as source_name,
                    $key as charge_key, $usd::decimal(18, 9) as billed_cost_usd,
                    $usd::decimal(18, 9) as effective_cost_usd
                """,
                {
                    "day": day,
                    "team": team,
                    "pool": pool,
                    "service": service,
                    "usd": usd,
                    "is_estimate": is_estimate,
                    "key": f"c{number}",
                },
            )
        connection.execute(CHARGEBACK)
        connection.execute(RECONCILIATION)
        connection.execute(
            """
            insert into marts.dim_teams values
                ('research', 'Research', 'cc-research', false, '2026-01-01', '9999-12-31'),
                ('chat', 'Chat', 'cc-chat', false, '2026-01-01', '9999-12-31'),
                ('unallocated', 'Unallocated: capacity nobody held', null, true, '0001-01-01', '9999-12-31');
            insert into marts.dim_billing_periods values ('2026-03-01', '2026-03-10');
            insert into marts.fct_source_conformance values ('aws-focus', 0.99875), ('aws-focus', 0.99875);
            insert into marts.fct_waste values
                ('2026-03-10', 'w1', 'held_idle_gpu', 'research', 'GPU-1', 'notebooks/ana', 12.5, 25, null,
                    'activity below 5% for 12.5 h', 'Stop the notebook when it idles', false),
                ('2026-03-10', 'w2', 'held_idle_gpu', 'research', 'GPU-2', null, 2, null, 'no_price', 'idle', null,
                    true),
                ('2026-03-09', 'w3', 'unallocated_gpu', 'unallocated', 'GPU-3', null, 24, 48, null, 'free all day',
                    'Shrink the node pool', false);
            insert into marts.fct_unit_costs_daily by name
            select * from (values
                (date '2026-03-10', 'research', 'rag', 'anthropic', 'claude-sonnet-4-5', 1000, 3, 0, 0, 2000000, 0,
                    null, 15.50, null),
                (date '2026-03-10', 'research', 'rag', 'vllm', 'house-llama', 40, 0, 0, 40, 50000, 50000,
                    'no_price', null, 0.75),
                (date '2026-03-10', 'chat', 'bot', 'openai', 'gpt-5-mini', 200, 0, 0, 0, 100000, 0, null, 0.05, null)
            ) as requests (
                usage_date, team_id, app_id, provider_name, model_id, request_count, failed_request_count,
                missing_usage_request_count, unpriced_request_count, total_tokens, unpriced_tokens, unpriced_reason,
                calculated_cost_usd, unpriced_exposure_usd
            );
            insert into marts.fct_gpu_state_hours by name
            select hour_at as usage_hour_at, hour_at::date as usage_date, gpu_uuid, '' as mig_instance_id, gpu_state,
                1::decimal(18, 9) as gpu_hours, 'whole' as allocation_basis, false as is_estimate
            from
                generate_series(timestamp '2026-03-09', timestamp '2026-03-10 23:00', interval 1 hour)
                    as hours (hour_at),
                (values ('GPU-1', 'worked'), ('GPU-2', 'held_idle'), ('GPU-3', 'unallocated'), ('GPU-4', 'unknown'))
                    as gpus (gpu_uuid, gpu_state);
            insert into marts.fct_gpu_energy_hourly by name
            select usage_hour_at, usage_date, gpu_uuid, 0.5 as gpu_kwh, 1.2 as pue, 0.6 as facility_kwh,
                0.1 as usd_per_kwh, 0.06 as energy_cost_usd, 'counter' as energy_source, 0 as counter_reset_count
            from marts.fct_gpu_state_hours where gpu_uuid != 'GPU-4'
            """
        )


@pytest.fixture(name="write_warehouse", scope="session")
def give_write_warehouse() -> Callable[..., None]:
    """`write_warehouse`, for tests that need charges of their own."""
    return write_warehouse


@pytest.fixture(scope="session")
def hand_worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hand-worked warehouse, made once: tests read it or take a copy."""
    path = tmp_path_factory.mktemp("hand-worked") / "warehouse.duckdb"
    write_warehouse(path)
    return path


@pytest.fixture
def warehouse(hand_worked: Path, tmp_path: Path) -> Path:
    """The test's own copy of the hand-worked warehouse."""
    return Path(shutil.copy(hand_worked, tmp_path / "warehouse.duckdb"))


@pytest.fixture(scope="session")
def published(hand_worked: Path) -> Path:
    """The hand-worked marts, published as build b1; only to be read."""
    folder = hand_worked.parent / "published"
    publish(hand_worked, folder, build_id="b1", data_through=DATA_THROUGH, published_at=PUBLISHED_AT)
    return folder


@pytest.fixture
def marts(published: Path) -> Iterator[Marts]:
    """The hand-worked marts, open."""
    with open_marts(published) as opened:
        yield opened


@pytest.fixture
def publish_charges(tmp_path: Path) -> Callable[[list[Charge]], Path]:
    """Publishes a warehouse that holds the given charges in place of the hand-worked ones."""

    def publish_them(charges: list[Charge]) -> Path:
        warehouse = tmp_path / "other.duckdb"
        write_warehouse(warehouse, charges)
        folder = tmp_path / "other-published"
        publish(warehouse, folder, build_id="b1", data_through=DATA_THROUGH, published_at=PUBLISHED_AT)
        return folder

    return publish_them


@pytest.fixture
def make_certificate(tmp_path: Path) -> Callable[[], tuple[Path, Path]]:
    """Makes a self-signed certificate and key for 127.0.0.1."""

    def make() -> tuple[Path, Path]:
        certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
        subject = "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
        command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 {subject}"
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
        return certificate, key

    return make
