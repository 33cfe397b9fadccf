import { statementsSlow } from './catalogue/postgres.ts';
import { testFault } from './run.ts';

testFault('slower, and nothing else', statementsSlow);
