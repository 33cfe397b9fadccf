import { expect, test } from 'vitest';
import { onceSettled } from '../../../db/proof/kafka-reader.ts';
import { PipelineError } from '../../../shared/errors.ts';

/** Fails with the error as often as given, then answers. */
function asking(error: PipelineError, failures: number) {
  let asked = 0;
  const answer = onceSettled(
    async () => {
      asked += 1;
      if (asked <= failures) throw error;
      return 'answer';
    },
    async () => {},
  );
  return answer.then(
    (value) => ({ value, asked }),
    (thrown: unknown) => ({ thrown, asked }),
  );
}

const settling = new PipelineError('KAFKA_UNAVAILABLE', 'Kafka answered NOT_COORDINATOR_FOR_GROUP');

test('asks again while the cluster settles, but not for ever', async () => {
  expect(await asking(settling, 3)).toEqual({ value: 'answer', asked: 4 });
  expect(await asking(settling, 1_000)).toEqual({ thrown: settling, asked: 20 });
});

test.for([
  new PipelineError('KAFKA_UNAVAILABLE', 'ECONNREFUSED'),
  new PipelineError('KAFKA_TOPIC_MISSING', 'topic raw'),
])('does not wait for $code $detail', async (error) => {
  expect(await asking(error, 1_000)).toEqual({ thrown: error, asked: 1 });
});
