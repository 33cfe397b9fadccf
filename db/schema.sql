-- Dumped from the catalogs, not edited: "npx vitest run --project int test/db/schema --update" after a migration.

-- tables

create table access_log (
  id bigint not null,
  at timestamp with time zone not null,
  actor text not null,
  action text not null,
  reason text not null,
  ticket text not null,
  subject text not null,
  prev_hash bytea not null,
  hash bytea not null,
  constraint access_log_pkey PRIMARY KEY (id)
);

create table data_keys (
  dek_id bigint not null generated always as identity,
  day date not null,
  sealed_dek bytea not null,
  created_at timestamp with time zone not null default now(),
  created_by text not null,
  constraint data_keys_day_fkey FOREIGN KEY (day) REFERENCES day_keys(day),
  constraint data_keys_pkey PRIMARY KEY (dek_id)
);

create table day_keys (
  day date not null,
  public_key bytea not null,
  created_at timestamp with time zone not null default now(),
  constraint day_keys_pkey PRIMARY KEY (day),
  constraint day_keys_public_key_length CHECK ((octet_length(public_key) = 32))
);

create table ledger (
  id bigint not null generated always as identity,
  topic text not null,
  partition integer not null,
  first_offset bigint not null,
  last_offset bigint not null,
  read integer not null,
  inserted integer not null,
  duplicate integer not null,
  dead integer not null,
  unknown_fields integer not null,
  written_by text not null,
  written_at timestamp with time zone not null default now(),
  constraint ledger_adds_up CHECK ((read = ((inserted + duplicate) + dead))),
  constraint ledger_counts CHECK (((read >= 0) AND (inserted >= 0) AND (duplicate >= 0) AND (dead >= 0) AND (unknown_fields >= 0))),
  constraint ledger_partition CHECK ((partition >= 0)),
  constraint ledger_pkey PRIMARY KEY (id),
  constraint ledger_range CHECK (((0 <= first_offset) AND (first_offset <= last_offset)))
);

create table schema_migrations (
  name text not null,
  sha256 text not null,
  applied_at timestamp with time zone not null default now(),
  constraint schema_migrations_pkey PRIMARY KEY (name)
);

create table user_logins (
  create_date date not null,
  event_id uuid not null,
  sent_at timestamp(3) with time zone not null,
  user_id character varying(128) not null,
  device_type character varying(32) not null,
  masked_ip character varying(256) not null,
  masked_device_id character varying(256) not null,
  locale character varying(32),
  app_version integer not null,
  app_version_text character varying(32) not null,
  ip_sealed bytea not null,
  device_id_sealed bytea not null,
  dek_id bigint not null,
  ingested_at timestamp with time zone not null default now(),
  constraint user_logins_pkey PRIMARY KEY (create_date, event_id)
) partition by RANGE (create_date);


-- indexes

CREATE INDEX data_keys_day ON public.data_keys USING btree (day);
CREATE INDEX ledger_topic_partition_first_offset ON public.ledger USING btree (topic, partition, first_offset);

-- functions

CREATE OR REPLACE FUNCTION public.access_log_chain()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  last record;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'access_log needs read committed' using errcode = 'invalid_transaction_state';
  end if;
  perform pg_advisory_xact_lock(5110009);
  select l.id, l.hash into last from public.access_log l order by l.id desc limit 1;
  new.id := coalesce(last.id, 0) + 1;
  new.at := clock_timestamp();
  new.actor := session_user;
  new.prev_hash := coalesce(last.hash, decode(repeat('00', 32), 'hex'));
  new.hash := public.access_log_hash(new);
  return new;
end
$function$
;

CREATE OR REPLACE FUNCTION public.access_log_field(value text)
 RETURNS bytea
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
 SET search_path TO 'pg_catalog', 'pg_temp'
RETURN (int4send(octet_length(convert_to(value, 'UTF8'::name))) || convert_to(value, 'UTF8'::name))
;

CREATE OR REPLACE FUNCTION public.access_log_hash(entry access_log)
 RETURNS bytea
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
 SET search_path TO 'pg_catalog', 'pg_temp'
RETURN sha256(((((((((entry).prev_hash || int8send((entry).id)) || int8send(((EXTRACT(epoch FROM (entry).at) * (1000000)::numeric))::bigint)) || access_log_field((entry).actor)) || access_log_field((entry).action)) || access_log_field((entry).reason)) || access_log_field((entry).ticket)) || access_log_field((entry).subject)))
;

CREATE OR REPLACE FUNCTION public.access_log_refuse()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  raise exception 'access_log is append-only' using errcode = 'insufficient_privilege';
end
$function$
;


-- triggers

CREATE TRIGGER access_log_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.access_log FOR EACH STATEMENT EXECUTE FUNCTION access_log_refuse();
CREATE TRIGGER access_log_chain BEFORE INSERT ON public.access_log FOR EACH ROW EXECUTE FUNCTION access_log_chain();

-- rights

grant execute on function access_log_field to public;
grant execute on function access_log_hash to public;
grant usage on schema public to public;
grant usage on schema public to sluice_analyst;
grant usage on schema public to sluice_operator;
grant usage on schema public to sluice_recoverer;
grant usage on schema public to sluice_writer;
grant select on table access_log to sluice_operator;
grant insert on table access_log to sluice_recoverer;
grant select on table access_log to sluice_recoverer;
grant select (created_at, day, dek_id) on table data_keys to sluice_operator;
grant select on table data_keys to sluice_recoverer;
grant insert on table data_keys to sluice_writer;
grant select (dek_id) on table data_keys to sluice_writer;
grant select on table day_keys to sluice_operator;
grant select on table day_keys to sluice_recoverer;
grant select (day, public_key) on table day_keys to sluice_writer;
grant select on table ledger to sluice_operator;
grant insert on table ledger to sluice_writer;
grant select (app_version, app_version_text, create_date, dek_id, device_type, event_id, ingested_at, locale, masked_device_id, masked_ip, sent_at, user_id) on table user_logins to sluice_analyst;
grant select (app_version, app_version_text, create_date, dek_id, device_type, event_id, ingested_at, locale, masked_device_id, masked_ip, sent_at, user_id) on table user_logins to sluice_operator;
grant select on table user_logins to sluice_recoverer;
grant insert on table user_logins to sluice_writer;
