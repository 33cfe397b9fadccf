-- The public half of each day's X25519 keypair. The private half is in the vault and nowhere else. A day has one key, ever.
create table day_keys (
  day date primary key,
  public_key bytea not null,
  created_at timestamptz not null default now(),
  constraint day_keys_public_key_length check (octet_length(public_key) = 32)
);

-- Data keys, sealed to the public key of their day before their first use.
create table data_keys (
  dek_id bigint generated always as identity primary key,
  day date not null references day_keys,
  sealed_dek bytea not null,
  created_at timestamptz not null default now(),
  created_by text not null
);

create index data_keys_day on data_keys (day);

grant select (day, public_key) on day_keys to sluice_writer;
grant insert on data_keys to sluice_writer;
grant select (dek_id) on data_keys to sluice_writer;

grant select on day_keys, data_keys to sluice_recoverer;

grant select on day_keys to sluice_operator;
grant select (dek_id, day, created_at) on data_keys to sluice_operator;
