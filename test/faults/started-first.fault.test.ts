import { startedFirst } from './catalogue/services.ts';
import { testFault } from './run.ts';

testFault('they wait, say for what, and go on', startedFirst);
