import { partialFailures } from './catalogue/sqs.ts';
import { testFault } from './run.ts';

testFault('what failed is done again', partialFailures);
