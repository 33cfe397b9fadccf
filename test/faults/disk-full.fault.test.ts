import { diskFull, walDiskFull } from './catalogue/postgres.ts';
import { testFault } from './run.ts';

testFault('an outage, until there is room', diskFull);
testFault('an outage, until there is room and it has been started again', walDiskFull);
