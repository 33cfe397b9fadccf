import { sql, type SQL } from 'drizzle-orm';

/** The current epoch becomes the prior one. The command tag says 0 when `epoch` is not current. By the primary key. */
export function makeEpochPrior(epoch: number): SQL {
  return sql`update token_epochs set state = 'prior' where epoch = ${epoch} and state = 'current'`;
}

/** An epoch begins as the current one; there must be none. */
export function beginEpoch(epoch: number): SQL {
  return sql`insert into token_epochs (epoch, state) values (${epoch}, 'current')`;
}

/** The prior epoch is over. The command tag says 0 when `epoch` is not prior. By the primary key. */
export function retireEpoch(epoch: number): SQL {
  return sql`update token_epochs set state = 'retired', retired_at = now() where epoch = ${epoch} and state = 'prior'`;
}
