import { allBrokersRestarted } from './catalogue/kafka.ts';
import { testFault } from './run.ts';

testFault('an outage is waited out', allBrokersRestarted);
