import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { roles, type Role } from '../../db/logins.ts';
import { PipelineError } from '../../shared/errors.ts';

const port = z.number().int().min(1).max(65_535);
const portsSchema = z.object({
  postgres: port,
  sqs: port,
  /** One a broker, in the order of their node ids (1, 2, 3). */
  kafka: z.array(port),
  controllers: z.array(port),
  /** Where `stack up --observe` has started one. */
  jaeger: z.object({ query: port, grpc: port, http: port }).optional(),
});
const savedSchema = z.object({
  version: z.literal(1),
  brokers: z.union([z.literal(1), z.literal(3)]),
  ports: portsSchema,
  /** By server name: `postgres`, `sqs`, `kafka-1` … Started by us; whether they still run, `isRunning` knows. */
  processes: z.record(z.string(), z.object({ pid: z.number().int().positive(), started: z.string() })),
});
const logins = ['postgres', ...roles] as const;
/** A version of Sluice with fewer roles may have written it. */
const passwordsSchema = z.partialRecord(z.enum(logins), z.string());

type SavedState = z.output<typeof savedSchema>;
export type StackPorts = z.output<typeof portsSchema>;
export type Brokers = SavedState['brokers'];
export type StackPasswords = Readonly<Record<'postgres' | Role, string>>;

/** A local stack as its directory describes it. Holds passwords: not for a log. */
export interface StackState extends SavedState {
  /** Absolute. Everything the stack keeps lies below it. */
  readonly directory: string;
  readonly passwords: StackPasswords;
}

export type StackPaths = ReturnType<typeof stackPaths>;

/** Paths within a stack's directory. */
export function stackPaths(directory: string) {
  const root = resolve(directory);
  return {
    root,
    state: join(root, 'stack.json'),
    lock: join(root, 'stack.lock'),
    credentials: join(root, 'credentials'),
    passwords: join(root, 'credentials', 'postgres.json'),
    recovererKey: join(root, 'credentials', 'recoverer.key'),
    vault: join(root, 'vault'),
    archive: join(root, 'archive'),
    logs: join(root, 'log'),
    postgres: join(root, 'postgres'),
    kafka: join(root, 'kafka'),
    sqs: join(root, 'sqs'),
    jaegerConfig: join(root, 'jaeger.json'),
    cache: join(root, 'cache'),
  };
}

/** What is written down of a stack, or undefined. @throws PipelineError STACK when its file is damaged. */
export function readSaved(directory: string): SavedState | undefined {
  return readJson(stackPaths(directory).state, savedSchema);
}

/** Undefined when there is no stack in `directory`. @throws PipelineError STACK when its files are not ours or damaged. */
export function readState(directory: string): StackState | undefined {
  const paths = stackPaths(directory);
  const saved = readSaved(directory);
  if (saved === undefined) return undefined;
  if (readJson(paths.passwords, passwordsSchema) === undefined) {
    throw new PipelineError('STACK', `${paths.passwords} is missing: run "sluice stack reset"`);
  }
  return { ...saved, directory: paths.root, passwords: ensurePasswords(directory) };
}

/** The state file is whole at all times: written aside, then renamed. */
export function saveState(directory: string, state: SavedState): void {
  const { version, brokers, ports, processes } = state;
  writeJson(stackPaths(directory).state, { version, brokers, ports, processes });
}

/** The passwords kept in `directory`, made at random the first time. They outlive a lost state file, as the data does. */
export function ensurePasswords(directory: string): StackPasswords {
  const paths = stackPaths(directory);
  const known = readJson(paths.passwords, passwordsSchema);
  const random = () => randomBytes(24).toString('base64url');
  const password = (login: (typeof logins)[number]) => known?.[login] ?? random();
  const passwords: StackPasswords = {
    postgres: password('postgres'),
    sluice_writer: password('sluice_writer'),
    sluice_recoverer: password('sluice_recoverer'),
    sluice_operator: password('sluice_operator'),
    sluice_analyst: password('sluice_analyst'),
    sluice_shredder: password('sluice_shredder'),
    sluice_tokenizer: password('sluice_tokenizer'),
    sluice_replayer: password('sluice_replayer'),
    sluice_approver: password('sluice_approver'),
    sluice_monitor: password('sluice_monitor'),
  };
  if (known !== undefined && logins.every((login) => known[login] !== undefined)) return passwords;
  makePrivate(paths.credentials);
  writeJson(paths.passwords, passwords);
  return passwords;
}

/** A directory that only its owner can look into, whatever the umask. */
export function makePrivate(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
}

function readJson<T>(file: string, schema: z.ZodType<T>): T | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new PipelineError('STACK', `${file} cannot be read`);
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw new PipelineError('STACK', `${file} is damaged: end what it started by hand and delete it`);
  }
}

function writeJson(file: string, content: object): void {
  const aside = `${file}.${randomBytes(6).toString('hex')}`;
  writeFileSync(aside, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(aside, file);
}
