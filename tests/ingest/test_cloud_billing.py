"""The Cloud Billing Catalog, asked with Google's own client of a gRPC server on loopback."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import grpc
import pytest
from google.cloud import billing_v1

from ingest.contracts import GPU_PRICES
from ingest.home import Home
from ingest.landing import LandingReport, land
from ingest.reference import cloud_billing
from ingest.reference.cloud_billing import split_at_pacific_month
from ingest.source import Window
from tests.ingest.grpc_server import ScriptedGrpc, fail
from tests.ingest.landed import check_counts, configure, find, query

UNITS = {"GPU": "h", "CPU": "h", "RAM": "GiBy.h", "SSD": "GiBy.mo"}


def sku(
    sku_id: str, description: str, group: str = "GPU", usage_type: str = "OnDemand", **price: Any
) -> billing_v1.Sku:
    """A SKU in two regions, with one version and tier."""
    rate = {"start_usage_amount": 0, "unit_price": {"currency_code": "USD", "units": 2, "nanos": 933_908_000} | price}
    return billing_v1.Sku(
        sku_id=sku_id,
        description=description,
        category={"resource_family": "Compute", "resource_group": group, "usage_type": usage_type},
        service_regions=["us-central1", "europe-west4"],
        pricing_info=[
            {
                "effective_time": datetime(2026, 9, 1, tzinfo=UTC),
                "pricing_expression": {"usage_unit": UNITS[group], "tiered_rates": [rate]},
            }
        ],
    )


SKUS = [
    sku("A", "Nvidia Tesla A100 GPU running in Americas"),
    sku("B", "Nvidia H100 80GB GPU attached to Spot Preemptible VMs", usage_type="Preemptible", units=1, nanos=0),
    sku("C", "Commitment v1: Nvidia L4 GPU", usage_type="Commit1Yr", units=0, nanos=353_000_000),
    sku("D", "A2 Instance Core running in Americas", "CPU", units=0, nanos=31_611_000),
    sku("E", "A2 Instance Ram running in Americas", "RAM", units=0, nanos=4_237_000),
    sku("F", "Storage PD Capacity", "SSD"),
]


def answer_page(request: billing_v1.ListSkusRequest, context: grpc.ServicerContext) -> billing_v1.ListSkusResponse:
    """In pages of four."""
    start = int(request.page_token or 0)
    following = start + 4
    return billing_v1.ListSkusResponse(
        skus=SKUS[start:following], next_page_token=str(following) if following < len(SKUS) else ""
    )


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedGrpc]:
    quick = cloud_billing.RETRY.with_delay(initial=0.01, maximum=0.02, multiplier=1).with_timeout(0.5)
    monkeypatch.setattr(cloud_billing, "RETRY", quick)
    catalog = ScriptedGrpc(
        "google.cloud.billing.v1.CloudCatalog/ListSkus",
        billing_v1.ListSkusRequest,
        billing_v1.ListSkusResponse,
        answer_page,
    )
    yield catalog
    catalog.server.stop(None)


@pytest.fixture
def land_prices(home: Home, catalog: ScriptedGrpc) -> Callable[[], LandingReport]:
    configure(
        home,
        '{name: gcp-prices, kind: gpu_prices, location: "cloudbilling://services/6F81-5844-456A", options: {'
        f'since: 2026-10-02, until: 2026-10-03, endpoint_url: "http://127.0.0.1:{catalog.port}"}}}}',
    )
    return lambda: land(home, only_sources=["gcp-prices"])


def test_gpus_cores_and_memory_land_page_by_page(home: Home, catalog: ScriptedGrpc, land_prices: Any):
    report = find(land_prices(), "gcp-prices")
    assert not report.is_stale, report.messages
    (first, second) = catalog.asked
    assert (first.parent, first.currency_code, first.page_token) == ("services/6F81-5844-456A", "USD", "")
    assert second.page_token == "4"
    times = [getattr(first, name).timestamp() for name in ("start_time", "end_time")]
    assert times == [datetime(2026, 10, day, tzinfo=UTC).timestamp() for day in (2, 3)]
    found = query(
        home, GPU_PRICES, "sku_id, priced_part, price_kind, gpu_model, usd_per_hour, count(*) group by all order by all"
    )
    assert found == [
        ("A", "gpu", "on_demand", "A100", Decimal("2.933908"), 2),
        ("B", "gpu", "spot", "H100 80GB", Decimal(1), 2),
        ("C", "gpu", "commit_1y", "L4", Decimal("0.353"), 2),
        ("D", "vcpu", "on_demand", None, Decimal("0.031611"), 2),
        ("E", "gib", "on_demand", None, Decimal("0.004237"), 2),
    ]
    assert query(home, GPU_PRICES, "distinct effective_at, usage_date") == [(datetime(2026, 9, 1), date(2026, 10, 2))]
    check_counts(home, GPU_PRICES)


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL]
)
def test_a_catalog_that_fails_for_a_moment_is_asked_again(
    code: grpc.StatusCode, home: Home, catalog: ScriptedGrpc, land_prices: Any
):
    catalog.script = [fail(code), fail(code)]
    assert not find(land_prices(), "gcp-prices").is_stale
    assert len(catalog.asked) == 4
    assert query(home, GPU_PRICES, "count(*)") == [(10,)]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "gcloud auth application-default login"),
        (grpc.StatusCode.PERMISSION_DENIED, "GOOGLE_APPLICATION_CREDENTIALS"),
        (grpc.StatusCode.NOT_FOUND, "Correct the service's id"),
        (grpc.StatusCode.UNAVAILABLE, "the next run goes on"),
    ],
)
def test_a_catalog_that_goes_on_failing_marks_its_source_stale(
    code: grpc.StatusCode, told: str, home: Home, catalog: ScriptedGrpc, land_prices: Any
):
    land_prices()
    catalog.script = [fail(code)] * 200
    configure_again = home.sources_path.read_text().replace("2026-10-03", "2026-10-05")
    home.sources_path.write_text(configure_again)
    report = find(land_prices(), "gcp-prices")
    assert report.is_stale and told in report.messages[-1]
    assert query(home, GPU_PRICES, "count(*)") == [(10,)], "what landed stands"


def test_pages_without_an_end_are_left(catalog: ScriptedGrpc, land_prices: Any):
    def repeat(request: billing_v1.ListSkusRequest, context: grpc.ServicerContext) -> billing_v1.ListSkusResponse:
        return billing_v1.ListSkusResponse(skus=SKUS[:1], next_page_token="again")

    catalog.script = [repeat] * 50
    report = find(land_prices(), "gcp-prices")
    assert report.is_stale and "its pages have no end" in report.messages[-1]
    assert len(catalog.asked) < 5


def test_a_day_that_crosses_a_pacific_month_is_asked_in_two(catalog: ScriptedGrpc):
    day = Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 2, tzinfo=UTC))
    boundary = datetime(2026, 10, 1, 7, tzinfo=UTC)
    assert split_at_pacific_month(day) == [(day.start, boundary), (boundary, day.end)]
    later = Window(day.start + timedelta(days=1), day.end + timedelta(days=1))
    assert split_at_pacific_month(later) == [(later.start, later.end)]
    assert date(2026, 10, 1) == boundary.date()


def test_only_this_machine_is_asked_without_tls(home: Home, land_prices: Any):
    home.sources_path.write_text(home.sources_path.read_text().replace("127.0.0.1", "catalog.example"))
    report = find(land_prices(), "gcp-prices")
    assert report.is_stale and "expected https" in report.messages[-1]
