-- What has been made unreadable for good. A personal field that was erased is null; the row stays, so that counts stay true.
alter table user_logins
  alter column masked_ip drop not null,
  alter column masked_device_id drop not null,
  alter column ip_sealed drop not null,
  alter column device_id_sealed drop not null;

-- The day's private key is gone: nothing is sealed to it any more, and what was is noise.
alter table day_keys add column destroyed_at timestamptz;

create function day_keys_stay_destroyed() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if old.destroyed_at is not null and new.destroyed_at is distinct from old.destroyed_at then
    raise exception 'a destroyed day key stays destroyed' using errcode = 'insufficient_privilege';
  end if;
  return new;
end
$$;
create trigger day_keys_stay_destroyed before update on day_keys
  for each row execute function day_keys_stay_destroyed();
revoke execute on function day_keys_stay_destroyed() from public;

-- One row an order to shred: a day, a user, or the pepper of a token epoch. It is written before anything is destroyed and
-- finished with its proof: what was counted, in numbers and dates.
create table shreds (
  id bigint generated always as identity primary key,
  scope text not null,
  day date,
  user_id varchar(128),
  token_epoch integer,
  reason text not null,
  ticket text not null,
  ordered_by text not null default session_user,
  ordered_at timestamptz not null default now(),
  finished_at timestamptz,
  proof jsonb,
  -- When "sluice maintain" last cleared what had come since: writers finish the hour of their data key, topics are read late.
  swept_at timestamptz,
  constraint shreds_scope check (
    (scope = 'day' and day is not null and num_nonnulls(user_id, token_epoch) = 0)
    or (scope = 'user' and user_id is not null and num_nonnulls(day, token_epoch) = 0)
    or (scope = 'token_epoch' and token_epoch is not null and num_nonnulls(day, user_id) = 0)
  ),
  constraint shreds_proof check ((finished_at is null) = (proof is null))
);
create unique index shreds_day on shreds (day) where scope = 'day';

-- Who shreds may finish an order, once: a proof is not written anew.
create function shreds_stay_finished() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if old.finished_at is not null
    and (new.finished_at is distinct from old.finished_at or new.proof is distinct from old.proof) then
    raise exception 'a finished order stays as it is' using errcode = 'insufficient_privilege';
  end if;
  return new;
end
$$;
create trigger shreds_stay_finished before update on shreds
  for each row execute function shreds_stay_finished();
revoke execute on function shreds_stay_finished() from public;

grant select (create_date, event_id, sent_at, user_id, masked_ip, masked_device_id, dek_id) on user_logins to sluice_shredder;
grant update (masked_ip, masked_device_id, ip_sealed, device_id_sealed) on user_logins to sluice_shredder;
grant select, update (destroyed_at) on day_keys to sluice_shredder;
grant select (dek_id, day, created_at) on data_keys to sluice_shredder;
grant select, insert (scope, day, user_id, token_epoch, reason, ticket), update (finished_at, proof) on shreds to sluice_shredder;
grant select, insert on access_log to sluice_shredder;
grant select on shreds to sluice_operator, sluice_recoverer;
grant select (destroyed_at) on day_keys to sluice_writer;
