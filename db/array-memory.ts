/** Of arrays that have been sent, the oldest first. What lies outside the heap makes V8 collect the whole of it when it is thrown away. */
const spare: Buffer[] = [];
const leastBytes = 16_384;
/** The columns of batches that are encoded, sent, and waited for. */
const mostSpare = 48;
/** Larger in proportion, it would be missing where it is needed. */
const mostTooLarge = 4;

/** The smallest that is at hand and large enough, or new memory: at least so many bytes, with anything in them. */
export function takeMemory(bytes: number): Buffer {
  let best = -1;
  let bestLength = mostTooLarge * bytes;
  for (const [i, { length }] of spare.entries()) {
    if (length >= bytes && length <= bestLength) [best, bestLength] = [i, length];
  }
  const [found] = best === -1 ? [] : spare.splice(best, 1);
  return found ?? Buffer.allocUnsafe(bytes);
}

/** For arrays to come. **Nothing may read it any more.** Little of it is not worth keeping. */
export function returnMemory(memory: Buffer): void {
  if (memory.length < leastBytes) return;
  // What was let go of first may be of a size that is asked for no more.
  if (spare.length === mostSpare) spare.shift();
  spare.push(memory);
}
