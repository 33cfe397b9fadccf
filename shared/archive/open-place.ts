import { fileURLToPath } from 'node:url';
import { PipelineError } from '../errors.ts';
import { filePlace } from './file-place.ts';
import type { ArchivePlace } from './place.ts';

export interface ArchiveConfig {
  readonly ARCHIVE_URL: string;
  readonly AWS_REGION?: string | undefined;
  readonly AWS_ENDPOINT_URL_S3?: string | undefined;
}

/**
 * The place that ARCHIVE_URL names: `file:DIRECTORY` or `s3://BUCKET/PREFIX`, whose SDK is loaded only then. Opening asks nothing of
 * it: its first call does.
 *
 * @throws PipelineError CONFIG_INVALID for a URL nobody serves, or a bucket without a region
 */
export async function openArchivePlace(config: ArchiveConfig): Promise<ArchivePlace> {
  const url = config.ARCHIVE_URL;
  if (url.startsWith('file:')) {
    return filePlace(url.startsWith('file://') ? fileURLToPath(url) : url.slice('file:'.length));
  }
  const [, bucket, prefix = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]+)(?:\/(.*))?$/.exec(url) ?? [];
  if (bucket === undefined) {
    throw new PipelineError('CONFIG_INVALID', 'ARCHIVE_URL must be file:DIRECTORY or s3://BUCKET/PREFIX');
  }
  if (config.AWS_REGION === undefined) throw new PipelineError('CONFIG_INVALID', 'AWS_REGION is not set');
  const { s3Place } = await import('./s3-place.ts');
  return s3Place({
    bucket,
    prefix: prefix.replace(/\/$/, ''),
    region: config.AWS_REGION,
    endpoint: config.AWS_ENDPOINT_URL_S3,
  });
}
