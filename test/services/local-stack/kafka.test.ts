import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mavenError } from '../../../services/local-stack/kafka-jars.ts';
import { brokerProperties, escapeProperty } from '../../../services/local-stack/kafka.ts';

const ports = { kafka: [9092, 9094, 9096], controllers: [9093, 9095, 9097] };

function parsed(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

test('every node knows all voters and itself by its own ports', () => {
  expect(parsed(brokerProperties(ports, 1, '/data/2'))).toMatchObject({
    'node.id': '2',
    'controller.quorum.voters': '1@127.0.0.1:9093,2@127.0.0.1:9095,3@127.0.0.1:9097',
    listeners: 'PLAINTEXT://127.0.0.1:9094,CONTROLLER://127.0.0.1:9095',
    'advertised.listeners': 'PLAINTEXT://127.0.0.1:9094',
    'log.dirs': '/data/2',
  });
});

test('settings given come in the place of ours', () => {
  const given = parsed(
    brokerProperties(ports, 0, '/data', { 'num.io.threads': 2, 'min.insync.replicas': 1 }),
  );
  expect(given).toMatchObject({ 'node.id': '1', 'num.io.threads': '2', 'min.insync.replicas': '1' });
});

test('three nodes replicate, one does not, and neither makes topics by accident', () => {
  expect(parsed(brokerProperties(ports, 0, '/data'))).toMatchObject({
    'default.replication.factor': '3',
    'min.insync.replicas': '2',
    'offsets.topic.replication.factor': '3',
    'auto.create.topics.enable': 'false',
  });
  expect(parsed(brokerProperties({ kafka: [9092], controllers: [9093] }, 0, '/data'))).toMatchObject({
    'default.replication.factor': '1',
    'min.insync.replicas': '1',
    'offsets.topic.replication.factor': '1',
    'auto.create.topics.enable': 'false',
  });
});

/** `Properties.load` on a value. */
function unescape(value: string): string {
  return value.replaceAll(/\\(?:u([0-9a-f]{4})|(.))/g, (_, hex?: string, other?: string) =>
    hex === undefined ? (other ?? '') : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

test('a path survives the properties format', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (path) => {
      const escaped = escapeProperty(path);
      expect(escaped).toMatch(/^[\u0021-\u007e]?[\u0020-\u007e]*$/);
      expect(unescape(escaped)).toBe(path);
    }),
  );
});

test('the first of Maven’s errors is the one to show', () => {
  expect(mavenError('[INFO] x\n[ERROR] Could not transfer artifact\n[ERROR] Re-run Maven')).toBe(
    'Could not transfer artifact',
  );
  expect(mavenError('Killed')).toBe('it gave no reason');
});
