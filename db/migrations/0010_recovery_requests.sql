-- A recovery that needs a second person: asked for by one login, approved by another, used once, within a day.
create table recovery_requests (
  id bigint generated always as identity primary key,
  -- What is to be opened, in the words of the access log.
  subject text not null,
  reason text not null,
  ticket text not null,
  requested_by text not null default session_user,
  requested_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '1 day',
  approved_by text,
  approved_at timestamptz,
  used_at timestamptz,
  constraint recovery_requests_two_people check (approved_by <> requested_by),
  constraint recovery_requests_approval check ((approved_by is null) = (approved_at is null))
);

-- Runs as the owner: who approves has no right to change a request otherwise, and who asks has none to approve.
create function approve_recovery(request bigint) returns boolean
  language sql security definer
  set search_path = pg_catalog, pg_temp
  begin atomic
    with approved as (
      update public.recovery_requests set approved_by = session_user, approved_at = now()
      where id = request and approved_by is null and used_at is null and expires_at > now()
        and requested_by <> session_user
      returning id
    )
    select count(*) = 1 from approved;
  end;
revoke execute on function approve_recovery(bigint) from public;
grant execute on function approve_recovery(bigint) to sluice_approver;

-- Marks an approved request as used, once; who asked for it is who may use it.
create function use_recovery(request bigint, for_subject text) returns boolean
  language sql security definer
  set search_path = pg_catalog, pg_temp
  begin atomic
    with used as (
      update public.recovery_requests set used_at = now()
      where id = request and subject = for_subject and approved_by is not null and used_at is null
        and expires_at > now() and requested_by = session_user
      returning id
    )
    select count(*) = 1 from used;
  end;
revoke execute on function use_recovery(bigint, text) from public;
grant execute on function use_recovery(bigint, text) to sluice_recoverer;

grant select, insert (subject, reason, ticket) on recovery_requests to sluice_recoverer;
grant select on recovery_requests to sluice_approver, sluice_operator;
grant select, insert on access_log to sluice_approver;
