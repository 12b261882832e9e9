{#-
    Nano-dollars of one request at the rates of `rates`. A write of unstated life is priced as one of 5 minutes, the
    default; an image as text, as the book does.

    calls  relation with the request's disjoint token classes
    rates  relation with its rates; `book` chooses the price book's own, before the company's prices win
-#}
{% macro request_cost_nano(calls, rates, book=false) -%}
    {%- set end = '_book_nano_usd_per_mtok' if book else '_nano_usd_per_mtok' -%}
    {%- set pairs = [] -%}
    {%- for tokens, token_class in [
        ('uncached_input', 'input'), ('image_input', 'input'), ('audio_input', 'input_audio'),
        ('cache_read', 'cache_read'), ('cache_write_5m', 'cache_write_5m'), ('cache_write_other', 'cache_write_5m'),
        ('cache_write_1h', 'cache_write_1h'), ('output_visible', 'output'), ('output_reasoning', 'output'),
        ('image_output', 'output'), ('audio_output', 'output_audio')
    ] -%}
        {%- do pairs.append((calls ~ '.' ~ tokens ~ '_tokens', rates ~ '.' ~ token_class ~ end)) -%}
    {%- endfor -%}
    {{ token_cost_nano(pairs) }}
{%- endmacro %}

{#- Tokens of one request that were read from a provider's cache or written to it. -#}
{% macro cached_tokens(calls) -%}
    ({{ calls }}.cache_read_tokens + {{ calls }}.cache_write_5m_tokens + {{ calls }}.cache_write_1h_tokens
    + {{ calls }}.cache_write_other_tokens)
{%- endmacro %}
