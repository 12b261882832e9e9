"""HOME/config of the synthetic company: sources, policies, and the dated facts as CSV."""

import csv
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from demo.clouds import EUR_TO_USD
from demo.fleet import Fleet
from demo.models import CONTRACT_MODEL, CONTRACT_SHARE, MODELS
from demo.plan import Plan, midnight, next_month, stamp_file
from demo.teams import (
    AZURE_SUBSCRIPTION,
    CONSUMERS,
    DATA_ACCOUNT,
    NEW_NAME,
    OLD_NAME,
    OPENAI_DIRECT_PROJECT,
    TEAMS,
    UNKNOWN_TEAM,
)

SOURCES: Final = """\
# Where this company's files are. Locations are relative to the home.
reporting_currency: USD
sources:
  - {name: aws-focus, kind: focus, location: "exports/aws/*/*.csv.gz"}
  - {name: azure-focus, kind: focus, location: "exports/azure/*/*.csv.gz"}
  - {name: coreweave-focus, kind: focus, location: "exports/coreweave/*/*.parquet"}
  - {name: openai-focus, kind: focus, location: "exports/openai/*/*.csv"}
  - {name: anthropic-focus, kind: focus, location: "exports/anthropic/*/*.csv"}
  - {name: openai-admin, kind: provider_costs, location: "exports/openai-admin/*.json"}
  - {name: opencost, kind: opencost_allocation, location: "telemetry/opencost/*.json"}
  - {name: dcgm, kind: dcgm_prometheus, location: "telemetry/dcgm/*/*.json.gz"}
  - {name: gateway-a, kind: litellm, location: "logs/gateway-a/*.jsonl.gz"}
  - {name: gateway-b, kind: litellm, location: "logs/gateway-b/*.jsonl.gz"}
"""

POLICIES: Final = """\
# What this company decides. Every key is a default that can be left out.
unpriced_exposure_usd_per_mtok: {input: 3, output: 15}   # what unpriced tokens might cost at most
gpu_idle_activity_share: 0.05                            # a held GPU under this activity is idle
"""

Row = Sequence[object]


def write_config(plan: Plan) -> None:
    """Write every file of HOME/config."""
    folder = plan.home / "config"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("sources.yml", SOURCES), ("policies.yml", POLICIES)):
        (folder / name).write_text(text, encoding="utf-8")
        stamp_file(folder / name, plan.start_at)
    year = date(plan.start.year, 1, 1)
    for name, header, rows in (
        (
            "owners",
            "rule_id match_on match_key match_value team_id team_name cost_center_id environment priority "
            "valid_from valid_to",
            _owners(plan, year),
        ),
        ("recipients", "team_id email valid_from valid_to", _recipients(plan, year)),
        ("tariffs", "facility_id valid_from valid_to usd_per_kwh source", _tariffs(plan, year)),
        ("facilities", "facility_id hostname_pattern pue power_source valid_from valid_to source", _facilities(year)),
        (
            "owned_hardware",
            "asset_id resource_id facility_id gpu_model gpu_count purchase_cost_usd residual_usd in_service_date "
            "useful_life_months space_usd_per_month staff_usd_per_month maintenance_usd_per_month valid_from valid_to "
            "source",
            _owned_hardware(plan, year),
        ),
        (
            "adjustments",
            "adjustment_id adjustment_kind usage_date team_id amount_usd reason approver",
            _adjustments(plan),
        ),
        ("fx_rates", "currency_code to_currency_code rate valid_from valid_to source", _fx_rates(plan)),
        (
            "price_overrides",
            "provider model token_class usd_per_mtok valid_from valid_to source",
            _price_overrides(plan),
        ),
    ):
        path = folder / f"{name}.csv"
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(header.split())
            writer.writerows(rows)
        stamp_file(path, plan.start_at)


