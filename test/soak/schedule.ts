import { seededRandom } from '../../services/demo/sample-logins.ts';

export interface Round {
  readonly fault: string;
  /** Of what is random within the fault. */
  readonly seed: number;
}

/**
 * Faults in a random order, each once before any comes again, without end. **The same names and seed give the same rounds**: the
 * shorter of two runs is the beginning of the longer.
 */
export function* schedule(names: readonly string[], seed: number): Generator<Round, never> {
  const random = seededRandom(seed);
  for (;;) {
    const order = names.map((fault) => ({ fault, at: random() })).sort((a, b) => a.at - b.at);
    for (const { fault } of order) yield { fault, seed: Math.floor(random() * 1_000_000) };
  }
}
