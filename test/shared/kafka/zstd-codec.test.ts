import { randomBytes } from 'node:crypto';
import { constants, createZstdCompress } from 'node:zlib';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { zstdCodec } from '../../../shared/kafka/zstd-codec.ts';

describe('zstdCodec', () => {
  it.each([0, 1, 1_000, 3_000_000])('gives back %d bytes', async (size) => {
    for (const bytes of [randomBytes(size), Buffer.alloc(size, 'json')]) {
      const packed = await zstdCodec.compress({ buffer: bytes });
      expect(packed.readUInt32LE(0)).toBe(0xfd2fb528);
      expect((await zstdCodec.decompress(packed)).equals(bytes)).toBe(true);
    }
  });

  it('reads a stream without a content size, as the Java client writes it', async () => {
    const stream = createZstdCompress({ params: { [constants.ZSTD_c_contentSizeFlag]: 0 } });
    stream.write(Buffer.alloc(70_000, 'a'));
    stream.end(Buffer.from('end'));
    const plain = await zstdCodec.decompress(await buffer(stream));
    expect(plain.length).toBe(70_003);
    expect(plain.subarray(-3).toString()).toBe('end');
  });

  it('rejects what is not zstd', async () => {
    await expect(zstdCodec.decompress(Buffer.from('no'))).rejects.toThrow(/frame descriptor|ZSTD/);
  });
});
