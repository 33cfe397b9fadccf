import type sodium from 'sodium-native';

/** What @types/sodium-native 2.3.9 leaves out. */
export type Sodium = typeof sodium;

declare module 'sodium-native' {
  /** Overwrites and unmaps what `sodium_malloc` gave, and detaches its buffer. */
  export function sodium_free(buffer: Buffer): void;
}
