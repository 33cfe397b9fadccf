import { memoryLimited } from './catalogue/data.ts';
import { testFault } from './run.ts';

testFault('nobody is killed for it', memoryLimited);
