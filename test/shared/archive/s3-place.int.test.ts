import {
  CreateBucketCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PipelineError } from '../../../shared/errors.ts';
import { openArchivePlace } from '../../../shared/archive/open-place.ts';
import { s3Place } from '../../../shared/archive/s3-place.ts';
import { openGate, type HttpGate, type Instead } from '../../helpers/http-gate.ts';
import { iamPolicies } from '../../helpers/iam-policies.ts';
import { enforce } from '../../helpers/iam.ts';
import { motoPython, startMoto, type Moto } from '../../helpers/moto.ts';
import { archivePlaceConformance, chunksOf, patternOf, sha256Of, textAt } from './conformance.ts';

const region = 'us-east-1';
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
const mebibyte = 1_048_576;
const python = await motoPython();

describe.skipIf(python === undefined)('S3, on moto', () => {
  let moto: Moto;
  let admin: S3Client;
  const gates: HttpGate[] = [];
  beforeAll(async () => {
    moto = await startMoto(python ?? '');
    admin = new S3Client({ region, endpoint: moto.endpoint, credentials, forcePathStyle: true });
  });
  afterAll(async () => {
    admin.destroy();
    for (const gate of gates) await gate.close();
    await moto.stop();
  });

  async function makeBucket(versioned = false): Promise<string> {
    const bucket = `archive-${randomUUID()}`;
    await admin.send(new CreateBucketCommand({ Bucket: bucket }));
    if (versioned) {
      await admin.send(
        new PutBucketVersioningCommand({
          Bucket: bucket,
          VersioningConfiguration: { Status: 'Enabled' },
        }),
      );
    }
    return bucket;
  }

  function placeIn(bucket: string, endpoint = moto.endpoint, prefix = 'sluice/prod') {
    return s3Place({ bucket, prefix, region, endpoint, credentials });
  }

  async function everythingIn(bucket: string): Promise<string[]> {
    const { Versions = [], DeleteMarkers = [] } = await admin.send(
      new ListObjectVersionsCommand({ Bucket: bucket }),
    );
    return [...Versions, ...DeleteMarkers].map(({ Key }) => Key ?? '');
  }

  async function uploadsIn(bucket: string): Promise<number> {
    const { Uploads = [] } = await admin.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    return Uploads.length;
  }

  for (const [title, prefix, versioned] of [
    ['a bucket with a prefix', 'sluice/prod', false],
    ['a whole bucket that keeps versions', '', true],
  ] as const) {
    archivePlaceConformance(title, async () => {
      const gate = await openGate(moto.endpoint);
      gates.push(gate);
      return {
        place: placeIn(await makeBucket(versioned), gate.endpoint, prefix),
        goAway: () => gate.close(),
      };
    });
  }

  test('what is removed is gone in every version, and so are the marks of its removal', async () => {
    const bucket = await makeBucket(true);
    const place = placeIn(bucket);
    for (const text of ['first', 'second']) await place.put('day/rows', chunksOf(text));
    await place.put('day/rows.more', chunksOf('another, which begins the same'));
    const key = 'sluice/prod/day/rows';
    expect((await everythingIn(bucket)).filter((one) => one === key)).toHaveLength(2);
    await place.remove('day/rows');
    expect(await everythingIn(bucket)).toEqual([`${key}.more`]);
    await place.remove('day/rows');
    expect(await everythingIn(bucket)).toEqual([`${key}.more`]);
  });

  test('more versions than a page: all of them', async () => {
    const bucket = await makeBucket(true);
    for (const name of ['a', 'a', 'a', 'a', 'a', 'a', 'a', 'a/b', 'a/b']) {
      await placeIn(bucket).put(name, chunksOf('x'));
    }
    await using gate = await openGate(moto.endpoint, threeAPage);
    await placeIn(bucket, gate.endpoint).remove('a');
    expect(await everythingIn(bucket)).toEqual(['sluice/prod/a/b', 'sluice/prod/a/b']);
  });

  test('lists beyond one page, and nothing outside its prefix or not made by us', async () => {
    const bucket = await makeBucket();
    const names = Array.from({ length: 10 }, (_, i) => `d/${i}`);
    for (const Key of ['other/x', 'sluice/prod2/x', 'sluice/prod/', 'sluice/prod/d/']) {
      await admin.send(new PutObjectCommand({ Bucket: bucket, Key, Body: 'x' }));
    }
    for (const name of names) await placeIn(bucket).put(name, chunksOf('x'));
    await using gate = await openGate(moto.endpoint, threeAPage);
    expect(await placeIn(bucket, gate.endpoint).list('')).toEqual(names);
  });

  test('256 MiB pass through a few parts of memory, in and out', async () => {
    const bytes = 256 * mebibyte;
    const place = placeIn(await makeBucket());
    const held = Buffer.alloc(8 * mebibyte);
    const withHeld = await quietLiveBytes();
    const before = withHeld - held.length;
    expect(before).toBeGreaterThanOrEqual(0);
    let peak = 0;
    async function* watched(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      let read = 0;
      for await (const chunk of content) {
        const mebibytes = Math.floor(read / mebibyte);
        read += chunk.length;
        if (mebibytes % 8 === 7 && Math.floor(read / mebibyte) > mebibytes) {
          peak = Math.max(peak, liveBytes() - before);
        }
        yield chunk;
      }
    }
    const stored = await place.put('a', watched(patternOf(bytes)));
    expect(stored.bytes).toBe(bytes);
    // What is held here besides is counted, or nothing would be.
    expect(peak).toBeGreaterThanOrEqual(held.length / 2);
    expect(peak).toBeLessThan(100 * mebibyte);
    peak = 0;
    const content = await place.get('a');
    expect(await sha256Of(watched(content ?? chunksOf()))).toBe(stored.sha256);
    expect(peak).toBeLessThan(64 * mebibyte);
  });

  test('a part that is refused ends the upload: nothing of it stays, and the former content does', async () => {
    const bucket = await makeBucket();
    await placeIn(bucket).put('a', chunksOf('former'));
    await using gate = await openGate(moto.endpoint, (request) =>
      request.url?.includes('partNumber=3') ? refusing : undefined,
    );
    let readBytes = 0;
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const chunk of patternOf(400 * mebibyte)) {
        readBytes += chunk.length;
        yield chunk;
      }
    }
    await expect(placeIn(bucket, gate.endpoint).put('a', counted())).rejects.toMatchObject({
      code: 'ARCHIVE_FORBIDDEN',
      detail: 'AccessDenied',
    });
    expect(readBytes).toBeLessThan(200 * mebibyte);
    expect(await uploadsIn(bucket)).toBe(0);
    expect(await textAt(placeIn(bucket), 'a')).toBe('former');
  });

  test('content that fails after several parts leaves no parts behind', async () => {
    const bucket = await makeBucket();
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield* patternOf(50 * mebibyte);
      throw new Error('the source failed');
    }
    await expect(placeIn(bucket).put('a', failing())).rejects.toThrow('the source failed');
    expect(await uploadsIn(bucket)).toBe(0);
    expect(await everythingIn(bucket)).toEqual([]);
  });

  test('a download that is cut off is an outage, not the end', async () => {
    const bucket = await makeBucket();
    await placeIn(bucket).put('a', patternOf(mebibyte));
    await using gate = await openGate(moto.endpoint, (request) =>
      request.method === 'GET' ? cuttingOff : undefined,
    );
    const content = await placeIn(bucket, gate.endpoint).get('a');
    await expect(sha256Of(content ?? chunksOf())).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' });
  });

  test.for([
    [503, 'SlowDown', 'ARCHIVE_UNAVAILABLE'],
    [500, 'InternalError', 'ARCHIVE_UNAVAILABLE'],
    [403, 'AccessDenied', 'ARCHIVE_FORBIDDEN'],
    [403, 'InvalidAccessKeyId', 'ARCHIVE_FORBIDDEN'],
    [403, 'SignatureDoesNotMatch', 'ARCHIVE_FORBIDDEN'],
    [400, 'ExpiredToken', 'ARCHIVE_FORBIDDEN'],
  ] as const)('%i %s is %s, and repeats nothing of the answer', async ([status, name, code]) => {
    await using gate = await openGate(moto.endpoint, () => failing(status, name));
    const place = placeIn('bucket', gate.endpoint);
    const calls = [place.put('a', chunksOf('x')), place.get('a'), place.list(''), place.remove('a')];
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code } });
      expect(JSON.stringify(outcome) + String(outcome.status === 'rejected' && outcome.reason)).not.toContain(
        '203.0.113.7',
      );
    }
  });

  describe('with the policy of each role', () => {
    const none = { put: [], get: [], list: [], remove: [] };
    const rows = ['user_logins/2026-08-01/rows'];
    const heads = ['audit/heads/000000000001'];
    const both = [...rows, ...heads];
    const table: Readonly<
      Record<string, Readonly<Record<'put' | 'get' | 'list' | 'remove', readonly string[]>>>
    > = {
      migrate: none,
      connector: none,
      writer: none,
      recoverer: none,
      tokenizer: none,
      keeper: { put: heads, get: heads, list: both, remove: [] },
      archivist: { put: rows, get: rows, list: both, remove: rows },
      shredder: { put: rows, get: rows, list: both, remove: rows },
      auditor: { put: [], get: heads, list: both, remove: [] },
    };

    test.each(Object.entries(table))('%s', async (role, rights) => {
      const bucket = await makeBucket(true);
      const policies = await policiesFor(bucket);
      await using gate = await openGate(
        moto.endpoint,
        enforce((accessKeyId) => policies.get(accessKeyId)),
      );
      const place = s3Place({
        bucket,
        prefix: 'sluice/prod',
        region,
        endpoint: gate.endpoint,
        credentials: { accessKeyId: role, secretAccessKey: 'secret' },
      });
      for (const name of both) {
        await placeIn(bucket).put(name, chunksOf('there'));
        const outcome = async (call: Promise<unknown>) =>
          call.then(
            () => 'done',
            (error: unknown) => (error instanceof PipelineError ? error.code : error),
          );
        expect({
          name,
          list: await outcome(place.list(name)),
          put: await outcome(place.put(name, chunksOf('theirs'))),
          putLarge: await outcome(place.put(name, patternOf(17 * mebibyte))),
          get: await outcome(place.get(name).then((content) => sha256Of(content ?? chunksOf()))),
          remove: await outcome(place.remove(name)),
        }).toEqual({
          name,
          list: rights.list.includes(name) ? 'done' : 'ARCHIVE_FORBIDDEN',
          put: rights.put.includes(name) ? 'done' : 'ARCHIVE_FORBIDDEN',
          putLarge: rights.put.includes(name) ? 'done' : 'ARCHIVE_FORBIDDEN',
          get: rights.get.includes(name) ? 'done' : 'ARCHIVE_FORBIDDEN',
          remove: rights.remove.includes(name) ? 'done' : 'ARCHIVE_FORBIDDEN',
        });
        const left = (await placeIn(bucket).get(name)) !== undefined;
        expect({ name, left }).toEqual({ name, left: !rights.remove.includes(name) });
      }
    });

    test('every policy is in the table', async () => {
      expect([...(await policiesFor('bucket')).keys()].sort()).toEqual(Object.keys(table).sort());
    });
  });

  test('a bucket that does not exist is a stop that names it', async () => {
    const place = placeIn('no-such-bucket');
    for (const call of [() => place.put('a', chunksOf('x')), () => place.get('a'), () => place.remove('a')]) {
      await expect(call()).rejects.toMatchObject({
        code: 'ARCHIVE_FORBIDDEN',
        message: expect.stringContaining('no bucket no-such-bucket'),
      });
    }
  });
});

