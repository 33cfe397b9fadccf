import { poisonRare } from './catalogue/data.ts';
import { testFault } from './run.ts';

testFault('only the culprits are dead letters', poisonRare);
