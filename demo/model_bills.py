"""The bills of OpenAI and Anthropic: FOCUS 1.2, a line per day, model and token class, priced at list or contract.

They rest on the tokens the gateways' requests really used, and so differ from what the logs add up to: by streams
logged without usage, by malformed log lines, and by traffic that never passed a gateway.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from demo.focus import Line, LineFile, month_columns, open_lines
from demo.gateway import BilledTokens
from demo.models import CONTRACT_MODEL, CONTRACT_SHARE, MODELS, LanguageModel
from demo.plan import Month, Plan, midnight
from demo.summary import ProviderTotals, SourceTruth
from demo.teams import OPENAI_DIRECT_PROJECT

PROVIDER_NAMES: Final = {"openai": "OpenAI", "anthropic": "Anthropic"}
_METERS: Final = {
    "input": "Input Tokens",
    "cache_read": "Cached Input Tokens",
    "cache_write_5m": "Cache Write Tokens 5m",
    "cache_write_1h": "Cache Write Tokens 1h",
    "output": "Output Tokens",
}
_DIRECT_TOKENS: Final = {"input": 2_400_000, "output": 310_000}  # a day at scale 1, of gpt-5, past the gateway


def write_model_bills(
    plan: Plan, tokens: BilledTokens, sources: Mapping[str, SourceTruth], totals: Mapping[str, ProviderTotals]
) -> None:
    """Write exports/<provider>/<month>/focus.csv. Keys of `sources` and `totals` are openai and anthropic."""
    for provider in PROVIDER_NAMES:
        for month in plan.months:
            at = month.covered_to + timedelta(days=1, hours=3)
            path = plan.home / "exports" / provider / month.label / "focus.csv"
            with open_lines(path, at, sources[provider], totals[provider]) as out:
                _write_month(out, plan, provider, month, tokens)


def _write_month(out: LineFile, plan: Plan, provider: str, month: Month, tokens: BilledTokens) -> None:
    day = month.covered_from
    while day < month.covered_to:
        for model, used, project in list_use(plan, provider, day.date(), tokens):
            _write_tokens(out, plan, month, day, model, used, project)
        day += timedelta(days=1)
    if provider == "openai":
        credit = _columns(month, provider, _gateway_project(provider)) | {
            "ChargeCategory": "Credit",
            "ChargeFrequency": "One-Time",
            "ChargeDescription": "Promotional credit",
        }
        out.write(
            Line(credit),
            month.covered_from,
            month.covered_to,
            billed=-Decimal(round(5000 * plan.scale) or 1).scaleb(-2),
        )


def list_use(
    plan: Plan, provider: str, day: date, tokens: BilledTokens
) -> Iterator[tuple[LanguageModel, Mapping[str, int], tuple[str, str]]]:
    """Yield (model, tokens by class, project's id and name) of all that a provider sold on a day."""
    for model in MODELS:
        if model.invoice == provider:
            yield model, tokens.get((day, model.name), {}), _gateway_project(provider)
    if provider == "openai":
        rng = plan.random("direct", day)
        direct = {
            name: round(count * plan.scale * (0.8 + 0.4 * rng.random())) for name, count in _DIRECT_TOKENS.items()
        }
        gpt5 = next(model for model in MODELS if model.name == "gpt-5")
        yield gpt5, direct, (OPENAI_DIRECT_PROJECT, "research-direct")


def _write_tokens(
    out: LineFile,
    plan: Plan,
    month: Month,
    day: datetime,
    model: LanguageModel,
    tokens: Mapping[str, int],
    project: tuple[str, str],
) -> None:
    for token_class, count in tokens.items():
        if not count or model.prices is None or model.invoice is None:
            continue
        price = model.prices[token_class]
        columns = _columns(month, model.invoice, project) | {
            "ChargeCategory": "Usage",
            "ChargeFrequency": "Usage-Based",
            "ChargeDescription": f"{model.name} {_METERS[token_class].lower()}",
            "PricingCategory": "Standard",
            "PricingUnit": "1000000 Tokens",
            "ConsumedUnit": "Tokens",
            "ConsumedQuantity": count,
            "SkuId": f"{model.name}-{token_class}",
            "SkuPriceId": f"{model.name}-{token_class}-standard",
            "SkuMeter": _METERS[token_class],
            "SkuPriceDetails": {"x_ModelId": model.name, "x_TokenClass": token_class},
            "ResourceId": model.name,
            "ResourceName": model.name,
            "ResourceType": "Model",
        }
        contracted = price * contract_share(model.name, day.date(), plan)
        line = Line(columns, list_price=price, contracted_price=contracted, is_measured=False)
        out.write(line, day, day + timedelta(days=1), quantity=Decimal(count).scaleb(-6))


def contract_share(model_name: str, day: date, plan: Plan) -> Decimal:
    """What part of the list price is billed on a day."""
    is_contract = model_name == CONTRACT_MODEL and midnight(day).date() >= plan.renamed_on
    return CONTRACT_SHARE if is_contract else Decimal(1)


def _gateway_project(provider: str) -> tuple[str, str]:
    return {"openai": ("proj_gateway", "gateway"), "anthropic": ("wrkspc_gateway", "gateway")}[provider]


def _columns(month: Month, provider: str, project: tuple[str, str]) -> dict[str, object]:
    name = PROVIDER_NAMES[provider]
    return {
        **month_columns(month),
        "ProviderName": name,
        "PublisherName": name,
        "InvoiceIssuerName": name,
        "InvoiceId": f"{provider.upper()}-{month.label}",
        "BillingAccountId": f"org-{provider}-northwind",
        "BillingAccountName": "Northwind AI",
        "BillingAccountType": "Organization",
        "SubAccountId": project[0],
        "SubAccountName": project[1],
        "SubAccountType": "Project",
        "BillingCurrency": "USD",
        "PricingCurrency": "USD",
        "ServiceName": f"{name} API",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
    }
