import { deleteForbidden } from './catalogue/sqs.ts';
import { testFault } from './run.ts';

testFault('a stop with a sentence, and nothing lost', deleteForbidden);
