import { offsetOutOfRange } from './catalogue/data.ts';
import { testFault } from './run.ts';

testFault('read on from what is left', offsetOutOfRange);
