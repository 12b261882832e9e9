"""The landing tables of calls of models: each call, and what providers report of them."""

from typing import Final

from ingest import ranges
from ingest.landing_table import COUNT, FLAG, INSTANT, MONEY, NUMBER, TEXT, LandingTable

_TOKEN_COUNTS = (
    "prompt_tokens completion_tokens total_tokens cache_read_tokens cache_write_5m_tokens cache_write_1h_tokens "
    "cache_write_other_tokens reasoning_tokens audio_input_tokens audio_output_tokens image_input_tokens "
    "image_output_tokens web_search_requests"
).split()
_REQUEST_TEXTS = (
    "request_id litellm_call_id trace_id session_id call_type status provider model model_group model_deployment_id "
    "api_base api_key_hash api_key_alias team_id team_alias organization_id project_id user_id end_user_id agent_id "
    "request_tags service_tier error_class log_format"
).split()
_RESULT_COUNTS = (
    "uncached_input_tokens cache_read_tokens cache_write_5m_tokens cache_write_1h_tokens cache_write_other_tokens "
    "audio_input_tokens image_input_tokens output_tokens audio_output_tokens "
    "image_output_tokens request_count web_search_request_count"
).split()

LITELLM_REQUESTS: Final = LandingTable(
    name="litellm_requests",
    columns=(
        *((name, TEXT) for name in _REQUEST_TEXTS),
        ("usage_status", TEXT),  # reported | reported_zero | missing
        ("is_cache_hit", FLAG),
        ("is_stream", FLAG),
        ("started_at", INSTANT),
        ("ended_at", INSTANT),
        ("first_token_at", INSTANT),
        *((name, COUNT) for name in _TOKEN_COUNTS),
        ("gateway_cost_usd", MONEY),
    ),
    partition="usage_date",
    ranges={
        **dict.fromkeys(_TOKEN_COUNTS, ranges.TOKENS),
        "web_search_requests": ranges.CALL_COUNT,
        "gateway_cost_usd": ranges.CALL_USD,
    },
)

PROVIDER_RESULTS: Final = LandingTable(
    name="provider_results",
    columns=(
        ("provider", TEXT),  # openai | anthropic
        ("report", TEXT),  # usage | costs
        ("service", TEXT),  # OpenAI's kinds of usage, such as completions
        ("bucket_start_at", INSTANT),
        ("bucket_end_at", INSTANT),
        # What results are grouped by; null where a report was asked without it.
        ("project_id", TEXT),  # Anthropic: workspace
        ("api_key_id", TEXT),
        ("user_id", TEXT),
        ("model", TEXT),
        ("service_tier", TEXT),
        ("is_batch", FLAG),
        ("context_window", TEXT),
        ("inference_geo", TEXT),
        ("line_item", TEXT),  # Anthropic: description
        ("cost_type", TEXT),
        ("token_type", TEXT),
        # Usage: disjoint token classes.
        *((name, COUNT) for name in _RESULT_COUNTS),  # output: text and reasoning
        # Costs.
        ("reported_cost", MONEY),  # in currency
        ("currency", TEXT),
        ("quantity", NUMBER),
        ("quantity_unit", TEXT),
    ),
    partition="usage_date",
    ranges={
        **dict.fromkeys(_RESULT_COUNTS, ranges.REPORTED_TOKENS),
        "reported_cost": ranges.REPORTED_AMOUNT,
        "quantity": ranges.QUANTITY,
    },
)
