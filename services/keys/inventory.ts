import type { Session } from '../../db/client.ts';
import { listKeyDays, type KeyDay } from '../../db/queries/list-key-days.ts';
import { listShreddedEpochs } from '../../db/queries/list-shredded-epochs.ts';
import { listTokenEpochs, type TokenEpoch } from '../../db/queries/list-token-epochs.ts';
import { lastHorizonDay, lastTransitDay, type TopicRetention } from '../../shared/kafka/retention.ts';
import { addDays, dayOf, horizon, type Clock, type Day } from '../../shared/time.ts';
import { fingerprintOf } from '../../shared/vault/keys.ts';
import type { KeyInventory, KeyPlace } from '../../shared/vault/ports.ts';

/** Where a day's private key is: in one place, in both while it is being moved, nowhere. */
export type PrivateKeyPlace = KeyPlace | 'both' | 'none';

export interface DayKeys {
  readonly day: Day;
  readonly publishedAt: string;
  readonly privateKey: PrivateKeyPlace;
  /** Keys of the day that were never published: left behind by a run that was cut off. Nothing is sealed to them. */
  readonly unpublished: number;
  readonly destroyedAt: string | null;
  readonly ticket: string | null;
  readonly transitKey: boolean;
  /** The last day on which it has to be there. */
  readonly transitKeyUntil: Day;
  readonly dataKeys: {
    readonly count: number;
    readonly firstAt: string | null;
    readonly lastAt: string | null;
  };
  readonly rows: 'live' | 'restored' | 'archived' | 'half-way' | 'none';
  /** What is wrong, a sentence each. */
  readonly problems: readonly string[];
}

export interface EpochKeys {
  readonly epoch: number;
  readonly state: 'current' | 'prior' | 'retired' | 'unknown';
  readonly pepper: boolean;
  readonly destroyedAt: string | null;
  readonly ticket: string | null;
  readonly problems: readonly string[];
}

export interface Keys {
  readonly days: readonly DayKeys[];
  /** Days that the vault has keys of and the database knows nothing of. */
  readonly strays: readonly {
    readonly day: Day;
    readonly privateKeys: number;
    readonly transitKey: boolean;
  }[];
  readonly epochs: readonly EpochKeys[];
  readonly problems: number;
}

/**
 * Where every key is, from the database and the vault's names: nothing is opened or read. What the two do not agree on is a problem: a key that
 * data was sealed to and that is not in the vault, one that was destroyed and is there, one in two places, a transit key or pepper that is
 * waited for.
 *
 * The vault is looked at before the database, so that a key made meanwhile is not one that is missing; one destroyed meanwhile is marked so
 * in the database first.
 *
 * @throws PipelineError of the vault and the database
 */
export async function takeInventory(parts: {
  readonly session: Session;
  readonly inventory: KeyInventory;
  readonly table: string;
  readonly clock: Clock;
  readonly retention: TopicRetention;
  /** One day only, and the epochs. */
  readonly day?: Day | undefined;
}): Promise<Keys> {
  const { session, inventory, table, retention, day } = parts;
  // Again at the end, for a key may be moved while we look: what is in neither list was in neither place.
  const before = await inventory.dayKeys();
  const { rows } = await session.execute<KeyDay>(listKeyDays(table, day));
  const vault: VaultKeys = {
    dayKeys: merge(before, await inventory.dayKeys()),
    transitDays: new Set(await inventory.transitDays()),
  };
  const today = dayOf(parts.clock());
  const days = rows.map((row) => judgeDay(row, vault, { today, retention }));
  const known = new Set(rows.map((row) => row.day));
  const strays = strayDays(vault, known, day);
  const epochs = await judgeEpochs(session, inventory);
  const problems = [...days, ...epochs].reduce((sum, one) => sum + one.problems.length, 0);
  return { days, strays, epochs, problems };
}

type Listed = Awaited<ReturnType<KeyInventory['dayKeys']>>[number];

interface VaultKeys {
  readonly dayKeys: readonly (Listed & { /** There at the second look too. */ readonly still: boolean })[];
  readonly transitDays: ReadonlySet<Day>;
}

function merge(before: readonly Listed[], after: readonly Listed[]): VaultKeys['dayKeys'] {
  const name = ({ day, fingerprint, place }: Listed) => `${place}/${day}.${fingerprint}`;
  const later = new Set(after.map((key) => name(key)));
  const gone = before.filter((key) => !later.has(name(key)));
  return [
    ...after.map((key) => Object.assign({ still: true }, key)),
    ...gone.map((key) => Object.assign({ still: false }, key)),
  ];
}

