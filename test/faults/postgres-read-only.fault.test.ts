import { postgresReadOnly } from './catalogue/postgres.ts';
import { testFault } from './run.ts';

testFault('sessions of the read-only time are given up', postgresReadOnly);
