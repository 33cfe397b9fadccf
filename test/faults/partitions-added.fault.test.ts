import { partitionsAdded } from './catalogue/data.ts';
import { testFault } from './run.ts';

testFault('both ends notice', partitionsAdded);
