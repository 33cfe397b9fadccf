import { postgresKilled } from './catalogue/postgres.ts';
import { testFault } from './run.ts';

testFault('an outage is waited out', postgresKilled);
