import { everythingHalfOpen } from './catalogue/network.ts';
import { testFault } from './run.ts';

testFault('silent peers are given up', everythingHalfOpen);
