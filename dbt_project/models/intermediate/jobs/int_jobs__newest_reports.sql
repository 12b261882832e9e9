-- One row per job of SkyPilot or Ray, or cluster that SkyPilot launched, by its newest report; one that knows the end
-- says more than any that does not.
select * from {{ ref('stg_job_reports__records') }}
qualify row_number() over (
    partition by scheduler_kind, record_kind, scheduler_name, job_id
    order by ended_at is null nulls last, reported_at desc nulls last, object_uri, object_position
) = 1
