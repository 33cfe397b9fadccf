import type { Session } from '../../db/client.ts';
import { hasDataKeys } from '../../db/queries/has-data-keys.ts';
import { listDayKeys } from '../../db/queries/list-day-keys.ts';
import { listTokenEpochs } from '../../db/queries/list-token-epochs.ts';
import { publishDayKey } from '../../db/queries/publish-day-key.ts';
import { newKeyPair, wipe } from '../../shared/crypto/sealed-box.ts';
import type { Day } from '../../shared/time.ts';
import type { KeyKeeper } from '../../shared/vault/ports.ts';

/**
 * Makes what keys are missing for `days` (in order, without holes) and returns the days that got a keypair.
 *
 * **The private key is durable in the vault before its public half is published**, so whatever was sealed can be opened: a
 * crash in between leaves a key that nothing was ever sealed to. A day that has a key never gets a second one, nor does a day
 * whose key has been destroyed.
 *
 * @throws PipelineError of the vault or the database; what was done stays done.
 */
export async function ensureKeys(session: Session, keeper: KeyKeeper, days: readonly Day[]): Promise<Day[]> {
  const [first, last] = [days[0], days.at(-1)];
  if (first === undefined || last === undefined) return [];
  await ensureFirstPepper(session, keeper);
  const { rows } = await session.execute(listDayKeys(first, last));
  const published = new Set(rows.map(({ day }) => day));
  const made: Day[] = [];
  for (const day of days) {
    // Also of a shredded day: its records may still come, and the connector seals them before the writer refuses them.
    await keeper.ensureTransitKey(day);
    if (!published.has(day) && (await makeDayKey(session, keeper, day))) made.push(day);
  }
  return made;
}

/**
 * The pepper of the first epoch; "sluice tokens rotate" makes those that follow. Only before anything was written: a pepper that
 * is lost later must be missed (KEY_MISSING), for another in its place would make equal values unequal without a sign.
 */
async function ensureFirstPepper(session: Session, keeper: KeyKeeper): Promise<void> {
  const { rows: written } = await session.execute(hasDataKeys());
  if (written[0]?.there === true) return;
  const { rows: epochs } = await session.execute(listTokenEpochs());
  for (const { epoch, state } of epochs) if (state === 'current') await keeper.ensurePepper(epoch);
}

async function makeDayKey(session: Session, keeper: KeyKeeper, day: Day): Promise<boolean> {
  const { publicKey, privateKey } = newKeyPair();
  try {
    await keeper.putDayPrivateKey(day, publicKey, privateKey);
  } finally {
    wipe(privateKey);
  }
  const { rowCount } = await session.execute(publishDayKey(day, publicKey));
  return rowCount === 1;
}
