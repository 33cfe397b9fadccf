import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';

/** What every answer says: nothing but this server's own files, in nobody's frame, kept nowhere. */
export const safeHeaders: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
};

/**
 * Who may ask. **With a token, only who shows it**: as the password of HTTP's Basic authentication, whatever the name, which every browser
 * offers and sends with event streams too, or as a Bearer token. **Under a name that is not ours, nobody**: a page elsewhere may point its own name at
 * this address and would be of the same origin ("DNS rebinding"); an address and `localhost` nobody can point elsewhere.
 */
export class Admission {
  readonly #token: Buffer | undefined;
  readonly #hosts: ReadonlySet<string>;

  constructor(options: { readonly token: string | undefined; readonly hosts: readonly string[] }) {
    this.#token = options.token === undefined ? undefined : digest(options.token);
    this.#hosts = new Set(['localhost', ...options.hosts]);
  }

  /** Answers whoever may not ask, and says that it has. */
  refuse(request: IncomingMessage, response: ServerResponse): boolean {
    if (!this.#known(request.headers.host)) {
      answer(response, 421, 'This name is not one of CONSOLE_ALLOWED_HOSTS.');
      return true;
    }
    if (this.#token === undefined || this.#shown(request.headers.authorization, this.#token)) return false;
    response.setHeader('www-authenticate', 'Basic realm="sluice console", charset="UTF-8"');
    answer(response, 401, 'The password is CONSOLE_TOKEN; any name will do.');
    return true;
  }

  #known(host: string | undefined): boolean {
    const [, name = '', address = ''] =
      /^(?:\[([0-9a-f:.]+)\]|([^:\s]+))(?::\d{1,5})?$/i.exec(host ?? '') ?? [];
    const asked = (name === '' ? address : name).toLowerCase();
    return isIP(asked) !== 0 || this.#hosts.has(asked);
  }

  /** Digests are compared, so that neither length nor content shows in the time it takes. */
  #shown(header: string | undefined, token: Buffer): boolean {
    const [, scheme = '', credentials = ''] = /^(basic|bearer) +(\S+)$/i.exec(header ?? '') ?? [];
    const basic = scheme.toLowerCase() === 'basic';
    const text = basic ? Buffer.from(credentials, 'base64').toString('utf8') : credentials;
    const given = basic ? text.slice(text.indexOf(':') + 1) : text;
    return timingSafeEqual(digest(given), token);
  }
}

/** A line of plain text. */
export function answer(response: ServerResponse, status: number, text: string): void {
  response
    .writeHead(status, { ...safeHeaders, 'content-type': 'text/plain; charset=utf-8' })
    .end(`${text}\n`);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
