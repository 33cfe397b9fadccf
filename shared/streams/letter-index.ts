import type { IncomingRecord } from '../kafka/ports.ts';
import { readDeadLetter, type DeadLetter } from './dead-letter.ts';
import { markedId } from './redrive.ts';

/** Which dead letters have been redriven. */
export class RedriveIndex {
  readonly #marked = new Set<string>();
  /** Of records that failed more than once: attempts of the latest failure. */
  readonly #latest = new Map<string, number>();

  add(record: IncomingRecord): void {
    const marked = markedId(record.headers);
    if (marked !== undefined) this.#marked.add(marked);
    const letter = readDeadLetter(record.headers);
    if (letter === undefined || letter.attempts < 2) return;
    const { firstSource, attempts } = letter;
    if (attempts > (this.#latest.get(firstSource) ?? 0)) this.#latest.set(firstSource, attempts);
  }

  /** Marked, or failed once more since: then it was redriven, whatever became of its mark. */
  has(letter: DeadLetter): boolean {
    return this.#marked.has(letter.id) || (this.#latest.get(letter.firstSource) ?? 0) > letter.attempts;
  }
}

/** Ids, most of which differ in their offset alone. */
export class LetterIds {
  readonly #offsets = new Map<string, Set<number | string>>();

  /** False when it was there. */
  add({ id, firstSource, attempts }: DeadLetter): boolean {
    const slash = firstSource.lastIndexOf('/');
    const text = firstSource.slice(slash + 1);
    const offset = Number(text);
    const exact = slash > 0 && /^\d{1,15}$/.test(text);
    const group = exact ? `${firstSource.slice(0, slash)}#${attempts}` : '';
    const member = exact ? offset : id;
    const set = this.#offsets.get(group) ?? new Set<number | string>();
    if (set.has(member)) return false;
    this.#offsets.set(group, set.add(member));
    return true;
  }
}
