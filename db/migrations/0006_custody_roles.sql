-- Three roles more. The shredder destroys and reads nothing that is sealed; the tokenizer writes tokens anew; the approver lets
-- another one's recovery go ahead. See 0001_roles.sql for why a role may exist already.
do $$
declare
  name text;
begin
  foreach name in array array['sluice_shredder', 'sluice_tokenizer', 'sluice_approver'] loop
    begin
      execute format('create role %I nologin', name);
    exception
      when duplicate_object or unique_violation then null;
    end;
  end loop;
end
$$;

grant usage on schema public to sluice_shredder, sluice_tokenizer, sluice_approver;
