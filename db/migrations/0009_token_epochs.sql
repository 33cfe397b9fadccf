-- Whose pepper masks. While one epoch is "prior" a window is open: new rows carry both tokens, the current one in masked_*, the
-- prior one in masked_*_prior, and old rows are given theirs by "sluice tokens retoken".
create table token_epochs (
  epoch integer primary key,
  state text not null,
  began_at timestamptz not null default now(),
  retired_at timestamptz,
  constraint token_epochs_epoch check (epoch > 0),
  constraint token_epochs_state check (state in ('current', 'prior', 'retired'))
);
create unique index token_epochs_current on token_epochs (state) where state <> 'retired';
insert into token_epochs (epoch, state) values (1, 'current');

alter table user_logins
  add column masked_ip_prior varchar(256),
  add column masked_device_id_prior varchar(256);

-- What analysts join on: one epoch for every row, whenever they ask. In a window that is the prior one, which old and new rows
-- have; outside it the current one. A prior token counts only while its epoch is the prior one, so that what a cleared window or an
-- old archive left behind shows nowhere.
create view user_logins_masked as
  select create_date, event_id, sent_at, user_id, device_type,
    case when starts_with(masked_ip_prior, w.prefix) then masked_ip_prior else masked_ip end as masked_ip,
    case when starts_with(masked_device_id_prior, w.prefix) then masked_device_id_prior else masked_device_id end
      as masked_device_id,
    locale, app_version, app_version_text, ingested_at
  from user_logins
  left join (select 't' || epoch || ':' as prefix from token_epochs where state = 'prior') w on true;

-- Part of every insert: true while these are the epochs, an error otherwise. The lock makes whoever changes the epochs wait for
-- inserts under way, and the look comes after it with a snapshot of its own, so that no row is ever committed with tokens of
-- epochs that were over by then. Same number as lockKeys.tokenEpochs.
create function assert_token_epochs(current_epoch integer, prior_epoch integer) returns boolean
  language plpgsql volatile
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_advisory_xact_lock_shared(5110006);
  if current_epoch is distinct from (select epoch from public.token_epochs where state = 'current')
    or prior_epoch is distinct from (select epoch from public.token_epochs where state = 'prior')
  then
    raise exception 'these are not the token epochs' using errcode = 'SL001';
  end if;
  return true;
end
$$;
revoke execute on function assert_token_epochs(integer, integer) from public;
grant execute on function assert_token_epochs(integer, integer) to sluice_writer;

grant select on user_logins_masked to sluice_analyst, sluice_operator;
grant select on token_epochs to sluice_writer, sluice_operator, sluice_analyst, sluice_recoverer, sluice_tokenizer, sluice_shredder;
grant select (masked_ip_prior, masked_device_id_prior) on user_logins to sluice_operator, sluice_analyst, sluice_shredder;
grant update (masked_ip_prior, masked_device_id_prior) on user_logins to sluice_shredder;

grant select on user_logins, day_keys, data_keys to sluice_tokenizer;
grant update (masked_ip, masked_device_id, masked_ip_prior, masked_device_id_prior) on user_logins to sluice_tokenizer;
grant select, insert on access_log to sluice_tokenizer;
