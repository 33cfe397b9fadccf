import { topicRemade } from './catalogue/data.ts';
import { testFault } from './run.ts';

testFault('what comes after it arrives', topicRemade);
