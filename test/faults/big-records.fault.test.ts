import { bigRecords } from './catalogue/data.ts';
import { testFault } from './run.ts';

testFault('rows and dead letters like others', bigRecords);
