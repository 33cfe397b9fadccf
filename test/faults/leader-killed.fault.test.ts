import { leaderKilled } from './catalogue/kafka.ts';
import { testFault } from './run.ts';

testFault('nothing acknowledged is lost', leaderKilled);
