import { maintenanceKilled } from './catalogue/services.ts';
import { testFault } from './run.ts';

testFault('writers undisturbed, nothing missing after', maintenanceKilled);
