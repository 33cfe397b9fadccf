import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { awsClientOptions } from '../aws/client-options.ts';
import { awsErrorName, awsRefusal } from '../aws/errors.ts';
import { PipelineError } from '../errors.ts';
import { classifiedStream } from './classified.ts';
import { Measured } from './measure.ts';
import { checkedName, checkedPrefix, isName } from './names.ts';
import type { ArchivePlace } from './place.ts';

/** Of which S3 takes 10,000: up to 156 GiB. Three or four of them are in memory at once. */
const partBytes = 16 * 1_048_576;
const partsAtOnce = 2;
/** A reader may pause while Postgres is busy; a server that is silent for longer is gone. */
const timeoutMs = 300_000;
const maxSockets = 32;
/** Pages of a thousand versions, until there is none: more than this, and somebody puts as fast as we remove. */
const removeRounds = 100;

export interface S3PlaceOptions {
  readonly bucket: string;
  /** Without slashes at its ends; may be empty. */
  readonly prefix: string;
  readonly region: string;
  /** Unset: AWS's own, of the region. Set: the bucket is a part of the path, as S3's stand-ins expect. */
  readonly endpoint?: string | undefined;
  /** Unset: as the SDK finds them. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined;
}

/**
 * An archive in an S3 bucket. An object is whole or what it was before: small ones by one PUT, others in parts that become an object
 * at the end, and are aborted when something fails. (What a killed process leaves of one, the bucket's lifecycle must abort:
 * docs/operations.md.) Encryption at rest is the bucket's. `remove` deletes every version and every delete marker, and looks again.
 */
export function s3Place(options: S3PlaceOptions): ArchivePlace {
  const { bucket } = options;
  const base = options.prefix === '' ? '' : `${options.prefix}/`;
  const client = new S3Client({
    region: options.region,
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint, forcePathStyle: true }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    ...awsClientOptions({ maxSockets, timeoutMs, maxAttempts: 3 }),
  });
  const classify = (error: unknown) => classifyS3(error, bucket);

  /** The first page of them: a key comes before all others that begin with it. */
  async function versionsOf(key: string): Promise<string[]> {
    const { Versions = [], DeleteMarkers = [] } = await client.send(
      new ListObjectVersionsCommand({ Bucket: bucket, Prefix: key }),
    );
    return [...Versions, ...DeleteMarkers].flatMap(({ Key, VersionId }) =>
      Key === key ? [VersionId ?? 'null'] : [],
    );
  }

  return {
    url: `s3://${bucket}${base === '' ? '' : `/${options.prefix}`}`,
    async put(name, content) {
      const key = base + checkedName(name);
      const measured = new Measured(content);
      try {
        const upload = new Upload({
          client,
          params: { Bucket: bucket, Key: key, Body: Readable.from(measured) },
          partSize: partBytes,
          queueSize: partsAtOnce,
        });
        await upload.done();
        return measured.stored();
      } catch (error) {
        if (measured.failure !== undefined) throw measured.failure.error;
        throw classify(error);
      }
    },
    async get(name) {
      const key = base + checkedName(name);
      try {
        const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
        if (!(Body instanceof Readable)) throw new PipelineError('ARCHIVE_UNAVAILABLE', 'no body');
        return classifiedStream(Body, classify);
      } catch (error) {
        if (awsErrorName(error) === 'NoSuchKey') return undefined;
        throw classify(error);
      }
    },
    async list(prefix) {
      checkedPrefix(prefix);
      const names: string[] = [];
      try {
        let token: string | undefined;
        do {
          const answer = await client.send(
            new ListObjectsV2Command({
              Bucket: bucket,
              Prefix: base + prefix,
              ...(token === undefined ? {} : { ContinuationToken: token }),
            }),
          );
          for (const { Key } of answer.Contents ?? []) {
            // Markers of folders, as a console makes them, are none of ours.
            const name = Key?.slice(base.length);
            if (name !== undefined && isName(name)) names.push(name);
          }
          token = answer.IsTruncated === true ? answer.NextContinuationToken : undefined;
        } while (token !== undefined);
      } catch (error) {
        throw classify(error);
      }
      return names.sort();
    },
    async remove(name) {
      const key = base + checkedName(name);
      try {
        for (let round = 0; round < removeRounds; round++) {
          const versions = await versionsOf(key);
          if (versions.length === 0) return;
          for (const VersionId of versions) {
            await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key, VersionId }));
          }
        }
      } catch (error) {
        throw classify(error);
      }
      throw new PipelineError('ARCHIVE_UNAVAILABLE', `${name} is there again each time it is removed`);
    },
  };
}

/**
 * Total. ARCHIVE_FORBIDDEN stops the process, so only what is certain gets it; throttling, outages and **everything unknown is
 * ARCHIVE_UNAVAILABLE**. The detail is the error's name, never its message.
 */
export function classifyS3(error: unknown, bucket: string): PipelineError {
  if (error instanceof PipelineError) return error;
  const name = awsErrorName(error);
  if (name === 'NoSuchBucket') return new PipelineError('ARCHIVE_FORBIDDEN', `there is no bucket ${bucket}`);
  if (name === 'PermanentRedirect' || name === 'AuthorizationHeaderMalformed') {
    return new PipelineError('ARCHIVE_FORBIDDEN', `bucket ${bucket} lies in another region than AWS_REGION`);
  }
  const refusal = awsRefusal(error);
  return new PipelineError(
    refusal === undefined ? 'ARCHIVE_UNAVAILABLE' : 'ARCHIVE_FORBIDDEN',
    refusal ?? name,
  );
}
