import { describe, expect, test } from 'vitest';
import type { TokenEpoch } from '../../../db/queries/list-token-epochs.ts';
import { TokenEpochs } from '../../../db/rows/token-epochs.ts';
import { randomKey } from '../../../shared/crypto/sealed-box.ts';
import type { Pepper } from '../../../shared/vault/ports.ts';

function setUp() {
  let now = 1_000_000;
  let looks = 0;
  let epochs: TokenEpoch[] = [{ epoch: 1, state: 'current' }];
  const vault = new Map([1, 2].map((epoch) => [epoch, randomKey()]));
  const given: Pepper[] = [];
  const tokenEpochs = new TokenEpochs({
    list: async () => {
      looks += 1;
      return epochs;
    },
    peppers: {
      pepper: async (epoch) => {
        const key = vault.get(epoch);
        if (key === undefined) return undefined;
        const pepper = { epoch, key: Buffer.from(key) };
        given.push(pepper);
        return pepper;
      },
    },
    clock: () => now,
  });
  return {
    tokenEpochs,
    vault,
    given,
    looks: () => looks,
    advance: (ms: number) => {
      now += ms;
    },
    become: (...states: TokenEpoch['state'][]) => {
      epochs = states.map((state, i) => ({ epoch: i + 1, state }));
    },
  };
}

const isWiped = ({ key }: Pepper) => key.every((byte) => byte === 0);

describe('TokenEpochs', () => {
  test('a window opens within a minute, or at once when told; peppers are read once', async () => {
    const { tokenEpochs, become, advance, looks, given } = setUp();
    const first = await tokenEpochs.tokenizers();
    become('prior', 'current');
    advance(59_999);
    expect(await tokenEpochs.tokenizers()).toBe(first);
    advance(1);
    const window = await tokenEpochs.tokenizers();
    expect([window.current.epoch, window.prior?.epoch]).toEqual([2, 1]);
    expect(window.prior).toBe(first.current);
    become('retired', 'current');
    tokenEpochs.expire();
    expect((await tokenEpochs.tokenizers()).prior).toBeUndefined();
    expect(looks()).toBe(3);
    expect(given.map(({ epoch }) => epoch)).toEqual([1, 2]);
  });

  test('the pepper of an epoch that is over is wiped, asked for or not', async () => {
    const { tokenEpochs, become, advance, given } = setUp();
    become('prior', 'current');
    const { prior } = await tokenEpochs.tokenizers();
    become('retired', 'current');
    advance(60_000);
    await tokenEpochs.recheck();
    expect(prior?.retired).toBe(true);
    expect(() => prior?.token('ip', '203.0.113.9')).toThrow('retired');
    expect(given.map((pepper) => [pepper.epoch, isWiped(pepper)])).toEqual([
      [1, true],
      [2, false],
    ]);
    tokenEpochs.retireAll();
    expect(given.every(isWiped)).toBe(true);
    await expect(tokenEpochs.tokenizers()).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  test('a pepper that the vault lacks is an outage; what was read on the way is wiped', async () => {
    const { tokenEpochs, become, vault, given } = setUp();
    become('prior', 'current');
    const second = vault.get(2) ?? randomKey();
    vault.delete(2);
    await expect(tokenEpochs.tokenizers()).rejects.toMatchObject({ code: 'KEY_MISSING', action: 'retry' });
    expect(given.every(isWiped)).toBe(true);
    vault.set(2, second);
    expect((await tokenEpochs.tokenizers()).current.epoch).toBe(2);
  });

  test('a clock set back does not put off the next look', async () => {
    const { tokenEpochs, advance, looks } = setUp();
    await tokenEpochs.tokenizers();
    advance(-3_600_000);
    await tokenEpochs.tokenizers();
    expect(looks()).toBe(2);
  });

  test('asked by several at once, it looks once', async () => {
    const { tokenEpochs, looks, given } = setUp();
    await Promise.all([1, 2, 3].map(() => tokenEpochs.tokenizers()));
    expect([looks(), given.length]).toEqual([1, 1]);
  });
});
