import { PipelineError } from '../errors.ts';

/** What a secret is for; each credential's rights are given by kind. */
export const secretKinds = ['recoverer', 'day', 'archive', 'transit', 'pepper'] as const;
export type SecretKind = (typeof secretKinds)[number];

/**
 * Where a secret lies, the same in every vault:
 *
 *     recoverer/public                      X25519 public key of the recoverer, whose private key lies elsewhere
 *     day/2026-11-24.0123456789abcdef       the day's private key, sealed to the recoverer; the digits name its public half
 *     archive/2026-11-24.0123456789abcdef   the same, once the day is archived
 *     transit/2026-11-24                    32 bytes
 *     pepper/1                              32 bytes
 */
export type SecretName = `${SecretKind}/${string}`;

/** `day/x` → `day` and `x`. @throws PipelineError INTERNAL for what could lead out of the vault, or has no kind */
export function partsOf(name: SecretName): { kind: SecretKind; rest: string } {
  const kind = secretKinds.find((one) => name.startsWith(`${one}/`));
  const rest = kind === undefined ? '' : name.slice(kind.length + 1);
  if (kind !== undefined && /^[0-9a-z][0-9a-z.-]{0,100}$/.test(rest)) return { kind, rest };
  throw new PipelineError('INTERNAL', 'not the name of a secret');
}

/**
 * A vault, as little of one as we need: what an adapter implements. A credential may have any subset of these rights on any
 * subset of kinds; a call without the right throws.
 *
 * All throw PipelineError: VAULT_UNAVAILABLE when the vault does not answer, is sealed, or is slow; VAULT_FORBIDDEN when it refuses
 * the credential; VAULT_NOT_FOUND when VAULT_URL names no vault. **An absent secret is an answer (`undefined`, `false`), never what
 * an outage looks like**: the one means "destroyed", the other "wait".
 */
export interface SecretStore {
  /**
   * Puts a value there unless there is one; durable when it resolves. False when there was one, which stays as it is. Needs
   * no right to read: a keeper can make what it cannot open.
   */
  create(name: SecretName, value: Buffer): Promise<boolean>;
  /** In locked memory; undefined when there is none, or none any more. */
  read(name: SecretName): Promise<Buffer | undefined>;
  /** The names of a kind that exist, sorted. */
  list(kind: SecretKind): Promise<SecretName[]>;
  /** Destroys every version for good: nobody, the vault's administrator included, can bring it back. Nothing to destroy is no error. */
  destroy(name: SecretName): Promise<void>;
}
