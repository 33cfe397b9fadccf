/** One request, as the server's parts see it. */
export interface VaultCall {
  readonly operation: 'read' | 'list' | 'create' | 'update' | 'delete';
  readonly body: Readonly<Record<string, unknown>>;
  readonly query: URLSearchParams;
}

/** An answer: `data` or `auth` of Vault's envelope, or nothing. */
export interface Reply {
  readonly status: number;
  readonly data?: unknown;
  readonly auth?: unknown;
}

/** `{"errors": […]}`. A 404 without a text is Vault's "nothing there". */
export class Refusal extends Error {
  readonly status: number;
  readonly errors: readonly string[];

  constructor(status: number, ...errors: string[]) {
    super(`${status}`);
    this.status = status;
    this.errors = errors;
  }
}

/** Whether the token was unknown, or had no such right: the texts differ, the status does not. */
export function denied(by: 'token' | 'policy'): Refusal {
  return new Refusal(
    403,
    by === 'token' ? 'permission denied' : '1 error occurred:\n\t* permission denied\n\n',
  );
}

/** Seconds, or Go's `90s`, `20m`, `1h` → ms. */
export function duration(value: unknown): number {
  if (typeof value === 'number') return value * 1_000;
  const [, amount, unit = 's'] = /^(\d+)(ms|s|m|h)?$/.exec(String(value)) ?? [];
  if (amount === undefined) throw new Refusal(400, 'not a duration');
  return Number(amount) * ({ ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[unit] ?? 1_000);
}
