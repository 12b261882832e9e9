{#-
    What FOCUS asks of a line of cost and usage and a delivery can break and still land: rules of FOCUS 1.0 that all
    later versions keep. Each has a code, the FOCUS column, the rule in words, and the condition of a line that breaks
    it. What every landed line keeps, because landing refuses the delivery otherwise, is not listed.
-#}
{% macro focus_rules() -%}
    {%- set rules = [] -%}
    {%- set spelled = "coalesce(_repairs, '') not like '%derived_provider_name%'" -%}
    {%- for column, focus_name, condition in [
        ('list_cost', 'ListCost', 'list_cost is null'),
        ('contracted_cost', 'ContractedCost', 'contracted_cost is null'),
        ('billing_account_id', 'BillingAccountId', 'billing_account_id is null'),
        ('billing_currency', 'BillingCurrency', 'billing_currency is null'),
        ('provider_name', 'ProviderName', 'provider_name is null'),
        ('publisher_name', 'PublisherName', 'publisher_name is null and ' ~ spelled),
        ('invoice_issuer_name', 'InvoiceIssuerName', 'invoice_issuer_name is null'),
        ('service_name', 'ServiceName', 'service_name is null'),
        ('service_category', 'ServiceCategory', 'service_category is null'),
    ] -%}
        {%- do rules.append({
            'code': 'required_' ~ column, 'kind': 'required', 'column': focus_name, 'breaks': condition,
            'rule': focus_name ~ ' has a value on every line'
        }) -%}
    {%- endfor -%}
    {%- set priced = "charge_category in ('Usage', 'Purchase') and charge_class is null" -%}
    {%- for column, focus_name, rule, condition in [
        ('pricing_quantity', 'PricingQuantity', 'null on Tax, set on Usage and Purchase that correct nothing',
            "(pricing_quantity is null and " ~ priced ~ ") or (pricing_quantity is not null and charge_category = 'Tax')"),
        ('pricing_unit', 'PricingUnit', 'null exactly where PricingQuantity is',
            '(pricing_unit is null) != (pricing_quantity is null)'),
        ('pricing_category', 'PricingCategory', 'null on Tax, set on Usage and Purchase that correct nothing',
            "(pricing_category is null and " ~ priced ~ ") or (pricing_category is not null and charge_category = 'Tax')"),
        ('consumed_quantity', 'ConsumedQuantity', 'null on all but Usage, and on what a commitment left unused',
            "consumed_quantity is not null and (charge_category != 'Usage' "
            ~ "or coalesce(commitment_discount_status, '') = 'Unused')"),
        ('consumed_unit', 'ConsumedUnit', 'null exactly where ConsumedQuantity is',
            '(consumed_unit is null) != (consumed_quantity is null)'),
        ('charge_frequency', 'ChargeFrequency', 'not Usage-Based on Purchase',
            "charge_category = 'Purchase' and coalesce(charge_frequency, '') = 'Usage-Based'"),
        ('commitment_category', 'CommitmentDiscountCategory', 'null exactly where CommitmentDiscountId is',
            '(commitment_discount_category is null) != (commitment_discount_id is null)'),
        ('commitment_type', 'CommitmentDiscountType', 'null exactly where CommitmentDiscountId is',
            '(commitment_discount_type is null) != (commitment_discount_id is null)'),
        ('commitment_status', 'CommitmentDiscountStatus',
            'null where CommitmentDiscountId is, set on Usage where it is set',
            '(commitment_discount_status is not null and commitment_discount_id is null) or '
            ~ "(commitment_discount_status is null and commitment_discount_id is not null and charge_category = 'Usage')"),
        ('region_name', 'RegionName', 'null exactly where RegionId is', '(region_name is null) != (region_id is null)'),
        ('sub_account_name', 'SubAccountName', 'null where SubAccountId is',
            'sub_account_name is not null and sub_account_id is null'),
    ] -%}
        {%- do rules.append({
            'code': 'null_' ~ column, 'kind': 'null_rule', 'column': focus_name, 'breaks': condition,
            'rule': focus_name ~ ' is ' ~ rule
        }) -%}
    {%- endfor -%}
    {%- for column, focus_name, values in [
        ('charge_category', 'ChargeCategory', ['Usage', 'Purchase', 'Tax', 'Credit', 'Adjustment']),
        ('charge_class', 'ChargeClass', ['Correction']),
        ('charge_frequency', 'ChargeFrequency', ['One-Time', 'Recurring', 'Usage-Based']),
        ('pricing_category', 'PricingCategory', ['Standard', 'Dynamic', 'Committed', 'Other']),
        ('commitment_discount_category', 'CommitmentDiscountCategory', ['Spend', 'Usage']),
        ('commitment_discount_status', 'CommitmentDiscountStatus', ['Used', 'Unused']),
        ('capacity_reservation_status', 'CapacityReservationStatus', ['Used', 'Unused']),
        ('service_category', 'ServiceCategory', [
            'AI and Machine Learning', 'Analytics', 'Business Applications', 'Compute', 'Databases', 'Developer Tools',
            'Multicloud', 'Identity', 'Integration', 'Internet of Things', 'Management and Governance', 'Media',
            'Migration', 'Mobile', 'Networking', 'Security', 'Storage', 'Web', 'Other'
        ]),
    ] -%}
        {%- do rules.append({
            'code': 'value_' ~ column, 'kind': 'allowed_value', 'column': focus_name,
            'breaks': column ~ " not in ('" ~ values | join("', '") ~ "')",
            'rule': focus_name ~ ' is one of ' ~ values | join(', ') ~ ', or null where it may be'
        }) -%}
    {%- endfor -%}
    {%- for column, focus_name in [('list_unit_price', 'ListUnitPrice'), ('contracted_unit_price', 'ContractedUnitPrice')] -%}
        {%- do rules.append({
            'code': 'value_' ~ column, 'kind': 'allowed_value', 'column': focus_name, 'breaks': column ~ ' < 0',
            'rule': focus_name ~ ' is not negative'
        }) -%}
    {%- endfor -%}
    {{ return(rules) }}
{%- endmacro %}

{#-
    The repair codes of landing, each with what was mended. Scored are those that mend what FOCUS forbids: the newer
    names of providers are FOCUS 1.3's own, and amounts with more than 18 places are ours to round.
-#}
{% macro focus_repairs() -%}
    {{ return([
        {'code': 'currency_text', 'is_scored': true, 'rule': 'amounts are plain numbers, without currency signs'},
        {'code': 'hour_past_midnight', 'is_scored': true, 'rule': 'hours of an instant run from 00 to 23'},
        {'code': 'us_date', 'is_scored': true, 'rule': 'instants are ISO 8601; found month/day/year'},
        {'code': 'd_m_y_date', 'is_scored': true, 'rule': 'instants are ISO 8601; found day/month/year'},
        {'code': 'derived_billing_period_end', 'is_scored': true, 'rule': 'BillingPeriodEnd has a value on every line'},
        {'code': 'rounded_to_18_places', 'is_scored': false, 'rule': 'more than 18 decimal places, rounded to 18'},
        {'code': 'derived_provider_name', 'is_scored': false, 'rule': 'ProviderName taken from ServiceProviderName'},
        {'code': 'derived_publisher_name', 'is_scored': false, 'rule': 'PublisherName taken from HostProviderName'},
        {'code': 'missing_column:BillingAccountId', 'is_scored': false, 'rule': 'the file has no BillingAccountId'},
        {'code': 'missing_column:BillingCurrency', 'is_scored': false, 'rule': 'the file has no BillingCurrency'},
        {'code': 'missing_column:ProviderName', 'is_scored': false, 'rule': 'the file has no ProviderName'},
    ]) }}
{%- endmacro %}

{#- Tokens that one unit of a bill stands for; null for a unit that counts something else, or that nobody knows. -#}
{% macro tokens_per_unit(unit) -%}
    case
        when lower({{ unit }}) in ('token', 'tokens') then 1
        when lower({{ unit }}) in ('1k tokens', '1000 tokens', 'thousand tokens') then 1000
        when lower({{ unit }}) in ('1m tokens', '1000000 tokens', 'million tokens') then 1000000
    end
{%- endmacro %}
