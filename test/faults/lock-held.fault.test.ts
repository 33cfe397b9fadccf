import { lockHeld } from './catalogue/postgres.ts';
import { testFault } from './run.ts';

testFault('waited out', lockHeld);
