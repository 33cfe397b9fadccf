import { backendTerminated } from './catalogue/postgres.ts';
import { testFault } from './run.ts';

testFault('nothing lost, nothing twice', backendTerminated);
