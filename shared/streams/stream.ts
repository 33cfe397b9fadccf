import type { PgTable } from 'drizzle-orm/pg-core';
import type { DeadLetterCode } from '../errors.ts';

/** Why a record is a dead letter: a code of the catalogue and, where one is at fault, the field's name. Never its value. */
export interface Refusal {
  readonly code: DeadLetterCode;
  readonly field?: string;
}

/** A message as its stream understands it, or why it does not. */
export type Parsed<M> =
  | { readonly message: M; readonly unknownFields: number }
  | { readonly refusal: Refusal };

/** A column that the database may read: how its values are sent (`unnest` array type) and where they come from. */
export type ClearColumn<M> = TextColumn<M> | IntegerColumn<M>;

interface TextColumn<M> {
  readonly column: string;
  readonly arrayType: 'text[]';
  readonly value: (message: M) => string | null;
}

interface IntegerColumn<M> {
  readonly column: string;
  readonly arrayType: 'integer[]';
  readonly value: (message: M) => number | null;
}

/** A personal field: sealed into one column and, as a token, masked in another; null in both once erased. `value` is canonical. */
export interface PersonalField<M> {
  /** The field's name in the message; also what its token is bound to. */
  readonly field: string;
  readonly sealedColumn: string;
  readonly maskedColumn: string;
  /** Its token of the epoch before, while a window between two epochs is open. */
  readonly priorColumn: string;
  readonly value: (message: M) => string;
}

/**
 * A stream: the message, its table, what is sealed and how a message becomes a row. Every stream's table has besides
 * `create_date date, event_id uuid, sent_at timestamptz(3), dek_id bigint`, which the writer fills from identity and time.
 */
export interface Stream<M> {
  /** The table's name, and the name that sealed fields are bound to. */
  readonly name: string;
  readonly table: PgTable;
  /** Counts up when another row is made of a message than before: a plan of a replay names the one it was made with. */
  readonly transform: number;
  readonly clearColumns: readonly ClearColumn<M>[];
  readonly personalFields: readonly PersonalField<M>[];
  parse(body: Buffer): Parsed<M>;
}
