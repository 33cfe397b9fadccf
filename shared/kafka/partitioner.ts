/**
 * Murmur2 as `org.apache.kafka.common.utils.Utils.murmur2` computes it: a signed 32-bit integer.
 *
 * `murmur2(Buffer.from("21"))` → `-973932308`
 */
export function murmur2(data: Buffer): number {
  const m = 0x5bd1e995;
  let h = 0x9747b28c ^ data.length;
  const tail = data.length & ~3;
  for (let i = 0; i < tail; i += 4) {
    let k = Math.imul(data.readInt32LE(i), m);
    k = Math.imul(k ^ (k >>> 24), m);
    h = Math.imul(h, m) ^ k;
  }
  const left = data.length - tail;
  if (left > 2) h ^= data.readUInt8(tail + 2) << 16;
  if (left > 1) h ^= data.readUInt8(tail + 1) << 8;
  if (left > 0) h = Math.imul(h ^ data.readUInt8(tail), m);
  h = Math.imul(h ^ (h >>> 13), m);
  return h ^ (h >>> 15);
}

/**
 * The partition that the Java client's default partitioner chooses for a key: `toPositive(murmur2(key)) % partitions`,
 * so that any other producer of the topic agrees with us.
 */
export function partitionFor(key: Buffer, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}
