/** Counts that are told in steps (offsets are committed now and then) look even over this long. */
const windowMs = 10_000;

/** How fast a count grows, over the last ten seconds of looks. */
export class Rate {
  #looks: { readonly atMs: number; readonly value: number }[] = [];

  /** A second; null at the first look. */
  add(atMs: number, value: number): number | null {
    const first = this.#looks.findLastIndex((look) => look.atMs <= atMs - windowMs);
    this.#looks = [...this.#looks.slice(Math.max(first, 0)), { atMs, value }];
    const [from] = this.#looks;
    if (from === undefined || from.atMs === atMs) return null;
    return ((value - from.value) * 1_000) / (atMs - from.atMs);
  }
}
