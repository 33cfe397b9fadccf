import { truncated } from './catalogue/network.ts';
import { testFault } from './run.ts';

testFault('half a message is none', truncated);
