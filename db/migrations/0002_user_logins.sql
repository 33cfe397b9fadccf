-- One partition a UTC day, made by "sluice maintain". No default partition: a row without a partition must be an error that
-- is seen, never a row in a place where nobody looks. Rights are given on the parent only; partitions carry none, so that
-- nobody reaches a partition but through it.
create table user_logins (
  create_date date not null,
  event_id uuid not null,
  sent_at timestamptz(3) not null,
  user_id varchar(128) not null,
  device_type varchar(32) not null,
  masked_ip varchar(256) not null,
  masked_device_id varchar(256) not null,
  locale varchar(32),
  app_version integer not null,
  app_version_text varchar(32) not null,
  ip_sealed bytea not null,
  device_id_sealed bytea not null,
  dek_id bigint not null,
  ingested_at timestamptz not null default now(),
  primary key (create_date, event_id)
) partition by range (create_date);

-- "insert … on conflict do nothing" without a target needs no select right, so the writer cannot read back what it wrote.
grant insert on user_logins to sluice_writer;
grant select on user_logins to sluice_recoverer;
grant select (
  create_date, event_id, sent_at, user_id, device_type, masked_ip, masked_device_id, locale, app_version, app_version_text,
  dek_id, ingested_at
) on user_logins to sluice_operator, sluice_analyst;
