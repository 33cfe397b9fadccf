import { deliveredTwice } from './catalogue/sqs.ts';
import { testFault } from './run.ts';

testFault('the same event again changes nothing', deliveredTwice);
