import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { brokerList } from '../../services/local-stack/kafka.ts';
import { startStack, stopStack } from '../../services/local-stack/local-stack.ts';
import { adminUrl } from '../../services/local-stack/postgres.ts';
import { sqsEndpoint } from '../../services/local-stack/sqs.ts';
import { median, spread } from '../bench/spread.ts';
import { bringBackADay } from './lost-day.ts';
import { measureRound, type Round } from './speed.ts';

/**
 * `npm run bench:replay`: what a replay must show, at full size, on a stack of its own with fsync on. `--only speed`: the writer and an unthrottled replay of the
 * same records, in turns. `--only day`: a day of a million records is lost and comes back while live traffic flows. Fails when what must be is not.
 */
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rows: { type: 'string', default: '200000' },
    rounds: { type: 'string', default: '3' },
    records: { type: 'string', default: '1000000' },
    rate: { type: 'string', default: '500' },
  },
});

console.log(
  `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
);
const directory = await mkdtemp(join(tmpdir(), 'sluice-replay-bench-'));
try {
  const state = await startStack({
    directory,
    usualPorts: false,
    brokers: 1,
    progress: (line) => console.error(line),
  });
  const servers = {
    postgresAdminUrl: adminUrl(state.ports.postgres, state.passwords.postgres, 'postgres'),
    kafkaBrokers: brokerList(state.ports),
    sqsEndpoint: sqsEndpoint(state.ports.sqs),
  };
  if (values.only !== 'day') {
    const rounds: Round[] = [];
    for (let round = 0; round < Number(values.rounds); round += 1) {
      rounds.push(await measureRound(servers, Number(values.rows)));
      console.error(JSON.stringify(rounds.at(-1)));
    }
    const ratio = median(rounds.map(({ writer, replay }) => replay / writer));
    console.log(
      `${values.rows} rows, 8 partitions; median of ${rounds.length} (lowest … highest), records a second`,
    );
    console.log(
      `writer ${spread(
        rounds.map(({ writer }) => writer),
        0,
      )}`,
    );
    console.log(
      `replay ${spread(
        rounds.map(({ replay }) => replay),
        0,
      )}`,
    );
    console.log(`replay / writer, pairwise: ${ratio.toFixed(2)}`);
  }
  if (values.only !== 'speed') {
    const shown = await bringBackADay(servers, {
      records: Number(values.records),
      perSecond: Number(values.rate),
    });
    console.log(JSON.stringify(shown, undefined, 2));
    if (!shown.equal || shown.p99During > 2 * shown.p99Before) process.exitCode = 1;
  }
} finally {
  await stopStack(directory);
  await rm(directory, { recursive: true, force: true });
}
