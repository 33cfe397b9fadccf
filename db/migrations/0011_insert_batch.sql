-- Part of the statement that writes a batch: its rows and its ledger at once, in one round trip. True when every row was new; an error
-- otherwise, which undoes both, for the ledger has to say of which partition the others were, and the writer may not read them.
create function assert_rows_new(inserted bigint, sent bigint) returns boolean
  language plpgsql volatile
  set search_path = pg_catalog, pg_temp
as $$
begin
  if inserted <> sent then
    raise exception 'some rows are there already' using errcode = 'SL002';
  end if;
  return true;
end
$$;
revoke execute on function assert_rows_new(bigint, bigint) from public;
grant execute on function assert_rows_new(bigint, bigint) to sluice_writer;
