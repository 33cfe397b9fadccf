import { visibilityShort } from './catalogue/sqs.ts';
import { testFault } from './run.ts';

testFault('the same event again changes nothing', visibilityShort);
