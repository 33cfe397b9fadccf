const polynomial = 0x82f63b78;
const slices = 8;

/** `tables[256·k + b]`: the remainder of byte `b` followed by `k` zero bytes. */
const tables = makeTables();

/**
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4) as Kafka stores it with every record batch, eight bytes a step; Node's `zlib.crc32` is
 * another polynomial. Unsigned.
 *
 * `crc32c(Buffer.from('123456789'), 0)` → `0xe3069283`
 */
export function crc32c(data: Buffer, start: number): number {
  let crc = -1;
  let i = start;
  const aligned = data.length - ((data.length - start) % slices);
  for (; i < aligned; i += slices) {
    crc ^= at(data, i) | (at(data, i + 1) << 8) | (at(data, i + 2) << 16) | (at(data, i + 3) << 24);
    crc =
      table(7, crc & 255) ^
      table(6, (crc >>> 8) & 255) ^
      table(5, (crc >>> 16) & 255) ^
      table(4, crc >>> 24) ^
      table(3, at(data, i + 4)) ^
      table(2, at(data, i + 5)) ^
      table(1, at(data, i + 6)) ^
      table(0, at(data, i + 7));
  }
  for (; i < data.length; i += 1) crc = table(0, (crc ^ at(data, i)) & 255) ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}

function at(data: Buffer, index: number): number {
  return data[index] ?? 0;
}

function table(zeros: number, byte: number): number {
  return tables[256 * zeros + byte] ?? 0;
}

function makeTables(): Int32Array {
  const made = new Int32Array(256 * slices);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    made[byte] = crc;
  }
  for (let i = 256; i < made.length; i += 1) {
    const before = made[i - 256] ?? 0;
    made[i] = (made[before & 255] ?? 0) ^ (before >>> 8);
  }
  return made;
}
