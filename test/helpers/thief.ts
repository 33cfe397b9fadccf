import { dekIdOf, openField, type Cell } from '../../shared/crypto/field.ts';
import { openSealed, publicKeyOf } from '../../shared/crypto/sealed-box.ts';
import { Tokenizer } from '../../shared/crypto/token.ts';
import { TransitSealer, type TransitIdentity } from '../../shared/crypto/transit.ts';

/** What a thief has carried off, sorted as far as anyone can sort it who has read the documentation. */
export interface Loot {
  /** Anything of 32 bytes that could be a key of any kind. */
  readonly keys?: readonly Buffer[];
  /** Anything of 80 bytes: a key, sealed to somebody's public key. */
  readonly boxes?: readonly Buffer[];
  readonly fields?: readonly { readonly cell: Cell; readonly sealed: Buffer }[];
  readonly bodies?: readonly { readonly identity: TransitIdentity; readonly value: Buffer }[];
  readonly tokens?: readonly { readonly field: string; readonly token: string; readonly day: string }[];
}

export interface Opened {
  /** Plain values of sealed fields, by day. */
  readonly fields: ReadonlyMap<string, ReadonlySet<string>>;
  readonly bodies: ReadonlySet<string>;
  /** Values whose token was recognised, by day. */
  readonly tokens: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * Tries every key on everything, and every key that falls out of that, until nothing new opens. `candidates` are the values that
 * a thief would try on tokens: for addresses, all there are.
 */
export async function plunder(
  loot: readonly Loot[],
  candidates: Readonly<Record<string, readonly string[]>>,
): Promise<Opened> {
  const keys = everyKey(
    loot.flatMap((one) => one.keys ?? []),
    loot.flatMap((one) => one.boxes ?? []),
  );
  return {
    fields: openFields(
      loot.flatMap((one) => one.fields ?? []),
      keys,
    ),
    bodies: await openBodies(
      loot.flatMap((one) => one.bodies ?? []),
      keys,
    ),
    tokens: guessTokens(
      loot.flatMap((one) => one.tokens ?? []),
      keys,
      candidates,
    ),
  };
}

/** The keys at hand and those in boxes that they open, and so on. */
function everyKey(keys: readonly Buffer[], boxes: readonly Buffer[]): Buffer[] {
  const known = new Map(keys.map((key) => [key.toString('hex'), key]));
  const sealed = new Map(boxes.map((box) => [box.toString('hex'), box]));
  for (const key of known.values()) {
    // A map goes on over what is added while it is walked through.
    const pair = { publicKey: publicKeyOf(key), privateKey: key };
    for (const [name, box] of sealed) {
      const inside = openSealed(box, pair);
      if (inside === undefined) continue;
      known.set(inside.toString('hex'), inside);
      sealed.delete(name);
    }
  }
  return [...known.values()];
}

function openFields(
  fields: readonly { cell: Cell; sealed: Buffer }[],
  keys: readonly Buffer[],
): Map<string, Set<string>> {
  const opened = new Map<string, Set<string>>();
  for (const { cell, sealed } of fields) {
    if (dekIdOf(sealed) === undefined) throw new Error('not a sealed field');
    for (const key of keys) {
      const plain = openField(sealed, cell, key);
      if (plain !== undefined) add(opened, cell.day, plain);
    }
  }
  return opened;
}

async function openBodies(
  bodies: readonly { identity: TransitIdentity; value: Buffer }[],
  keys: readonly Buffer[],
): Promise<Set<string>> {
  const opened = new Set<string>();
  for (const key of keys) {
    for (const { identity, value } of bodies) {
      const day = TransitSealer.dayOf(value);
      if (day === undefined) throw new Error('not a sealed body');
      const transit = new TransitSealer({ transitKey: async () => key });
      await transit.prepare(day);
      const body = transit.open(value, identity);
      if (Buffer.isBuffer(body)) opened.add(body.toString());
    }
  }
  return opened;
}

function guessTokens(
  tokens: readonly { field: string; token: string; day: string }[],
  keys: readonly Buffer[],
  candidates: Readonly<Record<string, readonly string[]>>,
): Map<string, Set<string>> {
  const guessed = new Map<string, Set<string>>();
  const epochs = new Set(tokens.map(({ token }) => Number(/^t(\d+):/.exec(token)?.[1])));
  for (const key of keys) {
    for (const epoch of epochs) {
      const tokenizer = new Tokenizer({ epoch, key });
      for (const [field, values] of Object.entries(candidates)) {
        const valueOf = new Map(values.map((value) => [tokenizer.token(field, value), value]));
        for (const { field: of, token, day } of tokens) {
          const value = of === field ? valueOf.get(token) : undefined;
          if (value !== undefined) add(guessed, day, value);
        }
      }
    }
  }
  return guessed;
}

function add(map: Map<string, Set<string>>, day: string, value: string): void {
  map.set(day, (map.get(day) ?? new Set()).add(value));
}
