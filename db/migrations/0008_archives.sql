-- Days that lie in an archive, and how far the way there has come: each step is recorded when it is done, so that a run that
-- was cut off goes on from there. A day that was never archived has no row.
--
--   detaching → writing → moving_key → dropping → archived → restoring → restored (→ detaching …)
create table archives (
  table_name text not null,
  day date not null,
  state text not null,
  -- Where it lies, without credentials: file:/srv/archive/…, s3://bucket/prefix/…
  location text not null,
  -- sha256 of its manifest, from "moving_key" on.
  manifest_sha256 bytea,
  -- Rows, and bytes as stored.
  rows bigint,
  bytes bigint,
  began_at timestamptz not null default now(),
  archived_at timestamptz,
  restored_at timestamptz,
  -- "maintain" leaves a restored day alone until then.
  keep_until timestamptz,
  -- When the tokens in the stored copy were cleared, the day having been shredded.
  tokens_cleared_at timestamptz,
  primary key (table_name, day),
  constraint archives_state check (
    state in ('detaching', 'writing', 'moving_key', 'dropping', 'archived', 'restoring', 'restored')
  )
);

-- So that a record of an archived day is refused by name, not by trying.
grant select (table_name, day, state) on archives to sluice_writer;
grant select on archives to sluice_operator, sluice_recoverer, sluice_tokenizer;
grant select, update (manifest_sha256, bytes, tokens_cleared_at) on archives to sluice_shredder;
