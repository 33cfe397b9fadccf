import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { openField } from '../../shared/crypto/field.ts';
import { openSealed, publicKeyOf } from '../../shared/crypto/sealed-box.ts';
import { Tokenizer } from '../../shared/crypto/token.ts';
import { TransitSealer } from '../../shared/crypto/transit.ts';

const hex = z.string().transform((text) => Buffer.from(text, 'hex'));
const vectorsSchema = z.object({
  day_key: z.object({
    recovery_key: hex,
    private_key: hex,
    public_key: hex,
    box: hex,
    dek: hex,
    sealed_dek: hex,
  }),
  fields: z.array(
    z.object({
      table: z.string(),
      column: z.string(),
      day: z.string(),
      event_id: z.string(),
      plain: z.string(),
      sealed: hex,
    }),
  ),
  bodies: z.array(
    z.object({
      message_id: z.string(),
      sent_at: z.number(),
      transit_key: hex,
      plain: z.string(),
      sealed: hex,
    }),
  ),
  tokens: z.array(
    z.object({ field: z.string(), value: z.string(), epoch: z.number(), pepper: hex, token: z.string() }),
  ),
});

const pathOf = (file: string) => fileURLToPath(new URL(`../../docs/custody/${file}`, import.meta.url));
const vectors = vectorsSchema.parse(JSON.parse(readFileSync(pathOf('vectors.json'), 'utf8')));

test('our code gives the published known answers', async () => {
  const { recovery_key, private_key, public_key, box, dek, sealed_dek } = vectors.day_key;
  const recoverer = { publicKey: publicKeyOf(recovery_key), privateKey: recovery_key };
  const dayPrivate = openSealed(box, recoverer);
  expect(dayPrivate?.toString('hex')).toBe(private_key.toString('hex'));
  const pair = { publicKey: public_key, privateKey: private_key };
  expect(publicKeyOf(private_key)).toEqual(public_key);
  expect(openSealed(sealed_dek, pair)?.toString('hex')).toBe(dek.toString('hex'));
  expect(vectors.fields.length).toBeGreaterThan(1);
  for (const { table, column, day, event_id, plain, sealed } of vectors.fields) {
    expect(openField(sealed, { table, column, day, eventId: event_id }, dek)).toBe(plain);
  }
  for (const { message_id, sent_at, transit_key, plain, sealed } of vectors.bodies) {
    const transit = new TransitSealer({ transitKey: async () => transit_key });
    await transit.prepare(TransitSealer.dayOf(sealed) ?? '');
    expect(transit.open(sealed, { eventId: message_id, sentAtMs: sent_at }).toString()).toBe(plain);
  }
  for (const { field, value, epoch, pepper, token } of vectors.tokens) {
    expect(new Tokenizer({ epoch, key: pepper }).token(field, value)).toBe(token);
  }
});

const python = spawnSync('python3', ['--version']).status === 0;

test.skipIf(!python)('so does a program that shares no code with us (skipped without python3)', () => {
  const { status, stdout } = spawnSync(
    'python3',
    [pathOf('open_field.py'), 'check', pathOf('vectors.json')],
    {
      encoding: 'utf8',
    },
  );
  expect(stdout).not.toContain('WRONG');
  expect(stdout.match(/^right {2}/gm)).toHaveLength(
    2 + 2 * vectors.fields.length + vectors.bodies.length + vectors.tokens.length,
  );
  expect(status).toBe(0);
});