function judgeDay(row: KeyDay, vault: VaultKeys, at: { today: Day; retention: TopicRetention }): DayKeys {
  const ofDay = vault.dayKeys.filter((key) => key.day === row.day);
  const fingerprint = fingerprintOf(row.public_key);
  const published = ofDay.filter((key) => key.fingerprint === fingerprint);
  const there = published.filter(({ still }) => still).map(({ place }) => place);
  // Of a key that was moved while we looked, the place it came from is no place of its.
  const privateKey = placeOf(there.length > 0 ? there : published.map(({ place }) => place));
  const transitKey = vault.transitDays.has(row.day);
  const left = ofDay.filter(({ still }) => still).length;
  const problems = [
    ...(privateKey === 'none' && row.destroyed_at === null
      ? [
          `its private key is not in the vault and was not destroyed: ${row.data_keys === 0 ? 'nothing is sealed to it yet, writers will' : `what ${row.data_keys} data keys sealed cannot be opened`}`,
        ]
      : []),
    ...(row.destroyed_at !== null && left > 0
      ? [
          `it was shredded, and ${left} private keys of it are in the vault: run "sluice shred --day ${row.day}" again`,
        ]
      : []),
    ...(row.destroyed_at !== null && row.ticket === null
      ? ['its key is marked as destroyed without an order']
      : []),
    ...(row.ticket !== null && row.shred_finished_at === null && left === 0
      ? [`the order to shred it is not finished: run "sluice shred --day ${row.day}" again`]
      : []),
    ...(privateKey === 'both'
      ? ['its private key lies in two places: an archive run was cut off, run it again']
      : []),
    ...(privateKey === 'day' && row.archive_state === 'archived'
      ? ['it is archived, and its private key lies with the live ones']
      : []),
    ...(privateKey === 'archive' && rowsOf(row) === 'live'
      ? ['its rows are live, and its private key lies with the archived ones']
      : []),
    ...(!transitKey && inHorizon(row.day, at.today)
      ? ['its transit key is missing: connectors and writers wait for it, run "sluice maintain"']
      : []),
  ];
  return {
    day: row.day,
    publishedAt: row.published_at,
    privateKey,
    unpublished: ofDay.filter((key) => key.fingerprint !== fingerprint && key.still).length,
    destroyedAt: row.destroyed_at,
    ticket: row.ticket,
    transitKey,
    transitKeyUntil:
      row.destroyed_at === null ? lastTransitDay(row.day, at.retention) : lastHorizonDay(row.day),
    dataKeys: { count: row.data_keys, firstAt: row.first_data_key_at, lastAt: row.last_data_key_at },
    rows: rowsOf(row),
    problems,
  };
}

function placeOf(places: readonly KeyPlace[]): PrivateKeyPlace {
  return places.length > 1 ? 'both' : (places[0] ?? 'none');
}

function rowsOf(row: KeyDay): DayKeys['rows'] {
  if (row.attached) return row.archive_state === 'restored' ? 'restored' : 'live';
  if (row.archive_state === 'archived') return 'archived';
  return row.has_table || row.archive_state !== null ? 'half-way' : 'none';
}

function inHorizon(day: Day, today: Day): boolean {
  return day >= addDays(today, -horizon.daysBack) && day <= addDays(today, horizon.daysAhead);
}

function strayDays(vault: VaultKeys, known: ReadonlySet<Day>, only: Day | undefined): Keys['strays'] {
  const days = new Set([
    ...vault.dayKeys.filter(({ still }) => still).map((key) => key.day),
    ...vault.transitDays,
  ]);
  return [...days]
    .filter((day) => !known.has(day) && (only === undefined || day === only))
    .sort()
    .map((day) => ({
      day,
      privateKeys: vault.dayKeys.filter((key) => key.day === day && key.still).length,
      transitKey: vault.transitDays.has(day),
    }));
}

async function judgeEpochs(session: Session, inventory: KeyInventory): Promise<EpochKeys[]> {
  const { rows } = await session.execute<TokenEpoch>(listTokenEpochs());
  const { rows: shredded } = await session.execute<{
    epoch: number;
    finished_at: string | null;
    ticket: string;
  }>(listShreddedEpochs());
  const peppers = new Set(await inventory.pepperEpochs());
  const states = new Map(rows.map(({ epoch, state }) => [epoch, state]));
  return [...new Set([...states.keys(), ...peppers])]
    .sort((a, b) => a - b)
    .map((epoch) => {
      const state = states.get(epoch) ?? 'unknown';
      const order = shredded.findLast((one) => one.epoch === epoch);
      const pepper = peppers.has(epoch);
      const waited = state === 'current' || state === 'prior';
      return {
        epoch,
        state,
        pepper,
        destroyedAt: order?.finished_at ?? null,
        ticket: order?.ticket ?? null,
        problems: [
          ...(!pepper && waited ? ['its pepper is not in the vault: writers wait for it'] : []),
          ...(!pepper && state === 'retired' && order === undefined
            ? ['its pepper is not in the vault and was not shredded']
            : []),
          ...(pepper && order !== undefined
            ? [
                `it was shredded, and its pepper is in the vault: run "sluice shred --token-epoch ${epoch}" again`,
              ]
            : []),
        ],
      };
    });
}
