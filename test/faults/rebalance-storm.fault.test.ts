import { rebalanceStorm } from './catalogue/services.ts';
import { testFault } from './run.ts';

testFault('nothing lost, nothing twice', rebalanceStorm);
