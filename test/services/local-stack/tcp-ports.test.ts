import { expect, test } from 'vitest';
import { choosePort } from '../../../services/local-stack/tcp-ports.ts';

const free =
  (...ports: number[]) =>
  async (port: number) =>
    ports.includes(port);
const noOther = async () => {
  throw new Error('asked the kernel');
};

test('takes the first wanted port that is free', async () => {
  expect(await choosePort([7000, 5432], new Set(), free(7000, 5432), noOther)).toBe(7000);
  expect(await choosePort([7000, 5432], new Set(), free(5432), noOther)).toBe(5432);
});

test('passes over a port that this stack has given away', async () => {
  expect(await choosePort([9092, 9094], new Set([9092]), free(9092, 9094), noOther)).toBe(9094);
});

test('asks the kernel when none is free, until its answer is not taken', async () => {
  const answers = [40_001, 40_002];
  const anyPort = async () => answers.shift() ?? 0;
  expect(await choosePort([5432], new Set([40_001]), free(), anyPort)).toBe(40_002);
});
