"""The list `allocation` of policies.yml: who pays for what nobody owns alone, by what key, and from when on.

Each entry speaks for one subject and one pool of it (`*` for all) on the days [valid_from, valid_to). Where none
speaks, the first method of `METHODS` holds: the defaults are here and nowhere else, and they land as rows.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
    ValidationInfo,
    field_validator,
)

from ingest.validity import Validity, find_gaps
from ingest.wording import list_names

ALL_POOLS: Final = "*"
NAMED_OWNERS: Final = ("unallocated", "shared", "untagged", "unknown")
"""Where dollars without an owner stand; a policy moves them from there, never to there."""

_SHARED_METHODS: Final = ("central", "holders", "even", "weights", "recipient")
METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "idle": ("platform", "holders", "even", "weights"),
    "unused_quota": ("as_idle", "holder"),
    "shared": _SHARED_METHODS,
    "tax": ("follow_invoice", *_SHARED_METHODS),
    "credit": _SHARED_METHODS,
    "support": _SHARED_METHODS,
    "commitment_benefit": ("pool_rate", "as_applied", "central"),
    "commitment_purchase": _SHARED_METHODS,
    "unused_commitment": ("buyer", *_SHARED_METHODS),
    "node_rate": ("residual", "gpu_all", "weights", "fixed"),
    "mig_basis": ("compute", "memory", "blend"),
    "charge_mode": ("showback", "chargeback"),
}
"""The methods of each subject, its default first."""

ALLOCATION_TEMPLATE: Final = """\
#
# allocation:  # who pays for what nobody owns alone
#   # An entry holds from valid_from to the day before valid_to (left out: open), for one pool (left out: all). Where
#   # none speaks, the first method of a subject holds.
#   # idle (pool: a cluster): platform | holders, scope node, cluster or quota (with weights) | even | weights
#   # unused_quota (a cluster): as_idle | holder: idle GPUs of quotas.csv go to the team they are kept for, before idle
#   # tax (a provider): follow_invoice | central | holders, scope account, provider or all | even | weights | recipient
#   # shared (a cost pool or cluster), credit, support, commitment_purchase (a provider): as tax, without follow_invoice
#   # unused_commitment (a provider): buyer, else as those
#   # commitment_benefit (a provider): pool_rate | as_applied | central
#   # node_rate (a cluster): residual | gpu_all | weights | fixed, both with weights of gpu, cpu and ram
#   # mig_basis (a cluster): compute | memory | blend, with weights of compute and memory
#   # charge_mode (a team): showback | chargeback
#   - {subject: idle, pool: prod, method: holders, scope: node, valid_from: 2026-10-01}
#   - {subject: shared, pool: prod, method: weights, weights: {search: 3, vision: 1}}
#   - {subject: tax, pool: AWS, method: recipient, recipient: finance, share: 0.19, valid_from: 2026-10-01}
#   - {subject: node_rate, method: weights, weights: {gpu: 9, cpu: 0.9, ram: 0.1}}
#   - {subject: charge_mode, pool: search, method: chargeback, valid_from: 2027-01-01}
"""
"""What a new home's policies.yml says of it."""

_IDLE_SCOPES: Final = ("node", "cluster", "quota")
_CHARGE_SCOPES: Final = ("account", "provider", "all")
_RESOURCE_WEIGHTS: Final = ("gpu", "cpu", "ram")
_MIG_WEIGHTS: Final = ("compute", "memory")
_WHOLE_DAY_PATTERN: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_LARGEST_WEIGHT: Final = 10**9  # times nano-dollars fits the widest integer of the splits


def _check_subject(subject: str) -> str:
    if subject not in METHODS:
        raise ValueError(list_names(subject, METHODS))
    return subject


def _check_text(text: str) -> str:
    if not text.strip() or text != text.strip():
        raise ValueError("a text that is not empty, without spaces around it")
    return text


def _parse_day(value: Any) -> Any:
    if value is None or isinstance(value, date):
        return value
    try:
        if isinstance(value, str) and _WHOLE_DAY_PATTERN.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:  # 2026-02-30
        pass
    raise ValueError("a day of the calendar as YYYY-MM-DD")


_Text = Annotated[StrictStr, AfterValidator(_check_text)]
_Day = Annotated[date | None, BeforeValidator(_parse_day)]


