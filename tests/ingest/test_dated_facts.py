import hashlib
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.allocation_policies import METHODS
from ingest.contracts import DATED_FACTS, POLICY_FACTS
from ingest.dated_facts import DatedFact, read_dated_fact
from ingest.home import Home
from ingest.validity import Validity, find_gaps, find_overlaps

OWNERS = (
    "rule_id,match_on,match_key,match_value,team_id,team_name,cost_center_id,environment,priority,valid_from,valid_to"
)
TARIFFS = "facility_id,valid_from,valid_to,usd_per_kwh,source"
FACILITIES = "facility_id,hostname_pattern,pue,power_source,valid_from,valid_to,source"
OWNED_HARDWARE = (
    "asset_id,resource_id,facility_id,gpu_model,gpu_count,purchase_cost_usd,residual_usd,in_service_date,"
    "useful_life_months,space_usd_per_month,staff_usd_per_month,maintenance_usd_per_month,valid_from,valid_to"
)
ADJUSTMENTS = "adjustment_id,adjustment_kind,usage_date,team_id,amount_usd,reason,approver"
FX_RATES = "currency_code,to_currency_code,rate,valid_from,valid_to,source"
SERVING_POOLS = "pool_id,cluster,namespace,controller,model,mean_running_batch,valid_from,valid_to"
QUOTAS = "cluster,gpu_model,team_id,nominal_quota_gpu_count,valid_from,valid_to,source"
PRICE_OVERRIDES = "provider,model,token_class,usd_per_mtok,valid_from,valid_to,source"
RECIPIENTS = "team_id,email,valid_from,valid_to"
CSV_NAMES = sorted(set(DATED_FACTS) - set(POLICY_FACTS))


