import { open, readFile } from 'node:fs/promises';

const chunkBytes = 1_048_576;

/**
 * How often each of these byte strings lies in the writable memory of a process (Linux; ours or a child of ours), wherever: heap, stacks,
 * locked pages. Freed memory is memory too.
 */
export async function copiesInMemory<K>(
  pid: number,
  needles: ReadonlyMap<K, Buffer>,
): Promise<Map<K, number>> {
  const longest = Math.max(...[...needles.values()].map(({ length }) => length));
  const copies = new Map([...needles.keys()].map((name) => [name, 0]));
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8');
  await using memory = await open(`/proc/${pid}/mem`, 'r');
  const buffer = Buffer.alloc(chunkBytes + longest - 1);
  for (const [, from = '', to = ''] of maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)) {
    const [start, end] = [Number.parseInt(from, 16), Number.parseInt(to, 16)];
    for (let at = start; at < end; at += chunkBytes) {
      const length = Math.min(buffer.length, end - at);
      // Guard pages cannot be read and hold nothing.
      const { bytesRead } = await memory.read(buffer, 0, length, at).catch(() => ({ bytesRead: 0 }));
      const read = buffer.subarray(0, bytesRead);
      for (const [name, needle] of needles) {
        for (let found = read.indexOf(needle); found !== -1; found = read.indexOf(needle, found + 1)) {
          // One that begins in the overlap is the next chunk's.
          if (found < chunkBytes) copies.set(name, (copies.get(name) ?? 0) + 1);
        }
      }
    }
  }
  return copies;
}
