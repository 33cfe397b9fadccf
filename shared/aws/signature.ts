import { createHmac, hash } from 'node:crypto';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** A POST to `/` of one host, all that the JSON protocols of AWS need. */
export interface SignedPost {
  readonly host: string;
  readonly target: string;
  readonly body: string;
  readonly nowMs: number;
}

/**
 * Signature Version 4 of requests to one service in one region (AWS General Reference, "Create a signed AWS API request"). The signing key is
 * derived once a day and credential, for it takes four HMACs.
 */
export class Signer {
  readonly #region: string;
  readonly #service: string;
  #time = { second: Number.NaN, text: '' };
  #key: { readonly of: string; readonly bytes: Buffer } | undefined;

  constructor(options: { readonly region: string; readonly service: string }) {
    this.#region = options.region;
    this.#service = options.service;
  }

  /** The headers that make the request one of these credentials. */
  headers(post: SignedPost, credentials: Credentials): Record<string, string> {
    const { host, target, body } = post;
    const { sessionToken: token } = credentials;
    const time = this.#timeOf(post.nowMs);
    const tokenLine = token === undefined ? '' : `x-amz-security-token:${token}\n`;
    const names = `host;x-amz-date;${token === undefined ? '' : 'x-amz-security-token;'}x-amz-target`;
    const lines = `host:${host}\nx-amz-date:${time}\n${tokenLine}x-amz-target:${target}\n`;
    const canonical = `POST\n/\n\n${lines}\n${names}\n${hash('sha256', body)}`;
    const scope = `${time.slice(0, 8)}/${this.#region}/${this.#service}/aws4_request`;
    const text = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash('sha256', canonical)}`;
    const signature = hmac(this.#keyFor(time.slice(0, 8), credentials.secretAccessKey), text).toString('hex');
    const authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
    return {
      host,
      'x-amz-date': time,
      ...(token === undefined ? {} : { 'x-amz-security-token': token }),
      'x-amz-target': target,
      authorization,
    };
  }

  /** `20261124T235958Z`, made once a second. */
  #timeOf(nowMs: number): string {
    const second = Math.floor(nowMs / 1_000);
    if (this.#time.second !== second) {
      const text = new Date(second * 1_000).toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
      this.#time = { second, text };
    }
    return this.#time.text;
  }

  #keyFor(date: string, secret: string): Buffer {
    const of = `${date} ${secret}`;
    if (this.#key?.of !== of) {
      const bytes = [date, this.#region, this.#service, 'aws4_request'].reduce(
        (key: string | Buffer, part) => hmac(key, part),
        `AWS4${secret}`,
      );
      this.#key = { of, bytes: Buffer.from(bytes) };
    }
    return this.#key.bytes;
  }
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