def read(home: Home, name: str, *lines: str) -> DatedFact:
    (home.config_dir / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_dated_fact(home, name)


def read_problem(home: Home, name: str, *lines: str) -> str:
    fact = read(home, name, *lines)
    assert len(fact.problems) == 1, [str(problem) for problem in fact.problems]
    assert fact.table.num_rows == 0
    return str(fact.problems[0]).removeprefix(f"{fact.path}:")


@pytest.mark.parametrize("name", CSV_NAMES)
def test_a_new_homes_file_is_valid_and_so_is_its_commented_example(home: Home, name: str):
    empty = read_dated_fact(home, name)
    assert (empty.problems, empty.table.num_rows) == ((), 0)
    path = home.config_dir / f"{name}.csv"
    *notes, header = path.read_text().splitlines()
    example = notes[-1].removeprefix("# ")
    fact = read(home, name, *notes, header, example)
    assert fact.problems == ()
    assert fact.table.num_rows == 1
    assert fact.table.schema == DATED_FACTS[name].schema
    assert fact.table.column("_position").to_pylist() == [len(notes) + 2]


@pytest.mark.parametrize("name", sorted(DATED_FACTS))
def test_a_missing_file_has_no_rows_but_default_policies(home: Home, name: str):
    (home.policies_path if name in POLICY_FACTS else home.config_dir / f"{name}.csv").unlink()
    fact = read_dated_fact(home, name)
    assert fact.problems == ()
    assert fact.text == ""
    assert fact.version_id == hashlib.sha256(b"").hexdigest()
    assert fact.table.num_rows == {"policies": 6, "allocation_policies": len(METHODS)}.get(name, 0)


def test_values_have_the_contracts_types_and_blank_is_null(home: Home):
    fact = read(
        home,
        "owners",
        OWNERS,
        "r1,tag,team,search,search,Search,CC-1,production,10,2026-01-01,2026-10-16",
        'r2,account,,123456789012,"Platform, EU",,,,-5,,',
    )
    assert fact.problems == ()
    first, second = fact.table.select(DATED_FACTS["owners"].schema.names[:11]).to_pylist()
    assert (first["priority"], first["valid_from"], first["valid_to"]) == (10, date(2026, 1, 1), date(2026, 10, 16))
    assert second["team_id"] == "Platform, EU"
    assert second["match_value"] == "123456789012"
    blank = ("match_key", "team_name", "cost_center_id", "environment", "valid_from", "valid_to")
    assert [second[name] for name in blank] == [None] * 6


def test_rates_are_exact(home: Home):
    fact = read(home, "fx_rates", FX_RATES, "EUR,USD,1.083200001,,,ECB", "JPY,USD,.0067,,,", "GBP,USD,1.3000000000,,,")
    assert fact.problems == ()
    assert fact.table.column("rate").to_pylist() == [Decimal("1.083200001"), Decimal("0.0067"), Decimal("1.3")]


def test_the_version_is_the_contents_hash_and_the_text_is_kept(home: Home):
    first = read(home, "tariffs", TARIFFS, "fra1,,,0.18,")
    assert first.version_id == hashlib.sha256(first.path.read_bytes()).hexdigest()
    assert first.text == f"{TARIFFS}\nfra1,,,0.18,\n"
    assert read(home, "tariffs", TARIFFS, "fra1,,,0.19,").version_id != first.version_id
    assert set(first.table.column("_delivery_id").to_pylist()) == {first.version_id}


def test_marks_line_ends_comments_blank_lines_and_column_order_do_not_matter(home: Home):
    text = (
        "\ufeff# our tariffs\r\n\r\nusd_per_kwh, facility_id ,valid_to,valid_from\r\n"
        "  # frankfurt\r\n0.18, fra1 ,,2026-01-01\r\n"
    )
    (home.config_dir / "tariffs.csv").write_bytes(text.encode())
    fact = read_dated_fact(home, "tariffs")
    assert fact.problems == ()
    (row,) = fact.table.to_pylist()
    assert (row["facility_id"], row["usd_per_kwh"], row["source"]) == ("fra1", Decimal("0.18"), None)
    assert (row["_position"], row["_repairs"]) == (5, "trimmed_spaces")


@pytest.mark.parametrize(
    ("name", "header", "line", "expected"),
    [
        ("owners", OWNERS, "r,tagg,team,x,t,,,,1,,", "2: match_on: found 'tagg'; allowed: tag, namespace"),
        ("owners", OWNERS, "r,TAG,team,x,t,,,,1,,", "did you mean tag?"),
        ("owners", OWNERS, "r,tag,,x,t,,,,1,,", "2: match_key: the key of the tag is required"),
        ("owners", OWNERS, "r,account,team,x,t,,,,1,,", "2: match_key: found 'team'; allowed: blank where match_on"),
        ("owners", OWNERS, "r,account,,x,t,,,,1.5,,", "2: priority: found '1.5'; allowed: a whole number"),
        ("owners", OWNERS, "r,account,,x,t,,,,,,", "2: priority: a value is required"),
        ("owners", OWNERS, "r,account,,x,,,,,1,,", "2: team_id: a value is required"),
        ("owners", OWNERS, "r,account,,x,Unallocated,,,,1,,", "2: team_id: found 'Unallocated'; allowed: a team, or"),
        ("owners", OWNERS, "r,account,,x,Shared,,,,1,,", "2: team_id: found 'Shared'; allowed: a team, or shared;"),
        ("owners", OWNERS, "r,account,,x,t,,,,1,2026-02-30,", "2: valid_from: found '2026-02-30'; allowed: a day of"),
        ("owners", OWNERS, "r,account,,x,t,,,,1,20260101,", "2: valid_from: found '20260101'; allowed: a day of"),
        ("owners", OWNERS, "r,account,,x,t,,,,1,01/02/2026,", "YYYY-MM-DD"),
        ("owners", OWNERS, "r,account,,x,t,,,,1,2026-02-01,2026-02-01", "2: valid_to: found '2026-02-01'; allowed: a"),
        ("owners", OWNERS, "r,account,,x,t,,,,1,", "2: found '10 values'; 11 values, as the header says"),
        ("owners", OWNERS, 'r,account,,"x,t,,,,1,,', "2: found 'r,account,,\"x,t,,,,1,,'; not CSV"),
        ("owners", OWNERS, "r,account,,x\x00,t,,,,1,,", "2: found \"'\\\\x00'\"; no control characters"),
        ("tariffs", TARIFFS, "fra1,,,0.1.8,", "2: usd_per_kwh: found '0.1.8'; allowed: a plain decimal number"),
        ("tariffs", TARIFFS, "fra1,,,1e-1,", "allowed: a plain decimal number"),
        ("tariffs", TARIFFS, "fra1,,,nan,", "allowed: a plain decimal number"),
        ("tariffs", TARIFFS, 'fra1,,,"0,18",', "allowed: a plain decimal number"),
        ("tariffs", TARIFFS, "fra1,,,-0.1,", "2: usd_per_kwh: found '-0.1'; allowed: 0 or more"),
        ("tariffs", TARIFFS, "fra1,,,0.1234567891,", "at most 9 decimal places"),
        ("tariffs", TARIFFS, "fra1,,,1000000000,", "less than 10^9"),
        ("tariffs", TARIFFS, f"fra1,,,{'9' * 5000},", "less than 10^9"),
        ("facilities", FACILITIES, "fra1,gpu-%,0.9,measured,,,", "2: pue: found '0.9'; allowed: 1 or more"),
        ("facilities", FACILITIES, "fra1,gpu-%,1.2,metered,,,", "2: power_source: found 'metered'; allowed: measured"),
        (
            *("facilities", FACILITIES, "fra1,gpu-%,1.2,invoice,,,"),
            "2: power_invoice_account_id: the account that the power invoice is charged to is required",
        ),
        (
            *("facilities", f"{FACILITIES},power_invoice_account_id", "fra1,gpu-%,1.2,measured,,,,power-1"),
            "2: power_invoice_account_id: found 'power-1'; allowed: blank where power_source is measured",
        ),
        (
            *("owned_hardware", OWNED_HARDWARE, "a,n,fra1,,8,100,100.5,2026-01-15,36,0,0,0,,"),
            "2: residual_usd: found '100.5'; allowed: no more than purchase_cost_usd, 100",
        ),
        (
            *("owned_hardware", OWNED_HARDWARE, "a,n,fra1,,8,100,0,2026-01-15,0,0,0,0,,"),
            "2: useful_life_months: found '0'; allowed: 1 or more",
        ),
        (
            *("owned_hardware", OWNED_HARDWARE, "a,n,fra1,,8,100,0,2026-01-15,1201,0,0,0,,"),
            "2: useful_life_months: found '1201'; allowed: 1200 or less",
        ),
        ("owned_hardware", OWNED_HARDWARE, "a,n,fra1,,-8,9,0,2026-01-15,36,0,0,0,,", "2: gpu_count: found '-8'"),
        ("adjustments", ADJUSTMENTS, "j,adjustment,2026-10-01,web,0,,cfo", "2: reason: a value is required"),
        ("adjustments", ADJUSTMENTS, "j,adjustment,2026-10-01,web,0,wrong queue,", "2: approver: a value is required"),
        ("adjustments", ADJUSTMENTS, "j,gift,2026-10-01,web,0,x,cfo", "allowed: adjustment, dispute"),
        ("adjustments", ADJUSTMENTS, "j,dispute,2026-10-01,Shared,0,x,cfo", "2: team_id: found 'Shared'; allowed: a"),
        ("fx_rates", FX_RATES, "eur,USD,1.1,,,", "2: currency_code: found 'eur'; allowed: three capitals"),
        ("fx_rates", FX_RATES, "USD,USD,1,,,", "2: to_currency_code: found 'USD'; allowed: another currency"),
        ("fx_rates", FX_RATES, "EUR,USD,0,,,", "2: rate: found '0'; allowed: 0.000000001 or more"),
        ("price_overrides", PRICE_OVERRIDES, "openai,m,inputs,1,,,", "allowed: input, cache_read"),
        ("recipients", RECIPIENTS, "search,nobody,,", "2: email: found 'nobody'; allowed: one address"),
        ("recipients", RECIPIENTS, '"search","a@b.example, c@d.example",,', "allowed: one address"),
    ],
)
def test_a_wrong_value_is_named_with_line_field_found_and_allowed(
    home: Home, name: str, header: str, line: str, expected: str
):
    assert expected in read_problem(home, name, header, line)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (TARIFFS.replace("usd_per_kwh", "usd_per_kWh,usd_per_kwh"), "did you mean usd_per_kwh?"),
        (TARIFFS.replace(",valid_to", ""), "1: valid_to: this column is required"),
        (f"{TARIFFS},valid_to", "1: valid_to: found 'valid_to'; a column is named once"),
        (TARIFFS.replace(",", ";"), "save the file with commas"),
        ("# only a comment", "1: no header; the first line names the columns: facility_id,"),
        ("", "1: no header"),
    ],
)
def test_a_wrong_header_is_one_problem_and_no_row_is_judged_by_it(home: Home, header: str, expected: str):
    lines = [header] if not header or header.startswith("#") else [header, "not,judged"]
    assert expected in read_problem(home, "tariffs", *lines)


