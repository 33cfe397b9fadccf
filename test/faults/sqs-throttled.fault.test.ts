import { sqsThrottled } from './catalogue/sqs.ts';
import { testFault } from './run.ts';

testFault('an outage is waited out', sqsThrottled);
