import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Level 1: the fastest that still halves a batch of JSON; our bottleneck is CPU, not disk. */
const params = { [constants.ZSTD_c_compressionLevel]: 1 };

/** A codec as kafkajs calls it: records as its encoder holds them in, bytes out. */
export interface RecordCodec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>;
  decompress(buffer: Buffer): Promise<Buffer>;
}

/**
 * zstd for record batches by Node's own zlib, in its thread pool: no native package. Reads what the Java client
 * writes (frames without a content size) and the reverse.
 */
export const zstdCodec: RecordCodec = {
  compress: (encoder) => compress(encoder.buffer, { params }),
  decompress: (buffer) => decompress(buffer),
};
