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

create table archives (
  table_name text not null,
  day date not null,
  state text not null,
  location text not null,
  manifest_sha256 bytea,
  rows bigint,
  bytes bigint,
  began_at timestamp with time zone not null default now(),
  archived_at timestamp with time zone,
  restored_at timestamp with time zone,
  keep_until timestamp with time zone,
  tokens_cleared_at timestamp with time zone,
  constraint archives_pkey PRIMARY KEY (table_name, day),
  constraint archives_state CHECK ((state = ANY (ARRAY['detaching'::text, 'writing'::text, 'moving_key'::text, 'dropping'::text, 'archived'::text, 'restoring'::text, 'restored'::text])))
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
  destroyed_at timestamp with time zone,
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

create table recovery_requests (
  id bigint not null generated always as identity,
  subject text not null,
  reason text not null,
  ticket text not null,
  requested_by text not null default SESSION_USER,
  requested_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone not null default (now() + '1 day'::interval),
  approved_by text,
  approved_at timestamp with time zone,
  used_at timestamp with time zone,
  constraint recovery_requests_approval CHECK (((approved_by IS NULL) = (approved_at IS NULL))),
  constraint recovery_requests_pkey PRIMARY KEY (id),
  constraint recovery_requests_two_people CHECK ((approved_by <> requested_by))
);

create table replay_jobs (
  job text not null,
  plan jsonb not null,
  plan_sha256 bytea not null,
  state text not null default 'running'::text,
  created_at timestamp with time zone not null default now(),
  created_by text not null default SESSION_USER,
  changed_at timestamp with time zone not null default now(),
  report jsonb,
  constraint replay_jobs_job CHECK ((job ~ '^[a-z][a-z0-9_-]{0,29}$'::text)),
  constraint replay_jobs_pkey PRIMARY KEY (job),
  constraint replay_jobs_report CHECK (((state = 'done'::text) = (report IS NOT NULL))),
  constraint replay_jobs_state CHECK ((state = ANY (ARRAY['running'::text, 'paused'::text, 'cancelled'::text, 'done'::text])))
);

create table replay_ledger (
  job text not null,
  partition integer not null,
  first_offset bigint not null,
  last_offset bigint not null,
  read integer not null,
  inserted integer not null,
  duplicate integer not null,
  dead integer not null,
  filtered integer not null,
  missed bigint not null,
  unknown_fields integer not null,
  days jsonb not null,
  dead_records jsonb not null,
  written_by text not null,
  written_at timestamp with time zone not null default now(),
  constraint replay_ledger_adds_up CHECK ((read = (((inserted + duplicate) + dead) + filtered))),
  constraint replay_ledger_counts CHECK (((inserted >= 0) AND (duplicate >= 0) AND (dead >= 0) AND (filtered >= 0) AND (missed >= 0))),
  constraint replay_ledger_job_fkey FOREIGN KEY (job) REFERENCES replay_jobs(job),
  constraint replay_ledger_pkey PRIMARY KEY (job, partition, first_offset),
  constraint replay_ledger_range CHECK (((0 <= first_offset) AND (first_offset <= last_offset)))
);

create table replay_workers (
  job text not null,
  worker text not null,
  seen_at timestamp with time zone not null default now(),
  per_second integer,
  held_by text,
  constraint replay_workers_job_fkey FOREIGN KEY (job) REFERENCES replay_jobs(job),
  constraint replay_workers_pkey PRIMARY KEY (job, worker)
);

create table schema_migrations (
  name text not null,
  sha256 text not null,
  applied_at timestamp with time zone not null default now(),
  constraint schema_migrations_pkey PRIMARY KEY (name)
);

create table shadow_swaps (
  job text not null,
  day date not null,
  state text not null,
  newer_than bigint not null,
  carried bigint not null,
  at timestamp with time zone not null default clock_timestamp(),
  by text not null default SESSION_USER,
  cleaned_at timestamp with time zone,
  constraint shadow_swaps_pkey PRIMARY KEY (job, day),
  constraint shadow_swaps_state CHECK ((state = ANY (ARRAY['swapped'::text, 'unswapped'::text])))
);

create table shadows (
  job text not null,
  table_name text not null,
  shadow_name text not null,
  planned_at timestamp with time zone not null,
  made_at timestamp with time zone not null default now(),
  made_by text not null default SESSION_USER,
  constraint shadows_pkey PRIMARY KEY (job),
  constraint shadows_shadow_name_key UNIQUE (shadow_name)
);

create table shreds (
  id bigint not null generated always as identity,
  scope text not null,
  day date,
  user_id character varying(128),
  token_epoch integer,
  reason text not null,
  ticket text not null,
  ordered_by text not null default SESSION_USER,
  ordered_at timestamp with time zone not null default now(),
  finished_at timestamp with time zone,
  proof jsonb,
  swept_at timestamp with time zone,
  constraint shreds_pkey PRIMARY KEY (id),
  constraint shreds_proof CHECK (((finished_at IS NULL) = (proof IS NULL))),
  constraint shreds_scope CHECK ((((scope = 'day'::text) AND (day IS NOT NULL) AND (num_nonnulls(user_id, token_epoch) = 0)) OR ((scope = 'user'::text) AND (user_id IS NOT NULL) AND (num_nonnulls(day, token_epoch) = 0)) OR ((scope = 'token_epoch'::text) AND (token_epoch IS NOT NULL) AND (num_nonnulls(day, user_id) = 0))))
);

create table token_epochs (
  epoch integer not null,
  state text not null,
  began_at timestamp with time zone not null default now(),
  retired_at timestamp with time zone,
  constraint token_epochs_epoch CHECK ((epoch > 0)),
  constraint token_epochs_pkey PRIMARY KEY (epoch),
  constraint token_epochs_state CHECK ((state = ANY (ARRAY['current'::text, 'prior'::text, 'retired'::text])))
);

create table user_logins (
  create_date date not null,
  event_id uuid not null,
  sent_at timestamp(3) with time zone not null,
  user_id character varying(128) not null,
  device_type character varying(32) not null,
  masked_ip character varying(256),
  masked_device_id character varying(256),
  locale character varying(32),
  app_version integer not null,
  app_version_text character varying(32) not null,
  ip_sealed bytea,
  device_id_sealed bytea,
  dek_id bigint not null,
  ingested_at timestamp with time zone not null default now(),
  masked_ip_prior character varying(256),
  masked_device_id_prior character varying(256),
  constraint user_logins_pkey PRIMARY KEY (create_date, event_id)
) partition by RANGE (create_date);


-- views

create view user_logins_masked as
 SELECT user_logins.create_date,
    user_logins.event_id,
    user_logins.sent_at,
    user_logins.user_id,
    user_logins.device_type,
        CASE
            WHEN starts_with((user_logins.masked_ip_prior)::text, w.prefix) THEN user_logins.masked_ip_prior
            ELSE user_logins.masked_ip
        END AS masked_ip,
        CASE
            WHEN starts_with((user_logins.masked_device_id_prior)::text, w.prefix) THEN user_logins.masked_device_id_prior
            ELSE user_logins.masked_device_id
        END AS masked_device_id,
    user_logins.locale,
    user_logins.app_version,
    user_logins.app_version_text,
    user_logins.ingested_at
   FROM (user_logins
     LEFT JOIN ( SELECT (('t'::text || token_epochs.epoch) || ':'::text) AS prefix
           FROM token_epochs
          WHERE (token_epochs.state = 'prior'::text)) w ON (true));


-- indexes

CREATE INDEX data_keys_day ON public.data_keys USING btree (day);
CREATE INDEX ledger_topic_partition_first_offset ON public.ledger USING btree (topic, partition, first_offset);
CREATE UNIQUE INDEX shreds_day ON public.shreds USING btree (day) WHERE (scope = 'day'::text);
CREATE UNIQUE INDEX token_epochs_current ON public.token_epochs USING btree (state) WHERE (state <> 'retired'::text);

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

CREATE OR REPLACE FUNCTION public.approve_recovery(request bigint)
 RETURNS boolean
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 WITH approved AS (
          UPDATE recovery_requests SET approved_by = SESSION_USER, approved_at = now()
           WHERE ((recovery_requests.id = approve_recovery.request) AND (recovery_requests.approved_by IS NULL) AND (recovery_requests.used_at IS NULL) AND (recovery_requests.expires_at > now()) AND (recovery_requests.requested_by <> SESSION_USER))
           RETURNING recovery_requests.id
         )
  SELECT (count(*) = 1)
    FROM approved;
END
;

CREATE OR REPLACE FUNCTION public.assert_token_epochs(current_epoch integer, prior_epoch integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform pg_advisory_xact_lock_shared(5110006);
  if current_epoch is distinct from (select epoch from public.token_epochs where state = 'current')
    or prior_epoch is distinct from (select epoch from public.token_epochs where state = 'prior')
  then
    raise exception 'these are not the token epochs' using errcode = 'SL001';
  end if;
  return true;
end
$function$
;

CREATE OR REPLACE FUNCTION public.day_keys_stay_destroyed()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if old.destroyed_at is not null and new.destroyed_at is distinct from old.destroyed_at then
    raise exception 'a destroyed day key stays destroyed' using errcode = 'insufficient_privilege';
  end if;
  return new;
end
$function$
;

CREATE OR REPLACE FUNCTION public.shreds_stay_finished()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if old.finished_at is not null
    and (new.finished_at is distinct from old.finished_at or new.proof is distinct from old.proof) then
    raise exception 'a finished order stays as it is' using errcode = 'insufficient_privilege';
  end if;
  return new;
end
$function$
;

CREATE OR REPLACE FUNCTION public.use_recovery(request bigint, for_subject text)
 RETURNS boolean
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 WITH used AS (
          UPDATE recovery_requests SET used_at = now()
           WHERE ((recovery_requests.id = use_recovery.request) AND (recovery_requests.subject = use_recovery.for_subject) AND (recovery_requests.approved_by IS NOT NULL) AND (recovery_requests.used_at IS NULL) AND (recovery_requests.expires_at > now()) AND (recovery_requests.requested_by = SESSION_USER))
           RETURNING recovery_requests.id
         )
  SELECT (count(*) = 1)
    FROM used;
END
;


-- triggers

CREATE TRIGGER access_log_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.access_log FOR EACH STATEMENT EXECUTE FUNCTION access_log_refuse();
CREATE TRIGGER access_log_chain BEFORE INSERT ON public.access_log FOR EACH ROW EXECUTE FUNCTION access_log_chain();
CREATE TRIGGER day_keys_stay_destroyed BEFORE UPDATE ON public.day_keys FOR EACH ROW EXECUTE FUNCTION day_keys_stay_destroyed();
CREATE TRIGGER shreds_stay_finished BEFORE UPDATE ON public.shreds FOR EACH ROW EXECUTE FUNCTION shreds_stay_finished();

-- rights

grant execute on function access_log_field to public;
grant execute on function access_log_hash to public;
grant execute on function approve_recovery to sluice_approver;
grant execute on function assert_token_epochs to sluice_replayer;
grant execute on function assert_token_epochs to sluice_writer;
grant execute on function use_recovery to sluice_recoverer;
grant usage on schema public to public;
grant usage on schema public to sluice_analyst;
grant usage on schema public to sluice_approver;
grant usage on schema public to sluice_monitor;
grant usage on schema public to sluice_operator;
grant usage on schema public to sluice_recoverer;
grant usage on schema public to sluice_replayer;
grant usage on schema public to sluice_shredder;
grant usage on schema public to sluice_tokenizer;
grant usage on schema public to sluice_writer;
grant insert on table access_log to sluice_approver;
grant select on table access_log to sluice_approver;
grant select on table access_log to sluice_operator;
grant insert on table access_log to sluice_recoverer;
grant select on table access_log to sluice_recoverer;
grant insert on table access_log to sluice_shredder;
grant select on table access_log to sluice_shredder;
grant insert on table access_log to sluice_tokenizer;
grant select on table access_log to sluice_tokenizer;
grant select (archived_at, day, state, table_name) on table archives to sluice_monitor;
grant select on table archives to sluice_operator;
grant select on table archives to sluice_recoverer;
grant select (day, state, table_name) on table archives to sluice_replayer;
grant select on table archives to sluice_shredder;
grant update (bytes, manifest_sha256, tokens_cleared_at) on table archives to sluice_shredder;
grant select on table archives to sluice_tokenizer;
grant select (day, state, table_name) on table archives to sluice_writer;
grant select (created_at, day, dek_id) on table data_keys to sluice_operator;
grant select on table data_keys to sluice_recoverer;
grant insert on table data_keys to sluice_replayer;
grant select (dek_id) on table data_keys to sluice_replayer;
grant select (created_at, day, dek_id) on table data_keys to sluice_shredder;
grant select on table data_keys to sluice_tokenizer;
grant insert on table data_keys to sluice_writer;
grant select (dek_id) on table data_keys to sluice_writer;
grant select (created_at, day, destroyed_at) on table day_keys to sluice_monitor;
grant select on table day_keys to sluice_operator;
grant select on table day_keys to sluice_recoverer;
grant select (day, destroyed_at, public_key) on table day_keys to sluice_replayer;
grant select on table day_keys to sluice_shredder;
grant update (destroyed_at) on table day_keys to sluice_shredder;
grant select on table day_keys to sluice_tokenizer;
grant select (day, destroyed_at, public_key) on table day_keys to sluice_writer;
grant select on table ledger to sluice_monitor;
grant select on table ledger to sluice_operator;
grant insert on table ledger to sluice_writer;
grant select on table recovery_requests to sluice_approver;
grant select on table recovery_requests to sluice_operator;
grant insert (reason, subject, ticket) on table recovery_requests to sluice_recoverer;
grant select on table recovery_requests to sluice_recoverer;
grant select on table replay_jobs to sluice_operator;
grant insert on table replay_jobs to sluice_replayer;
grant select on table replay_jobs to sluice_replayer;
grant update (changed_at, report, state) on table replay_jobs to sluice_replayer;
grant select on table replay_ledger to sluice_operator;
grant insert on table replay_ledger to sluice_replayer;
grant select on table replay_ledger to sluice_replayer;
grant select on table replay_workers to sluice_operator;
grant insert on table replay_workers to sluice_replayer;
grant select on table replay_workers to sluice_replayer;
grant update (held_by, per_second, seen_at) on table replay_workers to sluice_replayer;
grant select on table shadow_swaps to sluice_operator;
grant select on table shadows to sluice_operator;
grant select (day, finished_at, id, ordered_at, scope) on table shreds to sluice_monitor;
grant select on table shreds to sluice_operator;
grant select on table shreds to sluice_recoverer;
grant insert (day, reason, scope, ticket, token_epoch, user_id) on table shreds to sluice_shredder;
grant select on table shreds to sluice_shredder;
grant update (finished_at, proof) on table shreds to sluice_shredder;
grant select on table token_epochs to sluice_analyst;
grant select (epoch, state) on table token_epochs to sluice_monitor;
grant select on table token_epochs to sluice_operator;
grant select on table token_epochs to sluice_recoverer;
grant select on table token_epochs to sluice_replayer;
grant select on table token_epochs to sluice_shredder;
grant select on table token_epochs to sluice_tokenizer;
grant select on table token_epochs to sluice_writer;
grant select (app_version, app_version_text, create_date, dek_id, device_type, event_id, ingested_at, locale, masked_device_id, masked_device_id_prior, masked_ip, masked_ip_prior, sent_at, user_id) on table user_logins to sluice_analyst;
grant select (create_date, ctid, ingested_at, sent_at) on table user_logins to sluice_monitor;
grant select (app_version, app_version_text, create_date, dek_id, device_type, event_id, ingested_at, locale, masked_device_id, masked_device_id_prior, masked_ip, masked_ip_prior, sent_at, user_id) on table user_logins to sluice_operator;
grant select on table user_logins to sluice_recoverer;
grant insert on table user_logins to sluice_replayer;
grant select (app_version, app_version_text, create_date, dek_id, device_type, event_id, ingested_at, locale, masked_device_id, masked_device_id_prior, masked_ip, masked_ip_prior, sent_at, user_id) on table user_logins to sluice_replayer;
grant select (create_date, dek_id, event_id, masked_device_id, masked_device_id_prior, masked_ip, masked_ip_prior, sent_at, user_id) on table user_logins to sluice_shredder;
grant update (device_id_sealed, ip_sealed, masked_device_id, masked_device_id_prior, masked_ip, masked_ip_prior) on table user_logins to sluice_shredder;
grant select on table user_logins to sluice_tokenizer;
grant update (masked_device_id, masked_device_id_prior, masked_ip, masked_ip_prior) on table user_logins to sluice_tokenizer;
grant insert on table user_logins to sluice_writer;
grant select on table user_logins_masked to sluice_analyst;
grant select on table user_logins_masked to sluice_operator;
