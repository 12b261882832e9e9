-- One row per ledger row and portion of shared cost, tax, credit, support or commitment that a policy moves: its
-- subject, its policy, how its portion goes, and up to two pots of charges to follow, the first that has any wins.
-- A recipient may get a part only; the rest of a tax follows its invoice, other rests stay.
-- What takes back a charge that it names follows that charge's owners, whatever the policy, unless a tag, a machine's
-- holders or calls already say whose it is (decision 21).
with ledger_rows as (
    select
        {{ ledger_key() }} as row_key,
        {{ ledger_grain('allocated.$') }},
        {{ costs('allocated.$') }},
        dimensions.provider_name,
        dimensions.billing_account_id,
        dimensions.billing_period_start_date,
        dimensions.invoice_id,
        dimensions.cost_pool,
        clusters.cluster_name
    from {{ ref('int_charges__allocated') }} as allocated
    inner join {{ ref('int_charges__dimensions') }} as dimensions using (charge_key)
    left join (
        select
            charge_key,
            max(cluster_name) as cluster_name
        from {{ ref('int_charges__held_owners') }}
        group by charge_key
    ) as clusters using (charge_key)
),

tied as (
    select
        ledger_rows.*,
        named.pot_key as named_pot_key,
        named.named_method,
        ledger_rows.cost_pool != 'unused_commitment'
        and named.pot_key is not null
        and (ledger_rows.team_id is distinct from named.sole_team_id)
        and ledger_rows.allocation_method in (
            'serves_everyone', 'no_owner_rule', 'account_owner_rule', 'no_gateway_traffic',
            'account_owner_rule_without_gateway_traffic'
        ) as is_tied
    from ledger_rows
    left join {{ ref('int_charges__references') }} as named
        on
            ledger_rows.charge_key = named.charge_key
            and least(ledger_rows.usage_date, ledger_rows.billing_period_start_date) = named.anchor_date
),

subjects as (
    select
        *,
        case
            when cost_pool = 'unused_commitment' then cost_pool
            when is_tied then 'credit'
            when team_id != 'shared' or cost_pool = 'rounding' then null
            when cost_pool in ('tax', 'credit', 'support', 'commitment_purchase') then cost_pool
            else 'shared'
        end as subject
    from tied
),

pooled as (
    select
        *,
        case when subject = 'shared' then cluster_name else provider_name end as narrow_pool,
        case when subject = 'shared' then cost_pool end as wide_pool
    from subjects
    where subject is not null
),

spoken_for as (
    {{ policy_for('pooled', key=['row_key'], pools=['narrow_pool', 'wide_pool']) }}
),

portions as (
    select
        spoken_for.*,
        'recipient' as portion,
        recipients.recipient_share as portion_share
    from spoken_for
    inner join {{ ref('int_charges__policy_recipients') }} as recipients
        on
            spoken_for.policy_id = recipients.policy_id
            and spoken_for.usage_date = recipients.usage_date
    where spoken_for.policy_method = 'recipient'
    union all
    select
        spoken_for.*,
        case
            when spoken_for.policy_method != 'recipient' then spoken_for.policy_method
            when spoken_for.subject = 'tax' then 'follow_invoice'
            else 'stays'
        end,
        1 - coalesce(recipients.recipient_share, 0)
    from spoken_for
    left join {{ ref('int_charges__policy_recipients') }} as recipients
        on
            spoken_for.policy_id = recipients.policy_id
            and spoken_for.usage_date = recipients.usage_date
            and spoken_for.policy_method = 'recipient'
    where coalesce(recipients.recipient_share, 0) < 1
),

weighted as (
    select
        *,
        {{ nano_usd('portion_share') }} as portion_weight
    from portions
),

split as (
    {{ split_usd('weighted', parent=['row_key'], weight='portion_weight', tie='portion') }}
),

placed as (
    select
        *,
        case
            when is_tied or portion = 'buyer' then named_pot_key
            when portion = 'follow_invoice' and invoice_id is not null
                then {{ pot_key('invoice', ['provider_name', 'billing_account_id', 'invoice_id']) }}
        end as first_pot_key,
        case
            when portion = 'follow_invoice'
                then {{ pot_key('account_lines', ['provider_name', 'billing_account_id']) }}
            when portion = 'even' then {{ pot_key('teams', ['provider_name']) }}
            when portion = 'holders' and policy_scope = 'account'
                then {{ pot_key('account', ['provider_name', 'billing_account_id']) }}
            when portion = 'holders' and policy_scope = 'provider' then {{ pot_key('provider', ['provider_name']) }}
            when portion = 'holders' then {{ pot_key('all', []) }}
        end as second_pot_key
    from split
)

select
    {{ ledger_grain() }},
    policy_id,
    subject,
    portion,
    policy_scope,
    case when is_tied or portion = 'buyer' then named_method end as named_method,
    first_pot_key,
    second_pot_key,
    {{ costs('split_$ as $') }}
from placed
where
    (
        portion not in ('central', 'stays') or first_pot_key is not null
        or (portion = 'central' and subject = 'unused_commitment')
    )
    and (portion != 'buyer' or team_id = 'unallocated')