def test_a_file_that_is_not_utf8_is_refused_at_its_line(home: Home):
    (home.config_dir / "tariffs.csv").write_bytes(f"{TARIFFS}\nfra1,,,0.18,M\xfcller\n".encode("latin-1"))
    fact = read_dated_fact(home, "tariffs")
    assert [(problem.position, problem.found) for problem in fact.problems] == [(2, "b'\\xfc'")]


def test_every_problem_of_a_file_is_named_and_nothing_of_it_is_landed(home: Home):
    fact = read(
        home,
        "tariffs",
        TARIFFS,
        "fra1,2026-01-01,2026-07-01,0.18,",
        "fra1,2026-06-30,,0.19,",
        "ams1,today,,free,",
        ",,,0.2,",
    )
    assert [(problem.position, problem.field) for problem in fact.problems] == [
        (4, "valid_from"),
        (4, "usd_per_kwh"),
        (5, "facility_id"),
        (3, "valid_from"),
    ]
    assert "line 2 holds from 2026-01-01 to 2026-07-01" in fact.problems[3].reason
    assert fact.table.num_rows == 0
    assert fact.text.startswith(TARIFFS)


@pytest.mark.parametrize(
    ("name", "header", "one", "other"),
    [
        ("tariffs", TARIFFS, "fra1,{},0.1,", "fra1,{},0.2,"),
        ("facilities", FACILITIES, "fra1,gpu-%,1.2,measured,{},", "ams1,gpu-%,1.3,included,{},"),
        ("owned_hardware", OWNED_HARDWARE, *["a,n,fra1,,8,100,0,2026-01-01,36,0,0,0,{}"] * 2),
        ("fx_rates", FX_RATES, "EUR,USD,1.1,{},", "EUR,USD,1.2,{},"),
        ("price_overrides", PRICE_OVERRIDES, "openai,m,input,1,{},", "openai,m,input,2,{},"),
        ("recipients", RECIPIENTS, "search,a@b.example,{}", "search,a@b.example,{}"),
        ("owners", OWNERS, "r,account,,x,t,,,,1,{}", "r,account,,y,u,,,,1,{}"),
    ],
)
def test_one_key_holds_once_a_day_and_may_follow_itself(home: Home, name: str, header: str, one: str, other: str):
    first, second = "2026-01-01,2026-02-01", "2026-02-01,"
    assert read(home, name, header, one.format(first), other.format(second)).problems == ()
    assert read(home, name, header, one.format(second), other.format(first)).problems == ()
    overlap = read_problem(home, name, header, one.format(first), other.format("2026-01-31,"))
    assert overlap.startswith("3: valid_from: found 'from 2026-01-31 to ever'; allowed: one row at a time")
    assert read_problem(home, name, header, one.format(","), other.format(second)).startswith("3: ")


