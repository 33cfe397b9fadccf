import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const requirements = fileURLToPath(new URL('moto-requirements.txt', import.meta.url));

/** Ends with its standard input, which the kernel closes however we end: no server outlives its test. */
const program = `
import os, sys, threading
def watch():
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=watch, daemon=True).start()
from moto.server import main
main(['-H', '127.0.0.1', '-p', '0'])
`;

export interface Moto {
  /** `http://127.0.0.1:PORT`: S3, Secrets Manager and the rest; takes any credentials. */
  readonly endpoint: string;
  stop(): Promise<void>;
}

/**
 * Python with moto (an AWS on this machine), installed from PyPI once a machine and set of versions; undefined, having said so on
 * the terminal, where there is no Python to do it with. CI must have one.
 */
export async function motoPython(): Promise<string | undefined> {
  try {
    await run('python3', ['-c', 'import ensurepip, venv']);
  } catch (error) {
    if (process.env['CI'] !== undefined) throw new Error('CI needs python3-venv', { cause: error });
    console.warn('SKIPPED: tests on moto need python3 with venv (Debian: python3-venv)');
    return undefined;
  }
  const { stdout: version } = await run('python3', ['--version']);
  const wanted = version + (await readFile(requirements, 'utf8'));
  const key = createHash('sha256').update(wanted).digest('hex').slice(0, 16);
  const cache = join(homedir(), '.cache', 'sluice');
  const directory = join(cache, `moto-${key}`);
  const python = join(directory, 'bin', 'python');
  if (await exists(python)) return python;

  await mkdir(cache, { recursive: true });
  const building = await mkdtemp(join(cache, 'building-'));
  try {
    await run('python3', ['-m', 'venv', building]);
    await run(
      join(building, 'bin', 'python'),
      ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--requirement', requirements],
      { maxBuffer: 16_777_216 },
    );
    // A test beside this one may have been faster: then its is as good.
    await rename(building, directory).catch(async (error: unknown) => {
      if (!(await exists(python))) throw error;
    });
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  return python;
}

/** A server of its own, empty, on a free port. */
export async function startMoto(python: string): Promise<Moto> {
  const child = spawn(python, ['-c', program], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { PATH: '/usr/bin:/bin', HOME: homedir() },
  });
  const ended = once(child, 'exit');
  let log = '';
  child.stderr.setEncoding('utf8');
  const endpoint = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`moto did not start: ${log.slice(-2_000)}`)));
    child.stderr.on('data', (text: string) => {
      log = (log + text).slice(-100_000);
      const [address] = /http:\/\/127\.0\.0\.1:\d+/.exec(log) ?? [];
      if (address !== undefined) resolve(address);
    });
  });
  return {
    endpoint,
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
