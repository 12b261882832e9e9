"""Cost and Usage Reports of every layout become the same typed rows, or say what is wrong with them."""

import json
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.billing.aws_cur import AwsCur
from ingest.source import ObjectRefusedError
from tests.ingest.aws_reports import legacy_line, line, packed, report
from tests.ingest.conftest import ReadObject

SETS = {
    "aws_cur_legacy_anonymised/aws_cur_rows_first_half.csv.gz": 640,
    "aws_cur_legacy_koku/test_cur.csv": 19,
    "nise_aws_cur/aws_cur_2026-05.csv.gz": 4656,
    "nise_aws_cur/aws_cur_2026-06_empty.csv.gz": 0,
}


def told(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """What rows say of the charge, without where they stood."""
    return [
        {name: value for name, value in row.items() if value is not None and not name.startswith("_")} for row in rows
    ]


@pytest.mark.parametrize("name", SETS)
def test_a_real_report_lands_whole_with_the_sums_of_its_file(name: str, shared_data: Path, read_object: ReadObject):
    result = read_object(AwsCur(), shared_data / name)
    assert (result.row_count, result.refused) == (SETS[name], [])
    (expected,) = duckdb.execute(
        """select sum(try_cast("lineItem/UnblendedCost" as decimal(38, 18))),
            sum(try_cast("pricing/publicOnDemandCost" as decimal(38, 18))), count(distinct "lineItem/ProductCode")
        from read_csv(?, all_varchar = true, null_padding = true, nullstr = '')""",
        [str(shared_data / name)],
    ).fetchall()
    found = (
        sum((row["line_item_unblended_cost"] for row in result.rows), Decimal(0)),
        sum((row["pricing_public_on_demand_cost"] or 0 for row in result.rows), Decimal(0)),
        len({row["line_item_product_code"] for row in result.rows}),
    )
    assert found == tuple(value or 0 for value in expected)


def test_every_layout_of_one_line_is_the_same_row(tmp_path: Path, read_object: ReadObject):
    expected = told(read_object(AwsCur(), report(line())).rows)
    assert expected[0]["resource_tags"] == '{"team":"research"}'
    assert told(read_object(AwsCur(), report(legacy_line())).rows) == expected
    assert told(read_object(AwsCur(), packed(report(line()))).rows) == expected
    columns = {name: pa.array([value]) for name, value in line().items()}
    columns["line_item_unblended_cost"] = pa.array([55.04], pa.float64())
    columns["line_item_usage_start_date"] = pa.array([1_788_220_800_000], pa.timestamp("ms"))
    tags = pa.array([[("user_team", "research")]], pa.map_(pa.string(), pa.string()))
    for spread in (False, True):
        layout = dict(columns)
        layout.pop("resource_tags")
        layout |= {"resource_tags_user_team": pa.array(["research"])} if spread else {"resource_tags": tags}
        pq.write_table(pa.table(layout), tmp_path / "part.parquet")
        assert told(read_object(AwsCur(), tmp_path / "part.parquet").rows) == expected


def test_a_tags_text_is_never_taken_for_its_key(read_object: ReadObject):
    tags = {"user_note": 'he said "user_team": x', "aws_eks_namespace": "ml", "user:app": "a"}
    (row,) = read_object(AwsCur(), report(line(resource_tags=json.dumps(tags)))).rows
    assert json.loads(row["resource_tags"]) == {
        "note": 'he said "user_team": x',
        "aws_eks_namespace": "ml",
        "app": "a",
    }


def test_an_empty_tag_is_no_tag_and_other_columns_are_kept(read_object: ReadObject):
    lines = [legacy_line(), legacy_line(**{"resourceTags/user:app": "", "product/vcpu": "192"})]
    lines[1]["resourceTags/user:team"] = ""
    first, second = read_object(AwsCur(), report(*lines)).rows
    assert (first["resource_tags"], second["resource_tags"]) == ('{"team":"research"}', None)
    assert second["_extra"] == '{"product/vcpu":"192"}'


def test_split_rows_keep_node_and_shares(read_object: ReadObject):
    pod = line(
        line_item_operation="EKSPod-EC2",
        line_item_usage_type="USE1-EKS-EC2-Accelerator-Hours",
        line_item_unblended_cost="0",
        split_line_item_parent_resource_id="i-0abc",
        split_line_item_split_cost="40.5",
        split_line_item_unused_cost="1.5",
        split_line_item_split_usage_ratio="n/a",
    )
    (row,) = read_object(AwsCur(), report(pod)).rows
    assert row["split_line_item_parent_resource_id"] == "i-0abc"
    assert (row["split_line_item_split_cost"], row["split_line_item_unused_cost"]) == (Decimal("40.5"), Decimal("1.5"))
    assert row["split_line_item_split_usage_ratio"] is None
    assert row["_repairs"] == "unreadable:split_line_item_split_usage_ratio"


@pytest.mark.parametrize(
    ("columns", "repair"),
    [
        ({"line_item_line_item_type": "Surprise"}, "unknown_line_item_type"),
        ({"pricing_public_on_demand_cost": "convertible"}, "unreadable:pricing_public_on_demand_cost"),
        ({"line_item_line_item_type": "DiscountedUsage"}, "reservation_cost_as_billed"),
        ({"line_item_line_item_type": "RIFee"}, "reservation_cost_as_billed"),
        ({"line_item_line_item_type": "SavingsPlanRecurringFee"}, "unused_commitment_derived"),
    ],
)
def test_what_a_line_does_not_say_is_told(columns: dict[str, str], repair: str, read_object: ReadObject):
    (row,) = read_object(AwsCur(), report(line(**columns))).rows
    assert row["_repairs"] == repair


@pytest.mark.parametrize(
    ("columns", "field", "reason"),
    [
        ({"line_item_unblended_cost": "convertible"}, "line_item_unblended_cost", "not an amount"),
        ({"line_item_unblended_cost": ""}, "line_item_unblended_cost", "this column is required"),
        ({"line_item_unblended_cost": "None"}, "line_item_unblended_cost", "this column is required"),
        ({"line_item_usage_end_date": "2026-08-01T00:00:00Z"}, "line_item_usage_end_date", "ends before"),
        ({"line_item_usage_start_date": "yesterday"}, "line_item_usage_start_date", "not an instant"),
        ({"line_item_currency_code": "dollars"}, "line_item_currency_code", "not a currency code"),
        (
            {"line_item_line_item_type": "SavingsPlanCoveredUsage"},
            "savings_plan_savings_plan_effective_cost",
            "add savings_plan_savings_plan_effective_cost to the export",
        ),
    ],
)
def test_a_line_whose_money_or_time_is_not_known_is_refused(
    columns: dict[str, str], field: str, reason: str, read_object: ReadObject
):
    result = read_object(AwsCur(), report(line(), line(**columns)))
    ((position, found_field, found_reason, _),) = result.refused
    assert (position, found_field, result.row_count) == (3, field, 1)
    assert reason in found_reason


def test_a_line_of_one_instant_lands(read_object: ReadObject):
    at = line()["line_item_usage_start_date"]
    assert read_object(AwsCur(), report(line(line_item_usage_end_date=at))).row_count == 1


def test_columns_that_no_row_fills_may_stand_behind_a_header(read_object: ReadObject):
    header, row = report(line()).splitlines()
    (found,) = read_object(AwsCur(), f"{header},costCategory/Team\n{row}\n").rows
    assert found["_repairs"] == "rows_shorter_than_header"
    assert found["line_item_unblended_cost"] == Decimal("55.04")


def test_a_row_cut_before_its_money_is_refused(read_object: ReadObject):
    lines = report(line(), line()).splitlines()
    names = lines[0].split(",")
    cut = ",".join(lines[1].split(",")[: names.index("line_item_unblended_cost")])
    assert read_object(AwsCur(), f"{lines[0]}\n{cut}\n{lines[2]}\n").refused
    # One row that is cut among whole ones is a broken file, whatever it lacks.
    assert read_object(AwsCur(), f"{lines[0]},product/vcpu\n{lines[1]}\n{lines[2]},96\n").refused


def test_a_report_that_lost_a_required_column_is_refused_by_name(read_object: ReadObject):
    row = line()
    del row["line_item_unblended_cost"]
    with pytest.raises(ObjectRefusedError, match="missing required column line_item_unblended_cost"):
        read_object(AwsCur(), report(row))


def test_a_column_that_changed_its_type_to_one_that_is_no_amount_is_refused(tmp_path: Path, read_object: ReadObject):
    columns = {name: pa.array([value]) for name, value in line().items()}
    columns["line_item_unblended_cost"] = pa.array([[1.0]])
    pq.write_table(pa.table(columns), tmp_path / "part.parquet")
    with pytest.raises(ObjectRefusedError, match=r"line_item_unblended_cost has type DOUBLE\[\]"):
        read_object(AwsCur(), tmp_path / "part.parquet")
