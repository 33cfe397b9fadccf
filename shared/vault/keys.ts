import { createHash } from 'node:crypto';
import {
  openSealed,
  publicKeyBytes,
  publicKeyOf,
  randomKey,
  sealToPublicKey,
  wipe,
  type KeyPair,
} from '../crypto/sealed-box.ts';
import { PipelineError } from '../errors.ts';
import type { Day } from '../time.ts';
import type {
  DayPrivateKeys,
  KeyDestroyer,
  KeyInventory,
  KeyKeeper,
  KeyMover,
  KeyPlace,
  Peppers,
  TransitKeys,
} from './ports.ts';
import type { SecretName, SecretStore } from './secret-store.ts';

const keyBytes = 32;
/** crypto_box_seal adds 48 bytes to the 32 of the key. */
const boxBytes = 80;
const places: readonly KeyPlace[] = ['day', 'archive'];

/*
 * The ports of a vault's users, written once over whichever store holds the secrets. **Private keys lie sealed to the recoverer's
 * public key in every vault** (crypto_box_seal): who may read the vault, back it up, move its keys or run it opens no day.
 */

export function keyKeeper(store: SecretStore): KeyKeeper {
  return {
    async putDayPrivateKey(day, publicKey, privateKey) {
      const recoverer = await readExactly(store, 'recoverer/public', publicKeyBytes);
      // It was there when the vault was opened.
      if (recoverer === undefined) throw new PipelineError('VAULT_UNAVAILABLE', 'no recoverer/public');
      await store.create(dayName('day', day, publicKey), sealToPublicKey(privateKey, recoverer));
      wipe(recoverer);
    },
    ensureTransitKey: async (day) => ensureKey(store, transitName(day)),
    ensurePepper: async (epoch) => ensureKey(store, pepperName(epoch)),
    transitDays: () => transitDays(store),
    destroyTransitKey: async (day) => store.destroy(transitName(day)),
  };
}

export function transitKeys(store: SecretStore): TransitKeys {
  return { transitKey: async (day) => readExactly(store, transitName(day), keyBytes) };
}

export function peppers(store: SecretStore): Peppers {
  return {
    async pepper(epoch) {
      const key = await readExactly(store, pepperName(epoch), keyBytes);
      return key === undefined ? undefined : { epoch, key };
    },
  };
}

/** `recoverer`: the keypair whose public half is the vault's `recoverer/public`. */
export function dayPrivateKeys(store: SecretStore, recoverer: KeyPair): DayPrivateKeys {
  return {
    async dayPrivateKey(day, publicKey) {
      // A key that moves is in its new place before it leaves the old one: having looked here, there, and here again misses none.
      for (const place of [...places, 'day' as const]) {
        const box = await readExactly(store, dayName(place, day, publicKey), boxBytes);
        if (box === undefined) continue;
        const privateKey = openSealed(box, recoverer);
        wipe(box);
        if (privateKey === undefined || !publicKeyOf(privateKey).equals(publicKey)) {
          throw new PipelineError('VAULT_FORBIDDEN', `this recovery key does not open the key of ${day}`);
        }
        return privateKey;
      }
      return undefined;
    },
  };
}

export function keyMover(store: SecretStore): KeyMover {
  return {
    async moveDayKeys(day, to) {
      const from = to === 'day' ? 'archive' : 'day';
      for (const name of await namesOf(store, from, day)) {
        const target: SecretName = `${to}/${name.slice(from.length + 1)}`;
        const box = await readExactly(store, name, boxBytes);
        if (box === undefined) {
          // Listed and not readable: a move was interrupted while it destroyed the old one. Only if so: it may have been deleted by hand.
          if ((await readExactly(store, target, boxBytes)) !== undefined) await store.destroy(name);
          continue;
        }
        await store.create(target, box);
        const moved = await readExactly(store, target, boxBytes);
        const same = moved?.equals(box) === true;
        for (const one of [box, moved]) if (one !== undefined) wipe(one);
        if (!same) {
          throw new PipelineError('VAULT_UNAVAILABLE', `the key of ${day} does not read back from ${to}`);
        }
        await store.destroy(name);
      }
      return (await namesOf(store, to, day)).length;
    },
  };
}

export function keyDestroyer(store: SecretStore): KeyDestroyer {
  return {
    async destroyDayKeys(day) {
      const destroyed = new Set<string>();
      // Twice: a key that was being moved when we looked the first time lies somewhere by the second.
      for (let round = 0; round < 2; round++) {
        for (const place of places) {
          for (const name of await namesOf(store, place, day)) {
            await store.destroy(name);
            destroyed.add(name.slice(place.length));
          }
        }
      }
      return destroyed.size;
    },
    destroyTransitKey: async (day) => store.destroy(transitName(day)),
    destroyPepper: async (epoch) => store.destroy(pepperName(epoch)),
  };
}

export function keyInventory(store: SecretStore): KeyInventory {
  return {
    async dayKeys() {
      const found = [];
      for (const place of places) {
        for (const name of await store.list(place)) {
          const [, day, fingerprint] = /^[a-z]+\/(\d{4}-\d\d-\d\d)\.([0-9a-f]{16})$/.exec(name) ?? [];
          if (day !== undefined && fingerprint !== undefined) found.push({ day, fingerprint, place });
        }
      }
      return found;
    },
    transitDays: () => transitDays(store),
    async pepperEpochs() {
      const names = await store.list('pepper');
      return names.map((name) => Number(name.slice('pepper/'.length))).sort((a, b) => a - b);
    },
  };
}

/** The first 16 hex digits of BLAKE2b-512 of a day's public key: what its private half is filed under. */
export function fingerprintOf(publicKey: Buffer): string {
  return createHash('blake2b512').update(publicKey).digest('hex').slice(0, 16);
}

async function ensureKey(store: SecretStore, name: SecretName): Promise<void> {
  const key = randomKey();
  try {
    await store.create(name, key);
  } finally {
    wipe(key);
  }
}

/** @throws PipelineError VAULT_UNAVAILABLE for a secret of another length: damaged, not absent */
async function readExactly(store: SecretStore, name: SecretName, bytes: number): Promise<Buffer | undefined> {
  const value = await store.read(name);
  if (value === undefined || value.length === bytes) return value;
  throw new PipelineError('VAULT_UNAVAILABLE', `${name} has the wrong length`);
}

async function namesOf(store: SecretStore, place: KeyPlace, day: Day): Promise<SecretName[]> {
  const prefix = `${place}/${checked(day)}.`;
  return (await store.list(place)).filter((name) => name.startsWith(prefix));
}

async function transitDays(store: SecretStore): Promise<Day[]> {
  return (await store.list('transit')).map((name) => name.slice('transit/'.length));
}

function dayName(place: KeyPlace, day: Day, publicKey: Buffer): SecretName {
  return `${place}/${checked(day)}.${fingerprintOf(publicKey)}`;
}

function transitName(day: Day): SecretName {
  return `transit/${checked(day)}`;
}

function pepperName(epoch: number): SecretName {
  if (!Number.isSafeInteger(epoch) || epoch < 1) throw new PipelineError('INTERNAL', 'not a token epoch');
  return `pepper/${epoch}`;
}

/** A day becomes part of a name, in a file vault of a file's: nothing else may. */
function checked(day: Day): Day {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day)) throw new PipelineError('INTERNAL', 'not a day');
  return day;
}
