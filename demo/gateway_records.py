"""How LiteLLM writes a request: StandardLoggingPayload (callbacks) and SpendLogs (its database), as JSON lines.

Records are rendered column-wise from templates: half a million of them take seconds. No prompts are written.
"""

import json
import re
from typing import Final

import polars as pl

_EPOCH_TO_US: Final = 1_000_000


def render(template: str, frame: pl.DataFrame) -> pl.Series:
    """Fill `@column@` slots of a template with a frame's columns, row by row."""
    pieces = re.split(r"@(\w+)@", template)
    return frame.select(
        pl.concat_str([pl.col(piece) if n % 2 else pl.lit(piece) for n, piece in enumerate(pieces) if piece])
    ).to_series()


def render_payloads(frame: pl.DataFrame) -> pl.Series:
    """StandardLoggingPayload lines: times are epoch seconds, metadata and tags are objects."""
    frame = _describe(frame).with_columns(
        cache_hit=pl.when(pl.col("is_failed")).then(pl.lit("false")).otherwise(pl.lit("null")),
        stream_flag=pl.when(pl.col("is_stream")).then(pl.lit("true")).otherwise(pl.lit("null")),
        ids=pl.when(pl.col("malformed").fill_null("") == "missing_id")
        .then(pl.lit('"id":null,"litellm_call_id":null'))
        .otherwise(pl.format('"id":"chatcmpl-{}","litellm_call_id":"{}"', pl.col("call_id"), pl.col("call_id"))),
        error=pl.when(pl.col("is_failed"))
        .then(
            pl.concat_str(
                pl.lit('"error_str":"litellm.RateLimitError: RateLimitError","error_information":{"error_code":"429",'),
                pl.lit('"error_class":"RateLimitError","llm_provider":"'),
                pl.col("provider"),
                pl.lit('"}'),
            )
        )
        .otherwise(pl.lit('"error_str":null,"error_information":{"error_code":"","error_class":"","llm_provider":""}')),
    )
    return render(_PAYLOAD, frame)


def render_spend_logs(frame: pl.DataFrame) -> pl.Series:
    """SpendLogs rows: times are ISO text, metadata and tags are JSON inside text, `cache_hit` is a word."""
    start = (pl.col("start_epoch") * _EPOCH_TO_US).round().cast(pl.Int64).cast(pl.Datetime("us"))
    end = (pl.col("end_epoch") * _EPOCH_TO_US).round().cast(pl.Int64).cast(pl.Datetime("us"))
    first = (pl.col("first_token_epoch") * _EPOCH_TO_US).round().cast(pl.Int64).cast(pl.Datetime("us"))
    pattern = "%Y-%m-%dT%H:%M:%S%.3f+00:00"
    frame = _describe(frame)
    is_missing = pl.col("malformed").fill_null("") == "missing_id"
    frame = frame.with_columns(
        start_text=start.dt.strftime(pattern),
        end_text=end.dt.strftime(pattern),
        first_token_text=first.dt.strftime(pattern),
        cache_hit=pl.when(pl.col("is_failed")).then(pl.lit("False")).otherwise(pl.lit("None")),
        usage_escaped=pl.col("usage").str.replace_all('"', '\\"', literal=True),
        request_id=pl.when(is_missing).then(pl.lit("null")).otherwise(pl.format('"chatcmpl-{}"', pl.col("call_id"))),
        litellm_call_id=pl.when(is_missing).then(pl.lit("null")).otherwise(pl.format('"{}"', pl.col("call_id"))),
        spend=pl.when(pl.col("is_failed"))
        .then(pl.lit("0"))
        .when(pl.col("input_price").is_null() & (pl.col("part") < 0.3))
        .then(pl.lit("null"))
        .otherwise(pl.col("gateway_cost").cast(pl.String)),
        duration_ms=((pl.col("end_epoch") - pl.col("start_epoch")) * 1000).round().cast(pl.Int64),
    )
    return render(_SPEND_LOG, frame)


