-- What each batch covered and what became of it, written in the transaction of its rows. A range that is read again is
-- written again: overlaps are normal, a gap is a loss.
create table ledger (
  id bigint generated always as identity primary key,
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
  written_at timestamptz not null default now(),
  constraint ledger_range check (0 <= first_offset and first_offset <= last_offset),
  constraint ledger_partition check (partition >= 0),
  constraint ledger_counts check (read >= 0 and inserted >= 0 and duplicate >= 0 and dead >= 0 and unknown_fields >= 0),
  constraint ledger_adds_up check (read = inserted + duplicate + dead)
);

create index ledger_topic_partition_first_offset on ledger (topic, partition, first_offset);

grant insert on ledger to sluice_writer;
grant select on ledger to sluice_operator;
