import type { Health } from '../../shared/health/health.ts';
import type { Queue } from '../../shared/sqs/ports.ts';

/** A poll takes 25 s at most and is tried twice; a call that has not ended by then never will. */
const limitMs = 60_000;

/** The same queue, with its calls among the loops that must turn. */
export function watchQueue(queue: Queue, health: Health): Queue {
  const polls = health.loop('sqs polls', limitMs);
  const calls = health.loop('sqs calls', limitMs);
  return {
    receive: (options) => polls.during(() => queue.receive(options)),
    delete: (handles) => calls.during(() => queue.delete(handles)),
    changeVisibility: (handles, seconds) => calls.during(() => queue.changeVisibility(handles, seconds)),
    attributes: () => calls.during(() => queue.attributes()),
  };
}
