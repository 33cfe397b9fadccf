import { brokerRestarted } from './catalogue/kafka.ts';
import { testFault } from './run.ts';

testFault('the others go on', brokerRestarted);
