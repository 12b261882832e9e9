"""Gateway traffic: who asked which model for how many tokens, and the log files that two gateways write of it.

Nothing is drawn with transcendental functions, so that the same seed gives the same bytes on any machine.
"""

from bisect import bisect
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Final

import polars as pl

from demo.gateway_records import render_payloads, render_spend_logs
from demo.models import MODELS, TOKEN_CLASSES
from demo.plan import Plan, midnight, open_output
from demo.summary import SourceTruth
from demo.teams import CONSUMERS, NEW_NAME, OLD_NAME, team_label

REQUESTS_AT_SCALE_ONE: Final = 500_000 / 30  # a day, both gateways
MALFORMED_KINDS: Final = ("broken_json", "negative_tokens", "missing_id", "ends_before_start")
_CHUNK_ROWS: Final = 20_000
_DAY_SHAPE: Final = ((0, 6, 0.08), (6, 9, 0.12), (9, 18, 0.55), (18, 24, 0.25))  # hour from, hour to, share
_DRAWS: Final = "size out cache part status stream user time bad twice write".split()

BilledTokens = dict[tuple[date, str], dict[str, int]]
"""Tokens by class that the provider counted, by (day, model name): also of requests that the log tells wrongly."""


@dataclass
class TrafficTruth:
    """What was planted, over both gateways, in well-formed records; `duplicates` repeat a record that is counted."""

    requests: int = 0
    duplicates: int = 0
    failed: int = 0
    unpriced: int = 0
    missing_usage: int = 0
    billed_tokens: BilledTokens = field(default_factory=dict)


