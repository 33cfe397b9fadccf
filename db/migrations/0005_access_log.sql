-- Who opened what, and why. A row is written before the plaintext is shown. The trigger fills id, at, actor, prev_hash and
-- hash, whatever the insert says of them. Ids are contiguous and each row's hash covers the one before it, so that a row
-- altered or deleted later shows; rows cut from the end show only to someone who kept an earlier hash.
--
--   hash = sha256(prev_hash | int8 id | int8 microseconds of at since 1970 | field(actor) | field(action) | field(reason)
--                 | field(ticket) | field(subject))
--   field(text) = int4 length in bytes | UTF-8; integers are big-endian; the first row's prev_hash is 32 zero bytes.
create table access_log (
  id bigint primary key,
  at timestamptz not null,
  actor text not null,
  action text not null,
  reason text not null,
  ticket text not null,
  subject text not null,
  prev_hash bytea not null,
  hash bytea not null
);

create function access_log_field(value text) returns bytea
  language sql immutable strict parallel safe
  set search_path = pg_catalog, pg_temp
  return int4send(octet_length(convert_to(value, 'UTF8'))) || convert_to(value, 'UTF8');

create function access_log_hash(entry access_log) returns bytea
  language sql immutable strict parallel safe
  set search_path = pg_catalog, pg_temp
  return sha256(
    entry.prev_hash || int8send(entry.id) || int8send((extract(epoch from entry.at) * 1000000)::bigint)
    || public.access_log_field(entry.actor) || public.access_log_field(entry.action)
    || public.access_log_field(entry.reason) || public.access_log_field(entry.ticket)
    || public.access_log_field(entry.subject)
  );

-- Runs as the owner, so that who inserts needs no more than insert. The lock is held until the end of the transaction: the
-- next entry then sees this one, which holds only while statements see what was committed before them (read committed).
create function access_log_chain() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
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
$$;

create function access_log_refuse() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'access_log is append-only' using errcode = 'insufficient_privilege';
end
$$;

create trigger access_log_chain before insert on access_log
  for each row execute function access_log_chain();
create trigger access_log_append_only before update or delete or truncate on access_log
  for each statement execute function access_log_refuse();

revoke execute on function access_log_chain(), access_log_refuse() from public;

grant insert, select on access_log to sluice_recoverer;
grant select on access_log to sluice_operator;
