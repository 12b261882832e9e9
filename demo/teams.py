"""Who works there: teams, the rename, accounts, and the keys that reach the language models."""

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Final

from demo.plan import Plan

OLD_NAME: Final = "search"
NEW_NAME: Final = "discovery"
UNKNOWN_TEAM: Final = "growth-exp"  # a label that no owner rule knows


@dataclass(frozen=True)
class Team:
    """A team as finance knows it; `team_id` never changes, names and cost centres may."""

    team_id: str
    team_name: str
    cost_center_id: str
    email: str


TEAMS: Final = (
    Team("research", "Research", "CC-1100", "research-leads@northwind-ai.example"),
    Team("discovery", "Discovery", "CC-2100", "discovery-leads@northwind-ai.example"),
    Team("platform", "Platform", "CC-3100", "platform-leads@northwind-ai.example"),
    Team("support-bot", "Support Bot", "CC-2200", "support-bot-leads@northwind-ai.example"),
    Team("vision", "Vision", "CC-1200", "vision-leads@northwind-ai.example"),
    Team("data", "Data", "CC-3200", "data-leads@northwind-ai.example"),
)

AWS_ACCOUNTS: Final = (
    ("210000000011", "shared-services"),
    ("210000000012", "research"),
    ("210000000013", "products"),
    ("210000000014", "data-platform"),  # owned by an account rule
    ("210000000015", "sandbox"),
)
AWS_PAYER: Final = ("100200300401", "Northwind AI Payer")
DATA_ACCOUNT: Final = "210000000014"
OPENAI_DIRECT_PROJECT: Final = "proj_research_direct"
AZURE_SUBSCRIPTION: Final = "6f1c2a54-0d3b-4a58-9a6e-1f0b7d2c9e11"


def team_label(team_id: str, day: date, plan: Plan) -> str:
    """What tags, labels and namespaces call a team on a day: Discovery was Search before the rename."""
    if team_id == NEW_NAME and day < plan.renamed_on:
        return OLD_NAME
    return team_id


@dataclass(frozen=True)
class Consumer:
    """One virtual key of a gateway. `models` are (catalogue name, share of its requests)."""

    gateway: str
    team_id: str  # "" none; UNKNOWN_TEAM has no owner rule
    key_alias: str
    app: str
    environment: str
    weight: float
    models: tuple[tuple[str, float], ...]
    is_customer_facing: bool = False

    @property
    def key_hash(self) -> str:
        """SHA-256 as the gateway stores virtual keys."""
        return hashlib.sha256(f"sk-demo-{self.gateway}-{self.key_alias}".encode()).hexdigest()


CONSUMERS: Final = (
    Consumer("gateway-a", "research", "research-notebooks", "notebooks", "dev", 0.12, (("o3", 0.4), ("gpt-5", 0.6))),
    Consumer("gateway-a", "research", "research-agents", "deep-agent", "prod", 0.08, (("claude-sonnet-4-5", 1.0),)),
    Consumer(
        "gateway-a", "discovery", "ranker", "search-api", "prod", 0.2, (("gpt-4o-mini", 0.7), ("gpt-4o", 0.3)), True
    ),
    Consumer("gateway-a", "platform", "platform-ci", "ci-review", "prod", 0.1, (("gpt-5", 0.3), ("gpt-4o-mini", 0.7))),
    Consumer("gateway-a", "", "", "unknown-script", "dev", 0.03, (("gpt-4o", 1.0),)),
    Consumer("gateway-a", UNKNOWN_TEAM, "growth-trial", "landing-copy", "dev", 0.02, (("gpt-4o-mini", 1.0),)),
    Consumer(
        "gateway-b",
        "support-bot",
        "support-bot-prod",
        "helpdesk",
        "prod",
        0.22,
        (("claude-sonnet-4-5", 0.45), ("llama-3.3-70b", 0.55)),
        True,
    ),
    Consumer("gateway-b", "vision", "vision-captions", "captioning", "prod", 0.1, (("gemini-2.5-pro", 1.0),)),
    Consumer("gateway-b", "data", "data-enrich", "etl-enrich", "prod", 0.13, (("gpt-4o-mini", 1.0),)),
)
