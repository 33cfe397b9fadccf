import type { ArchivePlace } from '../../shared/archive/place.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import type { KeyMover } from '../../shared/vault/ports.ts';
import type { Database } from '../client.ts';

/** What archiving works with: the owner of the tables, and who moves keys that it cannot open. */
export interface ArchiveParts<M> {
  /** As the owner of the tables. One connection is held throughout: it carries the lock. */
  readonly database: Pick<Database, 'withSession'>;
  readonly stream: Stream<M>;
  readonly place: ArchivePlace;
  readonly mover: KeyMover;
}
