import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { choosePort } from '../../services/local-stack/tcp-ports.ts';
import { root } from './alert-rules.ts';
import { eventually } from './pipeline.ts';

/** What a test says that needs one and has none. */
export const noPrometheusHere =
  'skipped: there is no "prometheus" on the PATH (Debian: apt install prometheus)';

const answer = z.looseObject({ status: z.string(), data: z.unknown() });

export interface TestPrometheus extends AsyncDisposable {
  /** The `data` of an answer of its API. @throws when it refuses: `/api/v1/query` says which expression is wrong. */
  get(path: string, parameters?: Readonly<Record<string, string>>): Promise<unknown>;
}

/** A real Prometheus with the rules of deploy/prometheus, which scrapes and looks each second; undefined where there is none. */
export async function startPrometheus(targets: readonly string[]): Promise<TestPrometheus | undefined> {
  if (spawnSync('prometheus', ['--version']).status !== 0) return undefined;
  await using cleanup = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'sluice-prometheus-'));
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [`${root}deploy/prometheus/rules/*.yml`],
    scrape_configs: [{ job_name: 'sluice', static_configs: [{ targets }] }],
  };
  await writeFile(join(directory, 'prometheus.yml'), JSON.stringify(config));
  const url = `http://127.0.0.1:${await choosePort([], new Set())}`;
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(directory, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=${new URL(url).host}`,
    ],
    { stdio: 'ignore' },
  );
  cleanup.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  });
  await eventually('Prometheus is ready', async () => {
    if (child.exitCode !== null) throw new Error(`prometheus ended with ${child.exitCode}`);
    return (await fetch(`${url}/-/ready`).catch(() => undefined))?.ok === true;
  });
  const owned = cleanup.move();
  return {
    async get(path, parameters = {}) {
      const response = await fetch(`${url}${path}?${new URLSearchParams(parameters).toString()}`);
      const { status, data } = answer.parse(await response.json());
      if (status !== 'success') throw new Error(`${path}: ${JSON.stringify(parameters)}`);
      return data;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
