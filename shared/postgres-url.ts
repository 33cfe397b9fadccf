/**
 * What a session must be like to be used, as libpq's `target_session_attrs` (PostgreSQL manual, "Database Connection Control Functions").
 * `read-write`: it may write, so not on a standby, nor where `default_transaction_read_only` is on. `primary`: not on a standby.
 */
export const sessionAttrs = ['any', 'read-write', 'read-only', 'primary', 'standby'] as const;
export type SessionAttrs = (typeof sessionAttrs)[number];

export interface PostgresUrl {
  /** A URL for each server, in the order named, all else the same. */
  readonly servers: readonly [string, ...string[]];
  readonly attrs: SessionAttrs;
}

/** Before the servers (scheme, user, password), the servers, and what is behind them. */
const parts = /^(postgres(?:ql)?:\/\/(?:[^/?#]*@)?)([^/?#@]*)((?:[/?#].*)?)$/;
const server = /^(\[[0-9a-f:.]+\]|[^\s:,[\]]+)(?::(\d{1,5}))?$/i;

/**
 * libpq's URL, with one server or several: `postgres://u:p@h1:5432,h2:5432/db?target_session_attrs=read-write` → two URLs and
 * `read-write`. Or what is wrong with it, to be put behind the name of a setting; **never a part of it**.
 */
export function parsePostgresUrl(text: string): PostgresUrl | { readonly problem: string } {
  const [, before = '', list = '', behind = ''] = parts.exec(text) ?? [];
  if (before === '') return { problem: 'must be a postgres:// URL' };
  const names = list.split(',');
  if (names.length > 1 && !names.every(isServer)) {
    return { problem: 'must name each of its servers as HOST:PORT, comma-separated' };
  }
  const [first = '', ...others] = names.map((name) => before + name + behind);
  // pg takes a user without a host, too.
  if (![first.replace('@/', '@host/'), ...others].every((url) => URL.canParse(url))) {
    return {
      problem: 'must be a postgres:// URL, with %-escapes for what is special in its user and password',
    };
  }
  const query = new URLSearchParams(/\?([^#]*)/.exec(behind)?.[1]);
  if (/,/.test(`${query.get('host') ?? ''}${query.get('port') ?? ''}`)) {
    return { problem: 'must name several servers before its path: postgres://HOST:PORT,HOST:PORT/DATABASE' };
  }
  const wanted = query.get('target_session_attrs') ?? 'any';
  const attrs = sessionAttrs.find((one) => one === wanted);
  if (attrs === undefined) {
    return { problem: `has a target_session_attrs that is none of ${sessionAttrs.join(', ')}` };
  }
  return { servers: [first, ...others], attrs };
}

function isServer(name: string): boolean {
  const [, host, port = '5432'] = server.exec(name) ?? [];
  return host !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
}

/** The same URL with another user, path or the like; its servers stay. @throws TypeError when it is no URL */
export function editPostgresUrl(text: string, edit: (url: URL) => void): string {
  const [, before = '', list = '', behind = ''] = parts.exec(text) ?? [];
  const url = new URL(`${before}servers${behind}`);
  edit(url);
  const [, edited = '', , rest = ''] = parts.exec(url.href) ?? [];
  return edited + list + rest;
}

/** Whether sessions under this URL are encrypted for certain: `sslmode` of `require` or more, or `ssl=true`. */
export function isEncrypted(text: string): boolean {
  const query = new URLSearchParams(/\?([^#]*)/.exec(text)?.[1]);
  const mode = query.get('sslmode');
  if (mode !== null) return ['require', 'verify-ca', 'verify-full'].includes(mode);
  return ['true', '1'].includes(query.get('ssl') ?? '') || query.get('sslnegotiation') === 'direct';
}
