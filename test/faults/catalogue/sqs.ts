import { eventually } from '../../helpers/pipeline.ts';
import { listIn, sqsError, type Json, type SqsAnswer, type SqsCall } from '../../helpers/faulty-sqs.ts';
import type { Fault, FaultContext } from '../fault.ts';

/** Answers calls by `intercept` until it has failed so many of them, and while messages come. */
async function failing(
  context: FaultContext,
  atLeast: number,
  intercept: (call: SqsCall) => SqsAnswer | undefined | Promise<SqsAnswer | undefined>,
): Promise<void> {
  let failed = 0;
  context.sqs.intercept = async (call) => {
    const answer = await intercept(call);
    if (answer === undefined) return call.forward();
    failed += 1;
    return answer;
  };
  await eventually(`${atLeast} calls failed`, () => failed >= atLeast);
  context.sqs.intercept = undefined;
}

const failures = [
  sqsError(500, 'InternalFailure'),
  sqsError(503, 'ServiceUnavailable'),
  sqsError(502, 'BadGateway'),
];

export const sqsErrors: Fault = {
  name: 'SQS answers 5xx',
  inject: (context) =>
    failing(context, context.long ? 500 : 60, () =>
      context.random() < 0.7 ? failures[context.between(0, 2)] : undefined,
    ),
};

const throttles = [
  sqsError(400, 'ThrottlingException'),
  sqsError(403, 'RequestThrottled'),
  sqsError(429, 'TooManyRequestsException'),
];

export const sqsThrottled: Fault = {
  name: 'SQS throttles',
  inject: (context) =>
    failing(context, context.long ? 500 : 60, () =>
      context.random() < 0.7 ? throttles[context.between(0, 2)] : undefined,
    ),
};

/** A right was taken away: the connector says so and ends. Nothing it has published is lost or comes twice. */
export const deleteForbidden: Fault = {
  name: 'SQS forbids deletes',
  async inject(context) {
    const [connector] = context.running.connector;
    if (connector === undefined) throw new Error('no connector');
    context.sqs.intercept = async (call) =>
      call.action === 'DeleteMessageBatch' ? sqsError(403, 'AccessDeniedException') : call.forward();
    await eventually('the connector ended', () => connector.ended !== undefined);
    if (connector.ended !== 1) throw new Error(`the connector ended with ${connector.ended}`);
    if (!/SQS refused these credentials/.test(await context.pipeline.logs()))
      throw new Error('it did not say why');
    context.running.connector.length = 0;
    context.sqs.intercept = undefined;
    await context.start('connector');
  },
};

/** The receipt is of no use any more: the message comes again, although it is on the topic. */
export const receiptsExpired: Fault = {
  name: 'receipts expired',
  inject: (context) =>
    failing(context, context.long ? 200 : 20, ({ action, request }) =>
      action === 'DeleteMessageBatch'
        ? refused(listIn(request, 'Entries'), 'ReceiptHandleIsInvalid', true)
        : undefined,
    ),
};

function refused(entries: readonly Json[], Code: string, SenderFault: boolean): SqsAnswer {
  const Failed = entries.map(({ Id }) => ({ Id, Code, SenderFault, Message: 'injected' }));
  return { status: 200, body: { Successful: [], Failed } };
}

/** Some entries of each batch call fail, others are done: who takes the answer's status for the answer loses nothing here, but time. */
export const partialFailures: Fault = {
  name: 'batch calls fail in part',
  inject: (context) =>
    failing(context, context.long ? 500 : 40, async (call) => {
      if (!call.action.endsWith('Batch')) return undefined;
      const entries = listIn(call.request, 'Entries');
      const unlucky = entries.filter(() => context.random() < 0.4);
      const rest = entries.filter((entry) => !unlucky.includes(entry));
      const failed = refused(unlucky, 'InternalError', false).body;
      if (rest.length === 0) return { status: 200, body: failed };
      const { status, body } = await call.forward({ ...call.request, Entries: rest });
      const all = [...listIn(body, 'Failed'), ...listIn(failed, 'Failed')];
      return { status, body: { ...body, Failed: all } };
    }),
};

/** At least once, as the standard queue promises: what was received comes again, and what was deleted too. */
export const deliveredTwice: Fault = {
  name: 'SQS delivers twice',
  async inject(context) {
    const seen: Json[] = [];
    await failing(context, context.long ? 500 : 60, async (call) => {
      if (call.action === 'DeleteMessageBatch' && context.random() < 0.3) {
        // Said to be deleted, and not: it is visible again after its timeout.
        const Successful = listIn(call.request, 'Entries').map(({ Id }) => ({ Id }));
        return { status: 200, body: { Successful, Failed: [] } };
      }
      if (call.action !== 'ReceiveMessage') return undefined;
      const { status, body } = await call.forward();
      const messages = listIn(body, 'Messages');
      const again = seen.splice(0, 10 - messages.length);
      seen.push(...messages);
      return { status, body: { ...body, Messages: [...messages, ...again] } };
    });
  },
};

/**
 * The connector holds messages for longer than they are invisible, for it cannot hand them on: they are extended, or received by
 * it again. Two seconds, a backlog, and brokers that hang.
 */
export const visibilityShort: Fault = {
  name: 'visibility shorter than the backlog',
  pipeline: { queue: { visibilityTimeout: 2 } },
  perSecond: 1_000,
  async inject(context) {
    for (const proxy of context.proxies.kafka) proxy.stall();
    await context.sends(context.long ? 15_000 : 4_000);
    for (const proxy of context.proxies.kafka) await proxy.heal();
  },
};
