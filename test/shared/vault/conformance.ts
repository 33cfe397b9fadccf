import { beforeEach, describe, expect, test } from 'vitest';
import { newKeyPair } from '../../../shared/crypto/sealed-box.ts';
import { fingerprintOf } from '../../../shared/vault/keys.ts';
import type {
  DayPrivateKeys,
  KeyDestroyer,
  KeyInventory,
  KeyKeeper,
  KeyMover,
  Peppers,
  TransitKeys,
} from '../../../shared/vault/ports.ts';

/** One vault through the eyes of each of its users. */
export interface VaultUnderTest {
  readonly keeper: KeyKeeper;
  readonly transit: TransitKeys;
  readonly peppers: Peppers;
  readonly privateKeys: DayPrivateKeys;
  readonly mover: KeyMover;
  readonly destroyer: KeyDestroyer;
  readonly inventory: KeyInventory;
  /** Makes the vault stop answering, as an outage would. */
  goAway(): Promise<void>;
}

/** Locked buffers carry a mark of their own, which a deep comparison would see. */
const hex = (key: Buffer | undefined) => key?.toString('hex');

/** What every adapter of the vault ports promises. `open` gives an empty vault. */
export function vaultConformance(name: string, open: () => Promise<VaultUnderTest>): void {
  describe(`vault: ${name}`, () => {
    let vault: VaultUnderTest;
    beforeEach(async () => {
      vault = await open();
    });

    test('an empty vault has no keys, and says so without an error', async () => {
      const { publicKey } = newKeyPair();
      expect(await vault.transit.transitKey('2026-11-24')).toBeUndefined();
      expect(await vault.peppers.pepper(1)).toBeUndefined();
      expect(await vault.privateKeys.dayPrivateKey('2026-11-24', publicKey)).toBeUndefined();
    });

    test('gives back the private key of a day, to its public key and day alone', async () => {
      const pair = newKeyPair();
      const expected = hex(pair.privateKey);
      await vault.keeper.putDayPrivateKey('2026-11-24', pair.publicKey, pair.privateKey);
      expect(hex(await vault.privateKeys.dayPrivateKey('2026-11-24', pair.publicKey))).toBe(expected);
      expect(await vault.privateKeys.dayPrivateKey('2026-11-25', pair.publicKey)).toBeUndefined();
      expect(await vault.privateKeys.dayPrivateKey('2026-11-24', newKeyPair().publicKey)).toBeUndefined();
    });

    test('never overwrites a private key', async () => {
      const pair = newKeyPair();
      const expected = hex(pair.privateKey);
      await vault.keeper.putDayPrivateKey('2026-11-24', pair.publicKey, pair.privateKey);
      await vault.keeper.putDayPrivateKey('2026-11-24', pair.publicKey, newKeyPair().privateKey);
      expect(hex(await vault.privateKeys.dayPrivateKey('2026-11-24', pair.publicKey))).toBe(expected);
    });

    test('two keypairs of one day stand side by side', async () => {
      const pairs = [newKeyPair(), newKeyPair()];
      for (const { publicKey, privateKey } of pairs) {
        const expected = hex(privateKey);
        await vault.keeper.putDayPrivateKey('2026-11-24', publicKey, privateKey);
        expect(hex(await vault.privateKeys.dayPrivateKey('2026-11-24', publicKey))).toBe(expected);
      }
    });

    test('makes a transit key a day, once, whoever asks at the same time', async () => {
      await Promise.all(Array.from({ length: 8 }, () => vault.keeper.ensureTransitKey('2026-11-24')));
      const key = await vault.transit.transitKey('2026-11-24');
      expect(key).toHaveLength(32);
      await vault.keeper.ensureTransitKey('2026-11-24');
      expect(await vault.transit.transitKey('2026-11-24')).toEqual(key);
      await vault.keeper.ensureTransitKey('2026-11-25');
      expect(await vault.transit.transitKey('2026-11-25')).not.toEqual(key);
    });

    test('makes one pepper, of epoch 1, whoever asks at the same time', async () => {
      await Promise.all(Array.from({ length: 8 }, () => vault.keeper.ensurePepper(1)));
      const pepper = await vault.peppers.pepper(1);
      expect(pepper?.epoch).toBe(1);
      expect(pepper?.key).toHaveLength(32);
      await vault.keeper.ensurePepper(1);
      expect(await vault.peppers.pepper(1)).toEqual(pepper);
    });

    test('a pepper an epoch, each its own', async () => {
      await vault.keeper.ensurePepper(1);
      await vault.keeper.ensurePepper(10);
      const [first, tenth] = [await vault.peppers.pepper(1), await vault.peppers.pepper(10)];
      expect(tenth?.epoch).toBe(10);
      expect(hex(tenth?.key)).not.toBe(hex(first?.key));
      expect(await vault.inventory.pepperEpochs()).toEqual([1, 10]);
      expect(await vault.peppers.pepper(2)).toBeUndefined();
    });

    test('an archived key is found where it was moved, and moves back', async () => {
      const pairs = [newKeyPair(), newKeyPair()];
      const expected = pairs.map(({ privateKey }) => hex(privateKey));
      for (const { publicKey, privateKey } of pairs) {
        await vault.keeper.putDayPrivateKey('2026-08-01', publicKey, privateKey);
      }
      const other = newKeyPair();
      await vault.keeper.putDayPrivateKey('2026-08-02', other.publicKey, other.privateKey);
      for (const to of ['archive', 'archive', 'day', 'archive'] as const) {
        expect(await vault.mover.moveDayKeys('2026-08-01', to)).toBe(2);
        const lying = (await vault.inventory.dayKeys()).filter(({ day }) => day === '2026-08-01');
        expect(lying.map(({ place }) => place)).toEqual([to, to]);
        for (const [i, { publicKey }] of pairs.entries()) {
          expect(hex(await vault.privateKeys.dayPrivateKey('2026-08-01', publicKey))).toBe(expected[i]);
        }
      }
      expect(await vault.inventory.dayKeys()).toContainEqual({
        day: '2026-08-02',
        fingerprint: fingerprintOf(other.publicKey),
        place: 'day',
      });
      expect(await vault.mover.moveDayKeys('2026-08-03', 'archive')).toBe(0);
    });

    test.for(['day', 'archive'] as const)(
      'destroys every key of a day that lies in %s, and no other',
      async (place) => {
        const pairs = [newKeyPair(), newKeyPair()];
        for (const { publicKey, privateKey } of pairs) {
          await vault.keeper.putDayPrivateKey('2026-08-01', publicKey, privateKey);
        }
        const other = newKeyPair();
        await vault.keeper.putDayPrivateKey('2026-08-02', other.publicKey, other.privateKey);
        await vault.mover.moveDayKeys('2026-08-01', place);
        expect(await vault.destroyer.destroyDayKeys('2026-08-01')).toBe(2);
        expect(await vault.destroyer.destroyDayKeys('2026-08-01')).toBe(0);
        for (const { publicKey } of pairs) {
          expect(await vault.privateKeys.dayPrivateKey('2026-08-01', publicKey)).toBeUndefined();
        }
        expect((await vault.inventory.dayKeys()).map(({ day }) => day)).toEqual(['2026-08-02']);
        expect(await vault.privateKeys.dayPrivateKey('2026-08-02', other.publicKey)).toBeDefined();
      },
    );

    test('destroys transit keys and peppers, and says which are left', async () => {
      for (const day of ['2026-11-25', '2026-11-24']) await vault.keeper.ensureTransitKey(day);
      await vault.keeper.ensurePepper(1);
      expect(await vault.keeper.transitDays()).toEqual(['2026-11-24', '2026-11-25']);
      await vault.keeper.destroyTransitKey('2026-11-24');
      expect(await vault.transit.transitKey('2026-11-24')).toBeUndefined();
      expect(await vault.inventory.transitDays()).toEqual(['2026-11-25']);
      await vault.destroyer.destroyTransitKey('2026-11-25');
      await vault.destroyer.destroyTransitKey('2026-11-25');
      await vault.destroyer.destroyPepper(1);
      expect(await vault.transit.transitKey('2026-11-25')).toBeUndefined();
      expect(await vault.peppers.pepper(1)).toBeUndefined();
      expect(await vault.inventory.pepperEpochs()).toEqual([]);
    });

    test('a vault that does not answer is an outage, never a missing key', async () => {
      const { publicKey, privateKey } = newKeyPair();
      await vault.keeper.putDayPrivateKey('2026-11-24', publicKey, privateKey);
      await vault.goAway();
      const unavailable = { code: 'VAULT_UNAVAILABLE' };
      await expect(vault.transit.transitKey('2026-11-24')).rejects.toMatchObject(unavailable);
      await expect(vault.peppers.pepper(1)).rejects.toMatchObject(unavailable);
      await expect(vault.privateKeys.dayPrivateKey('2026-11-24', publicKey)).rejects.toMatchObject(
        unavailable,
      );
      await expect(vault.keeper.ensureTransitKey('2026-11-24')).rejects.toMatchObject(unavailable);
      await expect(vault.keeper.ensurePepper(1)).rejects.toMatchObject(unavailable);
      await expect(vault.keeper.transitDays()).rejects.toMatchObject(unavailable);
      await expect(vault.mover.moveDayKeys('2026-11-24', 'archive')).rejects.toMatchObject(unavailable);
      await expect(vault.destroyer.destroyDayKeys('2026-11-24')).rejects.toMatchObject(unavailable);
      await expect(vault.destroyer.destroyTransitKey('2026-11-24')).rejects.toMatchObject(unavailable);
      await expect(vault.inventory.dayKeys()).rejects.toMatchObject(unavailable);
      await expect(vault.keeper.putDayPrivateKey('2026-11-25', publicKey, privateKey)).rejects.toMatchObject(
        unavailable,
      );
    });
  });
}
