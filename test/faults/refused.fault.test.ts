import { everythingRefused } from './catalogue/network.ts';
import { testFault } from './run.ts';

testFault('an outage is waited out', everythingRefused);
