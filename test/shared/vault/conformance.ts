import { beforeEach, describe, expect, test } from 'vitest';
import { newKeyPair } from '../../../shared/crypto/sealed-box.ts';
import type { DayPrivateKeys, KeyKeeper, Peppers, TransitKeys } from '../../../shared/vault/ports.ts';

/** One vault through the eyes of each of its users. */
export interface VaultUnderTest {
  readonly keeper: KeyKeeper;
  readonly transit: TransitKeys;
  readonly peppers: Peppers;
  readonly privateKeys: DayPrivateKeys;
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
      expect(await vault.peppers.pepper()).toBeUndefined();
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
      await Promise.all(Array.from({ length: 8 }, () => vault.keeper.ensurePepper()));
      const pepper = await vault.peppers.pepper();
      expect(pepper?.epoch).toBe(1);
      expect(pepper?.key).toHaveLength(32);
      await vault.keeper.ensurePepper();
      expect(await vault.peppers.pepper()).toEqual(pepper);
    });

    test('a vault that does not answer is an outage, never a missing key', async () => {
      const { publicKey, privateKey } = newKeyPair();
      await vault.keeper.putDayPrivateKey('2026-11-24', publicKey, privateKey);
      await vault.goAway();
      const unavailable = { code: 'VAULT_UNAVAILABLE' };
      await expect(vault.transit.transitKey('2026-11-24')).rejects.toMatchObject(unavailable);
      await expect(vault.peppers.pepper()).rejects.toMatchObject(unavailable);
      await expect(vault.privateKeys.dayPrivateKey('2026-11-24', publicKey)).rejects.toMatchObject(
        unavailable,
      );
      await expect(vault.keeper.ensureTransitKey('2026-11-24')).rejects.toMatchObject(unavailable);
      await expect(vault.keeper.ensurePepper()).rejects.toMatchObject(unavailable);
      await expect(vault.keeper.putDayPrivateKey('2026-11-25', publicKey, privateKey)).rejects.toMatchObject(
        unavailable,
      );
    });
  });
}