class Gateway:
    """One gateway's log writer: gateway-a writes StandardLoggingPayload lines, gateway-b SpendLogs rows."""

    def __init__(self, plan: Plan, name: str, truth: TrafficTruth) -> None:
        self.plan = plan
        self.name = name
        self.truth = truth
        self.source = SourceTruth()
        self._render = render_payloads if name == "gateway-a" else render_spend_logs
        self._late_lines: list[str] = []
        self._pairs = [
            (consumer, next(model for model in MODELS if model.name == name_of_model), consumer.weight * share)
            for consumer in CONSUMERS
            if consumer.gateway == name
            for name_of_model, share in consumer.models
        ]

    def write_day(self, day_number: int) -> None:
        """Write the log of a day: requests in order of start, then lines delivered twice."""
        day = self.plan.start + timedelta(days=day_number)
        weekday_factor = 0.7 if day.weekday() >= 5 else 1.12
        share = sum(weight for _, _, weight in self._pairs)
        total = max(40, round(REQUESTS_AT_SCALE_ONE * self.plan.scale * share * weekday_factor))
        path = self.plan.home / "logs" / self.name / f"{day}.jsonl.gz"
        repeated, self._late_lines = self._late_lines, []
        rows = malformed = 0
        with open_output(path, midnight(day) + timedelta(days=1, minutes=20)) as out:
            for chunk, first in enumerate(range(0, total, _CHUNK_ROWS)):
                last = min(first + _CHUNK_ROWS, total)
                frame = self._traffic(day, chunk, first, last, total)
                frame = frame.with_columns(line=self._render(frame))
                frame = frame.with_columns(
                    pl.when(pl.col("malformed") == "broken_json")
                    .then(pl.col("line").str.head(pl.col("line").str.len_chars() * 3 // 5))
                    .otherwise(pl.col("line"))
                    .alias("line")
                )
                out.write(("\n".join(frame["line"].to_list()) + "\n").encode())
                rows += frame.height
                malformed += frame["malformed"].count()
                repeated += self._repeat(frame, is_last_day=day_number == self.plan.days - 1)
                self._count(day, frame)
            out.writelines(f"{line}\n".encode() for line in repeated)
        self.truth.duplicates += len(repeated)
        self.source.add(path, rows=rows + len(repeated), malformed=malformed)

    def _repeat(self, frame: pl.DataFrame, is_last_day: bool) -> list[str]:
        """Lines delivered twice: 0.5% at once, 0.1% with the next day's log."""
        good = frame.filter(pl.col("malformed").is_null())
        at_once = good.filter((pl.col("twice") < 0.005) | (pl.int_range(pl.len()) == 5))
        if not is_last_day:
            late = good.filter((pl.col("twice") > 0.999) | (pl.int_range(pl.len()) == 6))
            self._late_lines += late["line"].to_list()
        return at_once["line"].to_list()

    def _count(self, day: date, frame: pl.DataFrame) -> None:
        good = frame.filter(pl.col("malformed").is_null())
        self.truth.requests += good.height
        self.truth.failed += good.filter("is_failed").height
        self.truth.unpriced += good.filter(~pl.col("is_failed") & pl.col("input_price").is_null()).height
        self.truth.missing_usage += good.filter("is_usage_missing").height
        sums = (
            frame.filter(~pl.col("is_failed"))
            .group_by("model_name", maintain_order=True)
            .agg(pl.col(f"{token_class}_tokens").sum() for token_class in TOKEN_CLASSES)
        )
        for model_name, *tokens in sums.iter_rows():
            counted = self.truth.billed_tokens.setdefault((day, model_name), dict.fromkeys(TOKEN_CLASSES, 0))
            for token_class, tokens_of_class in zip(TOKEN_CLASSES, tokens, strict=True):
                counted[token_class] += tokens_of_class

    def _pair_table(self, day: date) -> pl.DataFrame:
        """One row per (key, model) with all that its requests have in common on a day."""
        rows: list[dict[str, object]] = []
        for consumer, model, _ in self._pairs:
            team = team_label(consumer.team_id, day, self.plan)
            alias = f"{team}-{consumer.key_alias}" if consumer.team_id == NEW_NAME else consumer.key_alias
            rows.append(
                {
                    "team": team,
                    "team_name": OLD_NAME.title() if team == OLD_NAME else team.replace("-", " ").title(),
                    "key_alias": alias,
                    "key_hash": consumer.key_hash,
                    "app": consumer.app,
                    "environment": consumer.environment,
                    "is_customer_facing": consumer.is_customer_facing,
                    "model_name": model.name,
                    "provider": model.gateway_provider,
                    "model": model.gateway_model,
                    "api_base": model.api_base,
                    "typical_prompt": model.prompt_tokens,
                    "typical_output": model.output_tokens,
                    "is_reasoning": model.is_reasoning,
                    "writes_cache": model.writes_cache,
                    "tier_start": model.tier_start_tokens,
                    **{f"{c}_price": _price(model.prices, c) for c in TOKEN_CLASSES},
                    **{f"{c}_tier_price": _price(model.tier_prices, c) for c in TOKEN_CLASSES},
                }
            )
        return pl.DataFrame(rows)

    def _traffic(self, day: date, chunk: int, first: int, last: int, total: int) -> pl.DataFrame:
        """Requests `first` to `last` of a day's `total`, in order of start."""
        rng = self.plan.random(self.name, day, chunk)
        count = last - first
        steps = list(accumulate(weight for _, _, weight in self._pairs))
        picks = [bisect(steps, rng.random() * steps[-1] * (1 - 1e-12)) for _ in range(count)]
        digits = rng.randbytes(16 * count).hex()
        draws = {name: [rng.random() for _ in range(count)] for name in _DRAWS}
        frame = pl.DataFrame({"hex": [digits[n : n + 32] for n in range(0, 32 * count, 32)], **draws})
        frame = pl.concat([frame, self._pair_table(day)[picks]], how="horizontal")
        share = (pl.int_range(first, last) + pl.col("time")) / total
        kind = (day.toordinal() + (self.name == "gateway-b")) % len(MALFORMED_KINDS)
        kinds = pl.lit(pl.Series(MALFORMED_KINDS))
        return _count_tokens(frame).with_columns(
            start_epoch=(_seconds_of_day(share) + midnight(day).timestamp()).round(3),
            duration=(0.35 + pl.col("output_tokens") * 0.011 * (0.5 + pl.col("time"))).round(3),
            malformed=pl.when(pl.int_range(pl.len()) + first == 17)  # one in each file, whatever the scale
            .then(pl.lit(MALFORMED_KINDS[kind]))
            .when(pl.col("bad") < 0.0097)
            .then(kinds.gather((pl.col("bad") / 0.0097 * len(MALFORMED_KINDS)).cast(pl.Int32).clip(0, 3))),
        )


def _price(prices: dict[str, Decimal] | None, token_class: str) -> float | None:
    return None if prices is None else float(prices.get(token_class, 0))


def _seconds_of_day(share: pl.Expr) -> pl.Expr:
    """Seconds after midnight by which `share` of the day's requests have come."""
    seconds = pl.lit(0.0)
    before = 0.0
    for start, end, weight in _DAY_SHAPE:
        within = ((share - before) / weight).clip(0, 1)
        seconds = seconds + within * (end - start) * 3600
        before += weight
    return seconds


def _count_tokens(frame: pl.DataFrame) -> pl.DataFrame:
    """Token counts by disjoint class as the provider counts them (zero for failures), and the gateway's own cost."""
    size = 0.25 + 0.7 * pl.col("size") + 2.2 * pl.col("size") ** 4
    is_long = pl.col("tier_start").is_not_null() & (pl.col("size") > 0.95)
    prompt = (
        pl.when(is_long)
        .then(pl.col("tier_start") + 1 + (pl.col("size") - 0.95) * 3_000_000)
        .otherwise(pl.col("typical_prompt") * size)
        .cast(pl.Int64)
    )
    frame = frame.with_columns(
        is_failed=pl.col("status") < 0.04,
        is_stream=pl.col("stream") < 0.5,
        prompt=prompt,
        output_tokens=(pl.col("typical_output") * (0.2 + 0.8 * pl.col("out") + 2 * pl.col("out") ** 5)).cast(pl.Int64),
    )
    read = pl.col("prompt") * (0.35 + 0.45 * pl.col("part"))
    is_priced = pl.col("input_price").is_not_null()
    frame = frame.with_columns(
        is_usage_missing=~pl.col("is_failed") & (pl.col("stream") < 0.01),
        cache_read_tokens=pl.when(pl.col("writes_cache") & (pl.col("cache") < 0.6))
        .then(read.cast(pl.Int64))
        .when(~pl.col("writes_cache") & is_priced & (pl.col("cache") < 0.35) & (pl.col("prompt") >= 1024))
        .then(read.cast(pl.Int64) // 128 * 128)
        .otherwise(0),
    )
    rest = pl.col("prompt") - pl.col("cache_read_tokens")
    frame = frame.with_columns(
        cache_write_5m_tokens=pl.when(pl.col("writes_cache") & (pl.col("write") < 0.25)).then(rest // 2).otherwise(0),
        cache_write_1h_tokens=pl.when(pl.col("writes_cache") & pl.col("write").is_between(0.25, 0.3))
        .then(rest * 2 // 5)
        .otherwise(0),
        reasoning_tokens=pl.when("is_reasoning")
        .then((pl.col("output_tokens") * (0.3 + 0.5 * pl.col("part"))).cast(pl.Int64))
        .otherwise(0),
    )
    written = pl.col("cache_write_5m_tokens") + pl.col("cache_write_1h_tokens")
    frame = frame.with_columns(input_tokens=pl.col("prompt") - pl.col("cache_read_tokens") - written)
    counted = ["prompt", "reasoning_tokens", *(f"{token_class}_tokens" for token_class in TOKEN_CLASSES)]
    frame = frame.with_columns(
        pl.when(pl.col("is_failed")).then(0).otherwise(pl.col(name)).alias(name) for name in counted
    )
    is_tiered = pl.col("prompt") > pl.col("tier_start")
    dollars = pl.sum_horizontal(
        pl.col(f"{c}_tokens")
        * pl.when(is_tiered).then(pl.col(f"{c}_tier_price")).otherwise(pl.col(f"{c}_price")).fill_null(0.0)
        for c in TOKEN_CLASSES
    )
    is_costed = is_priced & ~pl.col("is_usage_missing")
    return frame.with_columns(gateway_cost=pl.when(is_costed).then((dollars / 1e6).round(10)).otherwise(0.0))


def open_gateways(plan: Plan) -> tuple[TrafficTruth, list[Gateway]]:
    """The two gateways of the company and the truth that both add to."""
    truth = TrafficTruth()
    return truth, [Gateway(plan, name, truth) for name in ("gateway-a", "gateway-b")]
