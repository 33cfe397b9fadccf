-- The four roles of the pipeline. Roles belong to the whole cluster, so they may exist already, and two databases may be
-- migrated at once: a role that another session made first is no error. They cannot log in until they are given a password.
do $$
declare
  name text;
begin
  foreach name in array array['sluice_writer', 'sluice_recoverer', 'sluice_operator', 'sluice_analyst'] loop
    begin
      execute format('create role %I nologin', name);
    exception
      when duplicate_object or unique_violation then null;
    end;
  end loop;
end
$$;

revoke create on schema public from public;
grant usage on schema public to sluice_writer, sluice_recoverer, sluice_operator, sluice_analyst;
