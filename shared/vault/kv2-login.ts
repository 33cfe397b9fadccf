import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { PipelineError } from '../errors.ts';
import { systemCode } from './durable-file.ts';
import type { Kv2Http } from './kv2-http.ts';
import { refusal } from './kv2-refusal.ts';
import type { VaultConfig } from './vault-config.ts';

/** Where Kubernetes puts a pod's own token. */
const serviceAccountToken = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/** How a process comes by its token. */
export type Login =
  | { readonly by: 'token'; readonly token: string }
  | { readonly by: 'file'; readonly file: string }
  | {
      readonly by: 'approle';
      readonly mount: string;
      readonly roleId: string;
      /** The secret id itself, or the file that holds it, read at every login. */
      readonly secretId: { readonly text: string } | { readonly file: string };
    }
  | { readonly by: 'kubernetes'; readonly mount: string; readonly role: string; readonly file: string };

export interface VaultToken {
  readonly token: string;
  /** Undefined: it does not expire, or we may not know. */
  readonly ttlMs: number | undefined;
  readonly renewable: boolean;
}

/** @throws PipelineError CONFIG_INVALID unless the variables describe exactly one way to log in */
export function loginOf(config: VaultConfig): Login {
  const { VAULT_TOKEN, VAULT_TOKEN_FILE, VAULT_ROLE_ID, VAULT_KUBERNETES_ROLE } = config;
  const ways: Login[] = [];
  if (VAULT_TOKEN !== undefined) ways.push({ by: 'token', token: VAULT_TOKEN });
  if (VAULT_TOKEN_FILE !== undefined) ways.push({ by: 'file', file: VAULT_TOKEN_FILE });
  if (VAULT_ROLE_ID !== undefined) {
    const mount = config.VAULT_AUTH_MOUNT ?? 'approle';
    ways.push({ by: 'approle', mount, roleId: VAULT_ROLE_ID, secretId: secretIdOf(config) });
  }
  if (VAULT_KUBERNETES_ROLE !== undefined) {
    const mount = config.VAULT_AUTH_MOUNT ?? 'kubernetes';
    const file = config.VAULT_KUBERNETES_TOKEN_FILE ?? serviceAccountToken;
    ways.push({ by: 'kubernetes', mount, role: VAULT_KUBERNETES_ROLE, file });
  }
  const [way] = ways;
  if (way !== undefined && ways.length === 1) return way;
  throw new PipelineError(
    'CONFIG_INVALID',
    `set exactly one of VAULT_TOKEN, VAULT_TOKEN_FILE, VAULT_ROLE_ID and VAULT_KUBERNETES_ROLE (${
      way === undefined ? 'none is' : `${ways.length} are`
    } set)`,
  );
}

function secretIdOf({ VAULT_SECRET_ID, VAULT_SECRET_ID_FILE }: VaultConfig) {
  if (VAULT_SECRET_ID !== undefined && VAULT_SECRET_ID_FILE === undefined) return { text: VAULT_SECRET_ID };
  if (VAULT_SECRET_ID === undefined && VAULT_SECRET_ID_FILE !== undefined) {
    return { file: VAULT_SECRET_ID_FILE };
  }
  throw new PipelineError(
    'CONFIG_INVALID',
    'VAULT_ROLE_ID needs exactly one of VAULT_SECRET_ID and VAULT_SECRET_ID_FILE',
  );
}

/** A token to work with. @throws PipelineError VAULT_FORBIDDEN when the vault refuses the login, VAULT_UNAVAILABLE, CONFIG_INVALID */
export async function logIn(http: Kv2Http, login: Login): Promise<VaultToken> {
  switch (login.by) {
    case 'token':
      return lookUp(http, asToken(login.token, 'VAULT_TOKEN'));
    case 'file':
      return lookUp(http, asToken(await readText(login.file, 'VAULT_TOKEN_FILE'), 'VAULT_TOKEN_FILE'));
    default:
      return postLogin(http, login.mount, await loginFields(login));
  }
}

async function loginFields(login: Extract<Login, { by: 'approle' | 'kubernetes' }>): Promise<object> {
  if (login.by === 'kubernetes') {
    return { role: login.role, jwt: await readText(login.file, 'VAULT_KUBERNETES_TOKEN_FILE') };
  }
  const { roleId, secretId } = login;
  const text = 'text' in secretId ? secretId.text : await readText(secretId.file, 'VAULT_SECRET_ID_FILE');
  return { role_id: roleId, secret_id: text };
}

/** The same token with a new lease, or undefined when the vault will not. */
export async function renew(http: Kv2Http, token: string): Promise<VaultToken | undefined> {
  const body = Buffer.from('{}');
  const { status, body: answer } = await http({
    method: 'POST',
    path: 'auth/token/renew-self',
    token,
    body,
  });
  return status === 200 ? tokenOf(answer) : undefined;
}

/** Does the vault know this token? False as well for one that may not ask. */
export async function isKnown(http: Kv2Http, token: string): Promise<boolean> {
  return (await http({ method: 'GET', path: 'auth/token/lookup-self', token })).status === 200;
}

const lookup = z.object({ data: z.object({ ttl: z.number(), renewable: z.boolean().default(false) }) });

/** How long a token lasts that was given to us, if it may ask. */
async function lookUp(http: Kv2Http, token: string): Promise<VaultToken> {
  const { status, body } = await http({ method: 'GET', path: 'auth/token/lookup-self', token });
  const found = status === 200 ? lookup.safeParse(parse(body)) : undefined;
  if (found?.success !== true) return { token, ttlMs: undefined, renewable: false };
  const { ttl, renewable } = found.data.data;
  return { token, ttlMs: ttl > 0 ? ttl * 1_000 : undefined, renewable };
}

async function postLogin(http: Kv2Http, mount: string, fields: object): Promise<VaultToken> {
  const path = `auth/${mount.split('/').map(encodeURIComponent).join('/')}/login`;
  const body = Buffer.from(JSON.stringify(fields));
  const { status, body: answer } = await http({ method: 'POST', path, body });
  const token = status === 200 ? tokenOf(answer) : undefined;
  if (token !== undefined) return token;
  throw status === 404
    ? refusal(status, answer)
    : new PipelineError('VAULT_FORBIDDEN', 'the login was refused');
}

const authAnswer = z.object({
  auth: z.object({
    client_token: z.string().min(1),
    lease_duration: z.number(),
    renewable: z.boolean().default(false),
  }),
});

function tokenOf(answer: Buffer): VaultToken | undefined {
  const found = authAnswer.safeParse(parse(answer));
  if (!found.success) return undefined;
  const { client_token: token, lease_duration: seconds, renewable } = found.data.auth;
  return { token, ttlMs: seconds > 0 ? seconds * 1_000 : undefined, renewable };
}

/** The JSON of an answer, undefined when it is none. */
function parse(answer: Buffer): unknown {
  try {
    return JSON.parse(answer.toString());
  } catch {
    return undefined;
  }
}

function asToken(text: string, variable: string): string {
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new PipelineError('CONFIG_INVALID', `${variable} does not hold a token`);
}

async function readText(file: string, variable: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new PipelineError('CONFIG_INVALID', `${variable} cannot be read (${systemCode(error) ?? 'error'})`);
  }
}
