"""What each config CSV must keep to beyond the types of its columns."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from ingest.values import CURRENCY_PATTERN

_CURRENCY_PATTERN: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_TEAM_PATTERN: Final = re.compile(r"(?!(?i:unallocated|shared|untagged|unknown)$).+")
_EMAIL_PATTERN: Final = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+")


@dataclass(frozen=True)
class FactRules:
    """What a file must keep to beyond its columns' types."""

    key: tuple[str, ...]  # at most one row of these holds on a day
    optional: frozenset[str] = frozenset()  # may be blank, and the column may be left out
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    least: Mapping[str, Decimal] = field(default_factory=dict)
    most: Mapping[str, Decimal] = field(default_factory=dict)
    shapes: Mapping[str, tuple[re.Pattern[str], str]] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()  # the same in all rows of one id, the first column
    zero_sum: str | None = None  # what adds up to 0 over the rows of one id


_TEAM = (_TEAM_PATTERN, "a team; unallocated, shared, untagged and unknown are where dollars stand that have none")
_CURRENCY = (_CURRENCY_PATTERN, "three capitals of ISO 4217, such as EUR")
_BILLED_CURRENCY = (
    re.compile(CURRENCY_PATTERN, re.ASCII),
    "three capitals of ISO 4217, such as EUR, or a virtual currency as it is billed, such as Databricks DBUs",
)
FACT_RULES: Final = {
    "owners": FactRules(
        key=("rule_id",),
        optional=frozenset({"match_key", "team_name", "cost_center_id", "environment"}),
        choices={"match_on": ("tag", "namespace", "account", "key")},
    ),
    "tariffs": FactRules(key=("facility_id",), optional=frozenset({"source"}), least={"usd_per_kwh": Decimal(0)}),
    "facilities": FactRules(
        key=("hostname_pattern",),
        optional=frozenset({"source", "power_invoice_account_id"}),
        choices={"power_source": ("measured", "invoice", "included")},
        least={"pue": Decimal(1)},
    ),
    "owned_hardware": FactRules(
        key=("asset_id",),
        optional=frozenset({"source", "hostname", "gpu_model"}),
        least={
            "gpu_count": Decimal(0),
            "purchase_cost_usd": Decimal(0),
            "residual_usd": Decimal(0),
            "useful_life_months": Decimal(1),
        }
        | {f"{kind}_usd_per_month": Decimal(0) for kind in ("space", "staff", "maintenance")},
        most={"useful_life_months": Decimal(1200)},
        fixed=("in_service_date", "useful_life_months", "purchase_cost_usd", "residual_usd"),
    ),
    "adjustments": FactRules(
        key=(),
        optional=frozenset({"cost_center_id", "reference_charge"}),
        choices={"adjustment_kind": ("adjustment", "dispute")},
        fixed=("adjustment_kind", "usage_date", "reason", "approver", "reference_charge"),
        zero_sum="amount_usd",
    ),
    "fx_rates": FactRules(
        key=("currency_code", "to_currency_code"),
        optional=frozenset({"source"}),
        least={"rate": Decimal("1e-9")},
        shapes={"currency_code": _BILLED_CURRENCY, "to_currency_code": _CURRENCY},
    ),
    "price_overrides": FactRules(
        key=("provider", "model", "token_class"),
        optional=frozenset({"source"}),
        choices={
            "token_class": tuple(
                "input cache_read cache_write_5m cache_write_1h output input_audio output_audio".split()
            ),
        },
        least={"usd_per_mtok": Decimal(0)},
    ),
    "rate_cards": FactRules(
        key=("cluster", "gpu_model"), optional=frozenset({"source"}), least={"usd_per_gpu_hour": Decimal(0)}
    ),
    "quotas": FactRules(
        key=("cluster", "gpu_model", "team_id"),
        optional=frozenset({"source"}),
        shapes={"team_id": _TEAM},
        least={"nominal_quota_gpu_count": Decimal(0)},
        most={"nominal_quota_gpu_count": Decimal(1000000)},
    ),
    "serving_pools": FactRules(
        key=("cluster", "namespace", "controller"),
        optional=frozenset({"mean_running_batch"}),
        least={"mean_running_batch": Decimal(1)},
        most={"mean_running_batch": Decimal(10000)},
    ),
    "gl_accounts": FactRules(
        key=("entry_kind", "cost_pool", "team_id"),
        optional=frozenset({"account_name"}),
        choices={"entry_kind": ("expense", "central", "clearing")},
    ),
    "recipients": FactRules(
        key=("team_id", "email"), shapes={"email": (_EMAIL_PATTERN, "one address, such as leads@example.com")}
    ),
}
"""Rules by file stem in HOME/config."""
