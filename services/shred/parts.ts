import type { Database } from '../../db/client.ts';
import type { ArchivePlace } from '../../shared/archive/place.ts';
import type { TopicRetention } from '../../shared/kafka/retention.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Clock } from '../../shared/time.ts';
import type { KeyDestroyer, KeyInventory } from '../../shared/vault/ports.ts';

/** What shredding works with: the shredder's database role and vault credential, which read nothing that is sealed. */
export interface ShredParts<M> {
  readonly database: Pick<Database, 'withSession'>;
  readonly stream: Stream<M>;
  readonly destroyer: KeyDestroyer;
  readonly inventory: KeyInventory;
  /** Where archived days lie; only asked for when the day lies there. */
  readonly place?: ArchivePlace | undefined;
  readonly retention: TopicRetention;
  readonly clock: Clock;
  /** Rows looked at in a page, and how many there are. */
  readonly onProgress?: ((rows: number, total: number) => void) | undefined;
}

/** Nothing was destroyed, or not all of it, and why: a sentence for whoever ordered it, and exit code 1. */
export interface Refused {
  readonly refused: string;
}