def _describe(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns that both forms share: what the log says, which is not always what happened."""
    malformed = pl.col("malformed").fill_null("")
    is_silent = pl.col("is_usage_missing")
    sign = pl.when(malformed == "negative_tokens").then(-1).otherwise(1)
    shown = pl.when(is_silent & (malformed != "negative_tokens")).then(0)
    end = pl.col("start_epoch") + pl.col("duration") * pl.when(malformed == "ends_before_start").then(-1).otherwise(1)
    first = pl.when(pl.col("is_stream")).then(pl.col("start_epoch") + 0.3 * pl.col("duration")).otherwise(end)
    frame = frame.with_columns(
        call_id=pl.concat_str(
            pl.col("hex").str.slice(0, 8),
            pl.col("hex").str.slice(8, 4),
            pl.col("hex").str.slice(12, 4),
            pl.col("hex").str.slice(16, 4),
            pl.col("hex").str.slice(20, 12),
            separator="-",
        ),
        trace=pl.col("hex").str.slice(0, 8),
        end_epoch=end.round(3),
        first_token_epoch=first.round(3),
        outcome=pl.when(pl.col("is_failed")).then(pl.lit("failure")).otherwise(pl.lit("success")),
        prompt_shown=shown.otherwise(pl.max_horizontal("prompt", 1 - sign) * sign),
        output_shown=shown.otherwise(pl.col("output_tokens")),
        user=(100 + pl.col("user") * 40).cast(pl.Int64),
        end_user=pl.when(pl.col("is_customer_facing"))
        .then(pl.format("cust-{}", (pl.col("user") * 250).cast(pl.Int64)))
        .otherwise(pl.lit("")),
        cached=pl.col("cache_read_tokens"),
        written=pl.col("cache_write_5m_tokens") + pl.col("cache_write_1h_tokens"),
    ).with_columns(total_shown=pl.col("prompt_shown") + pl.col("output_shown"))
    plain = render(_USAGE, frame)
    anthropic = render(_ANTHROPIC_USAGE, frame)
    bare = render(_BARE_USAGE, frame)
    return frame.with_columns(
        usage=pl.when(pl.col("is_failed"))
        .then(pl.lit("{}"))
        .when(is_silent)
        .then(pl.lit("null"))
        .when(pl.col("writes_cache"))
        .then(anthropic)
        .when(pl.col("input_price").is_null())
        .then(bare)
        .otherwise(plain)
    )


_COUNTS: Final = '"completion_tokens":@output_shown@,"prompt_tokens":@prompt_shown@,"total_tokens":@total_shown@'
_BARE_USAGE: Final = f'{{{_COUNTS},"completion_tokens_details":null,"prompt_tokens_details":null}}'
_USAGE: Final = (
    f'{{{_COUNTS},"completion_tokens_details":{{"reasoning_tokens":@reasoning_tokens@}},'
    '"prompt_tokens_details":{"cached_tokens":@cached@}}'
)
_ANTHROPIC_USAGE: Final = (
    f'{{{_COUNTS},"completion_tokens_details":null,"prompt_tokens_details":{{"cached_tokens":@cached@,'
    '"cache_creation_tokens":@written@,"cache_creation_token_details":{"ephemeral_5m_input_tokens":'
    '@cache_write_5m_tokens@,"ephemeral_1h_input_tokens":@cache_write_1h_tokens@}},'
    '"cache_read_input_tokens":@cached@,"cache_creation_input_tokens":@written@}'
)
_PAYLOAD: Final = (
    '{@ids@,"trace_id":"@trace@","session_id":"","call_type":"acompletion","cache_hit":@cache_hit@,'
    '"stream":@stream_flag@,"status":"@outcome@","status_fields":{"llm_api_status":"@outcome@",'
    '"guardrail_status":"not_run"},"custom_llm_provider":"@provider@","saved_cache_cost":0.0,'
    '"startTime":@start_epoch@,"endTime":@end_epoch@,"completionStartTime":@first_token_epoch@,'
    '"response_time":@duration@,"model":"@model@","metadata":{"user_api_key_hash":"@key_hash@",'
    '"user_api_key_alias":"@key_alias@","user_api_key_team_id":"@team@","user_api_key_team_alias":"@team_name@",'
    '"user_api_key_org_id":"org-northwind","user_api_key_project_id":null,"user_api_key_user_id":"u-@user@",'
    '"user_api_key_user_email":null,"spend_logs_metadata":null,"applied_guardrails":[],"usage_object":@usage@},'
    '"cache_key":null,"response_cost":@gateway_cost@,"cost_breakdown":null,"total_tokens":@total_shown@,'
    '"prompt_tokens":@prompt_shown@,"completion_tokens":@output_shown@,'
    '"request_tags":["app:@app@","env:@environment@"],"end_user":"@end_user@","api_base":"@api_base@",'
    '"model_group":"@model_name@","model_id":"","requester_ip_address":null,"messages":null,"response":null,'
    '"model_parameters":{},"hidden_params":{"litellm_model_name":"@provider@/@model@"},@error@,'
    '"guardrail_information":null}'
)
_METADATA: Final = json.dumps(
    '{"user_api_key_alias":"@key_alias@","user_api_key_team_id":"@team@","user_api_key_team_alias":"@team_name@",'
    '"user_api_key_org_id":"org-northwind","user_api_key_project_id":null,"user_api_key_user_id":"u-@user@",'
    '"spend_logs_metadata":null,"applied_guardrails":[],"additional_usage_values":{},"status":"@outcome@",'
    '"error_information":null,"usage_object":@usage_escaped@,"cost_breakdown":null,"attempted_retries":null}'
)
_SPEND_LOG: Final = (
    '{"request_id":@request_id@,"call_type":"acompletion","api_key":"@key_hash@","cache_hit":"@cache_hit@",'
    '"startTime":"@start_text@","endTime":"@end_text@","completionStartTime":"@first_token_text@","model":"@model@",'
    '"user":"u-@user@","team_id":"@team@","organization_id":"org-northwind","metadata":' + _METADATA + ","
    '"cache_key":"Cache OFF","spend":@spend@,"total_tokens":@total_shown@,"prompt_tokens":@prompt_shown@,'
    '"completion_tokens":@output_shown@,"request_tags":"[\\"app:@app@\\", \\"env:@environment@\\"]",'
    '"end_user":"@end_user@","api_base":"@api_base@","model_group":"@model_name@","model_id":"",'
    '"mcp_namespaced_tool_name":null,"agent_id":null,"requester_ip_address":null,"custom_llm_provider":"@provider@",'
    '"messages":"{}","response":"{}","proxy_server_request":"{}","session_id":"@trace@",'
    '"request_duration_ms":@duration_ms@,"status":"@outcome@","litellm_call_id":@litellm_call_id@}'
)
