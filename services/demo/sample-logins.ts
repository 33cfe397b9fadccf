/** A login as producers send it. */
export interface SampleLogin {
  readonly user_id: string;
  readonly app_version: string;
  readonly device_type: string;
  readonly ip: string;
  readonly locale: string | null;
  readonly device_id: string;
}

const versions = ['2.3.0', '2.2.1', '2.4.0', '1.9.3', '3.0.12', '0.96', '6.02', '5.1.7', '0.37', '4.67'];
const locales = ['RU', 'US', 'DE', 'FR', 'ID', 'PL', 'BR', 'zh_CN', 'sr_Latn_RS', 'UA'];
/** Share of logins without a locale in real data. */
const withoutLocale = 0.29;

/** mulberry32: a small seeded generator, so that a run can be repeated. Yields [0, 1). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * Logins shaped like the real ones: 29 % without a locale, versions of two parts and of three, addresses of the whole IPv4
 * range (loopback and multicast included) and some of IPv6, users who come back and devices they share.
 */
export function* sampleLogins(random: () => number): Generator<SampleLogin, never> {
  const below = (n: number) => Math.floor(random() * n);
  const pick = <T>(list: readonly [T, ...T[]] | readonly T[]): T => {
    const one = list[below(list.length)];
    if (one === undefined) throw new RangeError('empty list');
    return one;
  };
  const hex = (digits: number) => Array.from({ length: digits }, () => below(16).toString(16)).join('');
  const users = Array.from({ length: 2_000 }, () => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`);
  const digits = (n: number) => String(below(10 ** n)).padStart(n, '0');
  const devices = Array.from({ length: 1_500 }, () => `${digits(3)}-${digits(2)}-${digits(4)}`);
  for (;;) {
    yield {
      user_id: pick(users),
      app_version: pick(versions),
      device_type: pick(['android', 'iOS']),
      ip: random() < 0.05 ? `2001:db8:${hex(4)}::${hex(4)}` : [0, 0, 0, 0].map(() => below(256)).join('.'),
      locale: random() < withoutLocale ? null : pick(locales),
      device_id: pick(devices),
    };
  }
}
