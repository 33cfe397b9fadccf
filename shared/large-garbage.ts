const mib = 1_048_576;
/** Of large buffers and texts that came by, between two collections: of the youngest objects (a millisecond or two), and of all (30 ms). */
const youngEveryBytes = 2 * mib;
const allEveryBytes = 16 * mib;

let youngBytes = 0;
let allBytes = 0;

/**
 * V8 collects when its heap has grown, and buffers lie outside: by itself it lets 64 MiB of them pile up, for they are few and large. Told of
 * large bodies as they pass, it does so in time. Without `--expose-gc` (bin/sluice.js) nothing happens.
 */
export function passedLarge(bytes: number): void {
  youngBytes += bytes;
  allBytes += bytes;
  if (youngBytes < youngEveryBytes) return;
  const type = allBytes < allEveryBytes ? 'minor' : 'major';
  youngBytes = 0;
  if (type === 'major') allBytes = 0;
  globalThis.gc?.({ type, execution: 'sync' });
}
