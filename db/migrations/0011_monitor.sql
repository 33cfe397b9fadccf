-- Whoever watches: counts, days and times, and nothing that says whose they are. See 0001_roles.sql for why a role may exist already.
do $$
begin
  create role sluice_monitor nologin;
exception
  when duplicate_object or unique_violation then null;
end
$$;

grant usage on schema public to sluice_monitor;
grant select on ledger to sluice_monitor;
-- When rows were sent and when they came: from the last pages of a partition, by ctid, without an index and without reading it whole.
grant select (ctid, create_date, sent_at, ingested_at) on user_logins to sluice_monitor;
grant select (day, created_at, destroyed_at) on day_keys to sluice_monitor;
grant select (table_name, day, state, archived_at) on archives to sluice_monitor;
-- That an order is not finished; not whose, by whom or why.
grant select (id, scope, day, ordered_at, finished_at) on shreds to sluice_monitor;
grant select (epoch, state) on token_epochs to sluice_monitor;