describe('ARCHIVE_URL', () => {
  test.for([
    ['s3://bucket', 's3://bucket'],
    ['s3://bucket/', 's3://bucket'],
    ['s3://my.bucket-1/a/b/', 's3://my.bucket-1/a/b'],
  ] as const)('%s is %s', async ([url, expected]) => {
    expect((await openArchivePlace({ ARCHIVE_URL: url, AWS_REGION: region })).url).toBe(expected);
  });

  test('a bucket needs a region', async () => {
    await expect(openArchivePlace({ ARCHIVE_URL: 's3://bucket/x' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('AWS_REGION is not set'),
    });
  });
});

function policiesFor(bucket: string) {
  return iamPolicies({
    REGION: region,
    ACCOUNT: '123456789012',
    PREFIX: 'sluice/prod',
    BUCKET: bucket,
    ARCHIVE_PREFIX: 'sluice/prod',
  });
}

/** The server's sentence may name whoever asked; ours may not. */
const failing =
  (status: number, name: string): Instead =>
  (_request, answer) => {
    answer.writeHead(status, { 'content-type': 'application/xml' });
    answer.end(`<Error><Code>${name}</Code><Message>203.0.113.7 may not</Message></Error>`);
  };
const refusing = failing(403, 'AccessDenied');

/** What the server gives a page is ours to say, up to a thousand. */
function threeAPage(request: IncomingMessage): undefined {
  if (request.url?.includes('?') === true) request.url += '&max-keys=3';
}

/** Of buffers that somebody still holds. */
function liveBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().arrayBuffers;
}

/** What earlier tests let go of is freed a while after it is collected: until a reading repeats. */
async function quietLiveBytes(): Promise<number> {
  let last = liveBytes();
  for (;;) {
    await sleep(50);
    const next = liveBytes();
    if (next >= last) return next;
    last = next;
  }
}

const cuttingOff: Instead = (_request, answer) => {
  answer.writeHead(200, { 'content-length': String(mebibyte) });
  answer.write(Buffer.alloc(100_000), () => answer.destroy());
};
