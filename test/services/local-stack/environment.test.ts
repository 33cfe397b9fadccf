import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exportLines, shellQuote, stackEnvironment } from '../../../services/local-stack/environment.ts';
import type { StackState } from '../../../services/local-stack/stack-state.ts';

const passwords = {
  postgres: 'admin-secret',
  sluice_writer: 'writer-secret',
  sluice_recoverer: 'recoverer-secret',
  sluice_operator: 'operator-secret',
  sluice_analyst: 'analyst-secret',
  sluice_shredder: 'shredder',
  sluice_tokenizer: 'tokenizer',
  sluice_replayer: 'replayer',
  sluice_approver: 'approver',
  sluice_monitor: 'monitor',
};

function state(brokers: 1 | 3): StackState {
  return {
    version: 1,
    brokers,
    ports: {
      postgres: 15432,
      sqs: 14566,
      kafka: brokers === 1 ? [19092] : [19092, 19094, 19096],
      controllers: brokers === 1 ? [19093] : [19093, 19095, 19097],
    },
    processes: {},
    directory: '/srv/it is/.sluice',
    passwords,
  };
}

/** What a POSIX shell makes of a word of single-quoted parts and backslash escapes (XCU 2.2). */
function unquote(word: string): string {
  let text = '';
  for (let i = 0; i < word.length; i++) {
    if (word[i] === '\\') {
      text += word[++i];
    } else {
      const end = word.indexOf("'", i + 1);
      if (word[i] !== "'" || end < 0) throw new Error('not quoted');
      text += word.slice(i + 1, end);
      i = end;
    }
  }
  return text;
}

test('a quoted value is what the shell reads, whatever it holds', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom("'", '"', '\\', '$', '`', '\n', ' ', 'a', 'é') }),
      (value) => {
        expect(unquote(shellQuote(value))).toBe(value);
      },
    ),
  );
});

test('quotes the single quote', () => {
  expect(exportLines({ A: "it's", B: '' })).toBe("export A='it'\\''s'\nexport B=''\n");
});

test('one broker needs no replicas, three keep two in sync', () => {
  expect(stackEnvironment(state(1))).toMatchObject({
    KAFKA_BROKERS: '127.0.0.1:19092',
    TOPIC_REPLICATION: '1',
    TOPIC_MIN_INSYNC: '1',
  });
  expect(stackEnvironment(state(3))).toMatchObject({
    KAFKA_BROKERS: '127.0.0.1:19092,127.0.0.1:19094,127.0.0.1:19096',
    TOPIC_REPLICATION: '3',
    TOPIC_MIN_INSYNC: '2',
  });
});

test('each process gets its own role and no other password', () => {
  const environment = stackEnvironment(state(1));
  expect(environment['DATABASE_URL']).toBe('postgres://sluice_writer:writer-secret@127.0.0.1:15432/sluice');
  expect(environment['RECOVERY_DATABASE_URL']).toContain('//sluice_recoverer:recoverer-secret@');
  expect(environment['OPERATOR_DATABASE_URL']).toContain('//sluice_operator:operator-secret@');
  expect(environment['ADMIN_DATABASE_URL']).toContain('//postgres:admin-secret@');
  expect(environment['VAULT_URL']).toBe('file:/srv/it is/.sluice/vault');
});
