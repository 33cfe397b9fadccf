import { everythingStalled } from './catalogue/network.ts';
import { testFault } from './run.ts';

testFault('nothing lost, nothing twice', everythingStalled);
