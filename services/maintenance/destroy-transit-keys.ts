import type { Session } from '../../db/client.ts';
import { listDestroyedDays } from '../../db/queries/list-destroyed-days.ts';
import { firstTransitDay, type TopicRetention } from '../../shared/kafka/retention.ts';
import { addDays, dayOf, horizon, type Clock, type Day } from '../../shared/time.ts';
import type { KeyKeeper } from '../../shared/vault/ports.ts';

/**
 * Destroys the transit keys that nothing is left for, and returns their days: those that have outlived what either topic can hold
 * ({@link firstTransitDay}), and those of shredded days that have left the horizon, where connectors would wait for them.
 *
 * **A clock that is ahead would destroy keys that are needed**: give the earliest of those at hand.
 *
 * @throws PipelineError of the vault and the database; what was done stays done.
 */
export async function destroyTransitKeys(
  session: Session,
  keeper: Pick<KeyKeeper, 'transitDays' | 'destroyTransitKey'>,
  options: { readonly clock: Clock; readonly retention: TopicRetention },
): Promise<Day[]> {
  const today = dayOf(options.clock());
  const firstOfHorizon = addDays(today, -horizon.daysBack);
  const firstInTopics = firstTransitDay(today, options.retention);
  const { rows } = await session.execute<{ day: Day }>(listDestroyedDays(firstOfHorizon));
  const shredded = new Set(rows.map(({ day }) => day));
  const over = (await keeper.transitDays()).filter((day) => day < firstInTopics || shredded.has(day));
  for (const day of over) await keeper.destroyTransitKey(day);
  return over;
}