class AllocationPolicy(BaseModel):
    """One entry. Fields are checked in this order, each against those before it."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    subject: Annotated[StrictStr, AfterValidator(_check_subject)]
    pool: _Text = ALL_POOLS
    method: StrictStr
    scope: StrictStr | None = None
    weights: dict[StrictStr, Any] | None = None
    recipient: _Text | None = None
    share: Annotated[Decimal, Field(max_digits=18, decimal_places=9, gt=0, le=1)] | None = None
    valid_from: _Day = None
    valid_to: _Day = None

    @field_validator("method")
    @classmethod
    def _check_method(cls, method: str, info: ValidationInfo) -> str:
        allowed = METHODS.get(info.data.get("subject", ""))
        if allowed is not None and method not in allowed:
            raise ValueError(f"for {info.data['subject']}: {list_names(method, allowed)}")
        return method

    @field_validator("scope")
    @classmethod
    def _check_scope(cls, scope: str | None, info: ValidationInfo) -> str | None:
        subject, method = info.data.get("subject"), info.data.get("method")
        if subject is None or method is None:
            return scope
        allowed = () if method != "holders" else _IDLE_SCOPES if subject == "idle" else _CHARGE_SCOPES
        if not allowed and scope is not None:
            raise ValueError(f"none; {method} has no scope")
        if allowed and scope not in allowed:
            raise ValueError(f"for {subject} by {method}: {list_names(scope or '', allowed)}")
        return scope

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, weights: dict[str, Any] | None, info: ValidationInfo) -> dict[str, Any] | None:
        subject, method = info.data.get("subject"), info.data.get("method")
        if subject is None or method is None or "scope" not in info.data:
            return weights
        if subject == "node_rate" and method in ("weights", "fixed"):
            return _check_parts(weights, _RESOURCE_WEIGHTS, whole=False)
        if subject == "mig_basis" and method == "blend":
            return _check_parts(weights, _MIG_WEIGHTS, whole=True)
        if method == "weights" or info.data["scope"] == "quota":
            return _check_team_weights(weights)
        if weights is not None:
            raise ValueError(f"none; {method} has no weights")
        return weights

    @field_validator("recipient")
    @classmethod
    def _check_recipient(cls, recipient: str | None, info: ValidationInfo) -> str | None:
        method = info.data.get("method")
        if method == "recipient" and recipient is None:
            raise ValueError("the team that pays; the method recipient names one")
        if method is not None and method != "recipient" and recipient is not None:
            raise ValueError(f"none; {method} names no recipient")
        if recipient is not None:
            _check_teams((recipient,))
        return recipient

    @field_validator("share")
    @classmethod
    def _check_share(cls, share: Decimal | None, info: ValidationInfo) -> Decimal | None:
        if share is not None and info.data.get("method") not in (None, "recipient"):
            raise ValueError("none; a share is what the method recipient gives to its recipient")
        return share

    @field_validator("valid_to")
    @classmethod
    def _check_valid_to(cls, valid_to: date | None, info: ValidationInfo) -> date | None:
        valid_from = info.data.get("valid_from")
        if valid_from is not None and valid_to is not None and valid_from >= valid_to:
            raise ValueError(f"a day after valid_from, {valid_from}")
        return valid_to

    @property
    def policy_id(self) -> str:
        """Names the entry in the ledger: subject, pool, method and first day."""
        return f"{self.subject}/{self.pool}/{self.method}/{self.valid_from or 'ever'}"

    def to_rows(self) -> list[dict[str, Any]]:
        """The entry as rows of `config_allocation_policies`: one, or one for each team that it names."""
        row: dict[str, Any] = {
            "policy_id": self.policy_id,
            "subject": self.subject,
            "pool": self.pool,
            "method": self.method,
            "scope": self.scope,
            "valid_from": self.valid_from,
            "valid_to": self.valid_to,
        }
        weights = self.weights or {}
        if self.subject in ("node_rate", "mig_basis"):
            return [row | {f"{part}_weight": weight for part, weight in weights.items()}]
        if weights:
            return [row | {"recipient_team_id": team, "weight": weight} for team, weight in sorted(weights.items())]
        if self.recipient is not None:
            share = Decimal(1) if self.share is None else self.share
            return [row | {"recipient_team_id": self.recipient, "weight": 1, "recipient_share": share}]
        return [row]


def list_default_rows(policies: Sequence[AllocationPolicy]) -> list[dict[str, Any]]:
    """Each subject's default, on the days on which no entry speaks for all its pools."""
    rows: list[dict[str, Any]] = []
    for subject, methods in METHODS.items():
        spoken = [
            Validity(policy.valid_from, policy.valid_to, line)
            for line, policy in enumerate(policies)
            if policy.subject == subject and policy.pool == ALL_POOLS
        ]
        for valid_from, valid_to in find_gaps(spoken):
            policy = AllocationPolicy(subject=subject, method=methods[0], valid_from=valid_from, valid_to=valid_to)
            rows += [row | {"policy_id": f"default/{subject}"} for row in policy.to_rows()]
    return rows


def _check_parts(weights: dict[str, Any] | None, parts: Sequence[str], *, whole: bool) -> dict[str, Any]:
    """Weights of the parts of a machine, such as gpu, cpu and ram."""
    example = "{" + ", ".join(f"{part}: 1" for part in parts) + "}"
    if weights is None or set(weights) != set(parts):
        raise ValueError(f"a weight each of {', '.join(parts)}, such as {example}")
    for part, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int if whole else int | Decimal):
            raise ValueError(f"{'whole numbers' if whole else 'numbers'}; {part} is {weight!r}")
        number = Decimal(weight)
        if not number.is_finite() or number != round(number, 9) or not 0 <= number < _LARGEST_WEIGHT:
            raise ValueError(f"0 or more, at most 9 decimal places, less than 10^9; {part} is {weight}")
    if not any(weights.values()):
        raise ValueError("one weight above 0 at least")
    return weights


def _check_team_weights(weights: dict[str, Any] | None) -> dict[str, Any]:
    if not weights:
        raise ValueError("the teams that pay with a whole number each, such as {search: 3, vision: 1}")
    _check_teams(tuple(weights))
    for team, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int) or not 0 <= weight <= _LARGEST_WEIGHT:
            raise ValueError(f"a whole number from 0 to 10^9 each; {team} has {weight}")
    if not any(weights.values()):
        raise ValueError("one weight above 0 at least")
    return weights


def _check_teams(teams: Sequence[str]) -> None:
    for team in teams:
        if team.lower() in NAMED_OWNERS or not team.strip() or team != team.strip():
            raise ValueError(f"teams; {', '.join(NAMED_OWNERS)} are where dollars stand that have none")
