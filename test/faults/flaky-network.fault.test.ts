import { flakyNetwork } from './catalogue/network.ts';
import { testFault } from './run.ts';

testFault('nothing lost, nothing twice', flakyNetwork);