def test_an_adjustment_that_does_not_sum_to_zero_is_refused_with_its_numbers(home: Home):
    rows = ("j1,dispute,2026-10-05,web,{},double billed,cfo", "j1,dispute,2026-10-05,search,{},double billed,cfo")
    assert read(home, "adjustments", ADJUSTMENTS, rows[0].format("-12.5"), rows[1].format("12.5")).problems == ()
    assert read_problem(home, "adjustments", ADJUSTMENTS, rows[0].format("-12.5"), rows[1].format("12.4")) == (
        "3: amount_usd: found '-12.5 +12.4 = -0.1'; allowed: the rows of j1 add up to 0"
    )
    other_day = rows[1].format("12.5").replace("10-05", "10-06")
    assert "3: usage_date: found '2026-10-06'; allowed: 2026-10-05, as line 2 says of j1" in read_problem(
        home, "adjustments", ADJUSTMENTS, rows[0].format("-12.5"), other_day
    )


def test_an_asset_has_one_purchase_whatever_its_monthly_costs(home: Home):
    row = "a,n,fra1,,8,{},0,2026-01-01,36,{},0,0,{}"
    first = row.format(100, 5, ",2026-06-01")
    assert read(home, "owned_hardware", OWNED_HARDWARE, first, row.format(100, 6, "2026-06-01,")).problems == ()
    assert "3: purchase_cost_usd: found '90'; allowed: 100, as line 2 says of a" in read_problem(
        home, "owned_hardware", OWNED_HARDWARE, first, row.format(90, 6, "2026-06-01,")
    )


def test_different_owner_rules_may_speak_for_the_same_thing(home: Home):
    fact = read(home, "owners", OWNERS, "r1,account,,x,t,,,,1,,", "r2,account,,x,u,,,,2,,")
    assert fact.problems == ()


def test_a_rule_may_say_that_something_serves_everyone(home: Home):
    fact = read(home, "owners", OWNERS, "r1,namespace,,kube-system,shared,Shared,,,1,,")
    assert fact.problems == ()


