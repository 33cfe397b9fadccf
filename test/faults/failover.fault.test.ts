import { failover } from './catalogue/postgres.ts';
import { testFault } from './run.ts';

testFault('the pipeline goes on with the new primary by itself', failover);
