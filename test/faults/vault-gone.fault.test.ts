import { vaultGone } from './catalogue/services.ts';
import { testFault } from './run.ts';

testFault('an outage is waited out', vaultGone);