def test_a_workload_serves_one_pool_at_a_time_and_a_batch_holds_a_request(home: Home):
    line = "p,prod,ml,vllm,llama,24.5,2026-01-01,"
    assert read(home, "serving_pools", SERVING_POOLS, line).table.column("mean_running_batch").to_pylist() == [
        Decimal("24.5")
    ]
    twice = read_problem(home, "serving_pools", SERVING_POOLS, line, "q,prod,ml,vllm,qwen,,2026-05-01,")
    assert "allowed: one row at a time for prod ml vllm" in twice
    assert "mean_running_batch: found '0.5'; allowed: 1 or more" in read_problem(
        home, "serving_pools", SERVING_POOLS, "p,prod,ml,vllm,llama,0.5,2026-01-01,"
    )


def test_a_quota_is_of_a_team_and_one_at_a_time(home: Home):
    line = "prod,H100 SXM,search,16,2026-01-01,,ClusterQueue search"
    assert read(home, "quotas", QUOTAS, line, "prod,*,search,4,,,").problems == ()
    twice = read_problem(home, "quotas", QUOTAS, line, "prod,H100 SXM,search,8,2026-05-01,,")
    assert "allowed: one row at a time for prod H100 SXM search" in twice
    assert "nominal_quota_gpu_count: found '-1'; allowed: 0 or more" in read_problem(
        home, "quotas", QUOTAS, "prod,*,search,-1,,,"
    )
    assert "team_id: found 'Unallocated'; allowed: a team; unallocated, shared" in read_problem(
        home, "quotas", QUOTAS, "prod,*,Unallocated,1,,,"
    )


def test_policies_are_rows_of_key_and_text(home: Home):
    home.policies_path.write_text("gpu_idle_activity_share: 0.10\n")
    fact = read_dated_fact(home, "policies")
    assert fact.problems == ()
    rows = dict(zip(*(fact.table.column(name).to_pylist() for name in ("policy_key", "policy_value")), strict=True))
    assert rows["gpu_idle_activity_share"] == "0.1"
    assert rows["unpriced_exposure_usd_per_mtok.output"] == "15"
    assert fact.table.schema == DATED_FACTS["policies"].schema


def test_wrong_policies_are_refused_whole(home: Home):
    home.policies_path.write_text("gpu_idle_activity_share: 2\ngpu_sample_gap: 1\n")
    fact = read_dated_fact(home, "policies")
    assert fact.table.num_rows == 0
    assert len(fact.problems) == 2
    assert "policies.yml: gpu_idle_activity_share (line 1): found 2" in str(fact.problems[0])


START = date(2026, 1, 1)
DAYS = st.integers(0, 12)


@st.composite
def draw_validities(draw: st.DrawFn) -> list[Validity]:
    validities = []
    for line in range(draw(st.integers(0, 6))):
        first, length = draw(DAYS), draw(st.integers(1, 5))
        valid_from = None if draw(st.booleans()) and first == 0 else START + timedelta(days=first)
        valid_to = None if draw(st.integers(0, 5)) == 0 else START + timedelta(days=first + length)
        validities.append(Validity(valid_from, valid_to, line))
    return validities


def list_days(validity: Validity) -> set[int]:
    """Days from one before all that are drawn to one after, so that an open end is seen."""
    days = range(-1, 20)
    return {
        day
        for day in days
        if (validity.valid_from is None or START + timedelta(days=day) >= validity.valid_from)
        and (validity.valid_to is None or START + timedelta(days=day) < validity.valid_to)
    }


@given(draw_validities())
def test_overlaps_are_those_found_by_counting_days(validities: list[Validity]):
    found = list(find_overlaps(validities))
    assert all(list_days(one) & list_days(other) for one, other in found)
    ordered = sorted(validities, key=lambda item: (item.valid_from or date.min, item.line))
    expected = [
        later
        for position, later in enumerate(ordered)
        if any(list_days(earlier) & list_days(later) for earlier in ordered[:position])
    ]
    assert [other for _, other in found] == expected


@given(draw_validities())
def test_gaps_are_the_days_on_which_no_row_holds(validities: list[Validity]):
    gaps = [Validity(valid_from, valid_to, 0) for valid_from, valid_to in find_gaps(validities)]
    held = set().union(*(list_days(validity) for validity in validities))
    free = [list_days(gap) for gap in gaps]
    assert sorted(day for days in free for day in days) == sorted(set(range(-1, 20)) - held)
    assert all(free)