def _owners(plan: Plan, year: date) -> list[Row]:
    """Rules by tag, namespace, key, gateway team and account; Search became Discovery, Vision changed cost centre."""
    rows: list[Row] = []

    def add(match_on: str, key: str, value: str, team_id: str, environment: str = "", priority: int = 100) -> None:
        team = next(team for team in TEAMS if team.team_id == team_id)
        name = "_".join(filter(None, (match_on, key, value.rsplit("/", 1)[-1])))
        spans: list[tuple[str, str, str, date | str, date | str]] = [
            ("", team.team_name, team.cost_center_id, year, "")
        ]
        if value.startswith(OLD_NAME):  # the old label ends with the rename
            spans = [("", "Search", team.cost_center_id, year, plan.renamed_on)]
        elif value.startswith(NEW_NAME):
            spans = [("", team.team_name, team.cost_center_id, plan.renamed_on, "")]
        elif team_id == "vision":
            spans = [
                ("", team.team_name, "CC-1150", year, plan.renamed_on),
                ("_moved", team.team_name, team.cost_center_id, plan.renamed_on, ""),
            ]
        for suffix, team_name, cost_center, valid_from, valid_to in spans:
            owner = (team_id, team_name, cost_center, environment)
            rows.append((name + suffix, match_on, key, value, *owner, priority, valid_from, valid_to))

    labels = [(team.team_id, team.team_id) for team in TEAMS] + [(OLD_NAME, NEW_NAME)]
    for label, team_id in labels:
        add("tag", "team", label, team_id)
        add("tag", "litellm_team_id", label, team_id, priority=110)
        add("namespace", "", label, team_id, priority=200)
    add("namespace", "", "inference", "support-bot", "prod", priority=210)
    for consumer in CONSUMERS:
        if consumer.key_alias and consumer.team_id not in ("", NEW_NAME, UNKNOWN_TEAM):
            add("key", "", consumer.key_alias, consumer.team_id, consumer.environment)
    add("key", "", f"{OLD_NAME}-ranker", NEW_NAME, "prod")
    add("key", "", f"{NEW_NAME}-ranker", NEW_NAME, "prod")
    add("account", "", DATA_ACCOUNT, "data", priority=300)
    add("account", "", OPENAI_DIRECT_PROJECT, "research", priority=300)
    add("account", "", f"/subscriptions/{AZURE_SUBSCRIPTION}", "vision", "prod", priority=300)
    for namespace in ("kube-system", "gpu-operator"):
        rows.append(
            (f"namespace_{namespace}", "namespace", "", namespace, "shared", "Shared", "CC-9000", "", 200, year, "")
        )
    return rows


def _recipients(plan: Plan, year: date) -> list[Row]:
    rows: list[Row] = [(team.team_id, team.email, year, "") for team in TEAMS]
    rows.append(("platform", "finops@northwind-ai.example", plan.renamed_on, ""))
    return rows


def _tariffs(plan: Plan, year: date) -> list[Row]:
    return [
        ("dc1", year, plan.renamed_on, Decimal("0.1124"), "supply contract 2025"),
        ("dc1", plan.renamed_on, "", Decimal("0.1286"), "supply contract 2026"),
    ]


def _facilities(year: date) -> list[Row]:
    return [
        ("dc1", "gpu-dc1-%", Decimal("1.42"), "measured", year, "", "own meter, yearly mean"),
        ("aws-us-east-1", "ip-10-%", Decimal("1.15"), "included", year, "", "provider's sustainability page"),
        ("coreweave-us-east-04", "cw-g%", Decimal("1.3"), "included", year, "", "estimate"),
    ]


def _owned_hardware(plan: Plan, year: date) -> list[Row]:
    """The machines of the own data centre, in the middle of a life of four years."""
    costs = (4, 58_000, 5_000, date(year.year - 2, 9, 14), 48, 310, 420, 140)
    return [
        (f"srv-{node.ordinal:03d}", node.provider_id, "dc1", "L40S", *costs, "", "", "order 2481")
        for node in Fleet(plan).nodes
        if node.kind == "dc1"
    ]


def _adjustments(plan: Plan) -> list[Row]:
    reason = "a batch of Research ran in Vision's namespace"
    return [
        ("adj-1", "adjustment", plan.start, team_id, amount, reason, "finops@northwind-ai.example")
        for team_id, amount in (("vision", Decimal("-40")), ("research", Decimal(40)))
    ]


def _fx_rates(plan: Plan) -> list[Row]:
    """A rate a month, the month before the window and the one after too."""
    first = (plan.start.replace(day=1) - timedelta(days=1)).replace(day=1)
    rows: list[Row] = []
    month = first
    while midnight(month) <= plan.end_at + timedelta(days=31):
        rate = EUR_TO_USD + Decimal(len(rows) - 1) * Decimal("0.0037")
        rows.append(("EUR", "USD", rate, month, next_month(month), "monthly mean"))
        month = next_month(month)
    return rows


def _price_overrides(plan: Plan) -> list[Row]:
    model = next(model for model in MODELS if model.name == CONTRACT_MODEL)
    return [
        (
            model.gateway_provider,
            model.gateway_model,
            token_class,
            price * CONTRACT_SHARE,
            plan.renamed_on,
            "",
            "contract",
        )
        for token_class, price in (model.prices or {}).items()
    ]
