import { setFlagsFromString } from 'node:v8';

/**
 * Keeps V8 from letting garbage pile up: measured on two cores, 200,000 messages of 200 bytes take the process to
 * 160 MiB instead of 270, for a tenth more CPU. What is alive is 25 MiB of heap; the rest is what the AWS SDK and kafkajs leave behind
 * of each call, buffers outside the heap among it that only a collection frees.
 *
 * The new space stays as large as it became while loading, and the old space is collected when it has grown by half. V8
 * reads both settings anew at each collection, so they work in a running process, which is not true of most (Node's
 * manual, `v8.setFlagsFromString`); a V8 that does not know them says so and goes on.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=50');
}
