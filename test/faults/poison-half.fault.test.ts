import { poisonHalf } from './catalogue/data.ts';
import { testFault } from './run.ts';

testFault('only the culprits are dead letters', poisonHalf);
