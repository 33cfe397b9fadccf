-- Backfill: a shadow of a table is filled by a replay, compared, and takes the table's place day by day. Tables of shadows are
-- data, made by "sluice replay shadow"; these two say what they are for.
create table shadows (
  job text primary key,
  table_name text not null,
  -- Partitioned by day like the table.
  shadow_name text not null unique,
  -- Rows that the table got from then on are none that the replay was to bring: they are carried over as they are.
  planned_at timestamptz not null,
  made_at timestamptz not null default now(),
  made_by text not null default session_user
);

-- One row a day that changed places, written by the transaction that did it: cut off anywhere, the next run goes by it.
create table shadow_swaps (
  job text not null,
  day date not null,
  state text not null,
  -- The oldest transaction that was running then: whatever was written to the day later has this number or a higher one.
  newer_than bigint not null,
  -- Rows that were carried over, for the other table had them and this one had not.
  carried bigint not null,
  at timestamptz not null default clock_timestamp(),
  by text not null default session_user,
  -- What it left aside is dropped: there is no way back.
  cleaned_at timestamptz,
  primary key (job, day),
  constraint shadow_swaps_state check (state in ('swapped', 'unswapped'))
);

grant select on shadows, shadow_swaps to sluice_operator;
