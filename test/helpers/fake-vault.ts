import { newKeyPair, secureBuffer, type KeyPair } from '../../shared/crypto/sealed-box.ts';
import { PipelineError, type ErrorCode } from '../../shared/errors.ts';
import type { Day } from '../../shared/time.ts';
import {
  dayPrivateKeys,
  keyDestroyer,
  keyInventory,
  keyKeeper,
  keyMover,
  peppers,
  transitKeys,
} from '../../shared/vault/keys.ts';
import type {
  DayPrivateKeys,
  KeyDestroyer,
  KeyInventory,
  KeyKeeper,
  KeyMover,
  Pepper,
  Peppers,
  TransitKeys,
} from '../../shared/vault/ports.ts';
import type { SecretKind, SecretName, SecretStore } from '../../shared/vault/secret-store.ts';

/** Secrets in memory; passes the conformance suite. */
export class FakeStore implements SecretStore {
  readonly secrets = new Map<SecretName, Buffer>();
  /** While set, every call throws it. */
  failure: ErrorCode | undefined;

  async create(name: SecretName, value: Buffer): Promise<boolean> {
    this.#answer();
    if (this.secrets.has(name)) return false;
    // A copy: the caller wipes its own.
    this.secrets.set(name, Buffer.from(value));
    return true;
  }

  async read(name: SecretName): Promise<Buffer | undefined> {
    this.#answer();
    const value = this.secrets.get(name);
    if (value === undefined) return undefined;
    const copy = secureBuffer(value.length);
    value.copy(copy);
    return copy;
  }

  async list(kind: SecretKind): Promise<SecretName[]> {
    this.#answer();
    return [...this.secrets.keys()].filter((name) => name.startsWith(`${kind}/`)).sort();
  }

  async destroy(name: SecretName): Promise<void> {
    this.#answer();
    this.secrets.delete(name);
  }

  #answer(): void {
    if (this.failure !== undefined) throw new PipelineError(this.failure);
  }
}

type AllPorts = KeyKeeper & TransitKeys & Peppers & DayPrivateKeys & KeyMover & KeyDestroyer & KeyInventory;

/** A vault in memory, all ports in one, with its recoverer's keypair. */
export class FakeVault implements AllPorts {
  readonly store = new FakeStore();
  readonly recoverer: KeyPair = newKeyPair();
  readonly #ports: AllPorts;

  constructor() {
    const { store, recoverer } = this;
    store.secrets.set('recoverer/public', recoverer.publicKey);
    this.#ports = {
      ...keyInventory(store),
      ...keyKeeper(store),
      ...transitKeys(store),
      ...peppers(store),
      ...dayPrivateKeys(store, recoverer),
      ...keyMover(store),
      ...keyDestroyer(store),
    };
  }

  get failure(): ErrorCode | undefined {
    return this.store.failure;
  }

  set failure(code: ErrorCode | undefined) {
    this.store.failure = code;
  }

  putDayPrivateKey(day: Day, publicKey: Buffer, privateKey: Buffer): Promise<void> {
    return this.#ports.putDayPrivateKey(day, publicKey, privateKey);
  }
  dayPrivateKey(day: Day, publicKey: Buffer): Promise<Buffer | undefined> {
    return this.#ports.dayPrivateKey(day, publicKey);
  }
  ensureTransitKey(day: Day): Promise<void> {
    return this.#ports.ensureTransitKey(day);
  }
  transitKey(day: Day): Promise<Buffer | undefined> {
    return this.#ports.transitKey(day);
  }
  ensurePepper(epoch: number): Promise<void> {
    return this.#ports.ensurePepper(epoch);
  }
  pepper(epoch: number): Promise<Pepper | undefined> {
    return this.#ports.pepper(epoch);
  }
  transitDays(): Promise<Day[]> {
    return this.#ports.transitDays();
  }
  destroyTransitKey(day: Day): Promise<void> {
    return this.#ports.destroyTransitKey(day);
  }
  moveDayKeys(day: Day, to: 'day' | 'archive'): Promise<number> {
    return this.#ports.moveDayKeys(day, to);
  }
  destroyDayKeys(day: Day): Promise<number> {
    return this.#ports.destroyDayKeys(day);
  }
  destroyPepper(epoch: number): Promise<void> {
    return this.#ports.destroyPepper(epoch);
  }
  dayKeys(): ReturnType<KeyInventory['dayKeys']> {
    return this.#ports.dayKeys();
  }
  pepperEpochs(): Promise<number[]> {
    return this.#ports.pepperEpochs();
  }
}
