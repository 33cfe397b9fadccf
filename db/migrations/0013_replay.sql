-- Replays: jobs that read a range of a topic once more, with a position of their own. See 0001_roles.sql for why the role may
-- exist already.
do $$
begin
  create role sluice_replayer nologin;
exception
  when duplicate_object or unique_violation then null;
end
$$;

-- What is to be done, for good: a job does what its plan says or nothing. The name is part of the name of its shadow table.
create table replay_jobs (
  job text primary key,
  plan jsonb not null,
  plan_sha256 bytea not null,
  state text not null default 'running',
  created_at timestamptz not null default now(),
  created_by text not null default session_user,
  changed_at timestamptz not null default now(),
  -- Of a job that is done: counts, checksum, rate and time.
  report jsonb,
  constraint replay_jobs_job check (job ~ '^[a-z][a-z0-9_-]{0,29}$'),
  constraint replay_jobs_state check (state in ('running', 'paused', 'cancelled', 'done')),
  constraint replay_jobs_report check ((state = 'done') = (report is not null))
);

-- What each batch covered and what became of it, in the transaction of its rows. **The position of a job is the end of its last
-- entry**, and each entry begins where the one before it ends: of two processes that both begin there, the key lets one go on.
create table replay_ledger (
  job text not null references replay_jobs,
  partition integer not null,
  first_offset bigint not null,
  last_offset bigint not null,
  read integer not null,
  inserted integer not null,
  duplicate integer not null,
  dead integer not null,
  filtered integer not null,
  -- Offsets that retention had taken before they were read.
  missed bigint not null,
  unknown_fields integer not null,
  -- By day: read, inserted, duplicate, dead, filtered.
  days jsonb not null,
  -- Offset, code, stage, field and detail of the dead ones: the live writer has their dead letters.
  dead_records jsonb not null,
  written_by text not null,
  written_at timestamptz not null default now(),
  primary key (job, partition, first_offset),
  constraint replay_ledger_range check (0 <= first_offset and first_offset <= last_offset),
  constraint replay_ledger_adds_up check (read = inserted + duplicate + dead + filtered),
  constraint replay_ledger_counts check (inserted >= 0 and duplicate >= 0 and dead >= 0 and filtered >= 0 and missed >= 0)
);

-- Who works on a job: written twice a second by each process, which so learns how long a commit takes.
create table replay_workers (
  job text not null references replay_jobs,
  worker text not null,
  seen_at timestamptz not null default now(),
  -- What it may read a second at the moment; null: as much as it can.
  per_second integer,
  -- What slows it down: live lag, latency, or nothing.
  held_by text,
  primary key (job, worker)
);

grant usage on schema public to sluice_replayer;
grant select, insert, update (state, changed_at, report) on replay_jobs to sluice_replayer;
grant select, insert on replay_ledger to sluice_replayer;
grant select, insert, update (seen_at, per_second, held_by) on replay_workers to sluice_replayer;
grant select on replay_jobs, replay_ledger, replay_workers to sluice_operator;

-- What a writer may, and to see what it wrote but for what is sealed: a replay counts what was there already and proves that all is.
grant insert on user_logins to sluice_replayer;
grant select (
  create_date, event_id, sent_at, user_id, device_type, masked_ip, masked_device_id, masked_ip_prior, masked_device_id_prior, locale,
  app_version, app_version_text, dek_id, ingested_at
) on user_logins to sluice_replayer;
grant insert on data_keys to sluice_replayer;
grant select (dek_id) on data_keys to sluice_replayer;
grant select (day, public_key, destroyed_at) on day_keys to sluice_replayer;
grant select on token_epochs to sluice_replayer;
grant select (table_name, day, state) on archives to sluice_replayer;
grant execute on function assert_token_epochs(integer, integer) to sluice_replayer;
