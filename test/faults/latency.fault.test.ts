import { latency } from './catalogue/network.ts';
import { testFault } from './run.ts';

testFault('slower, and nothing else', latency);
