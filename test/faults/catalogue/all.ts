import type { Fault } from '../fault.ts';
import * as data from './data.ts';
import * as kafka from './kafka.ts';
import * as network from './network.ts';
import * as postgres from './postgres.ts';
import * as services from './services.ts';
import * as sqs from './sqs.ts';

/** Every fault there is, by name. */
export const allFaults: ReadonlyMap<string, Fault> = new Map(
  [data, kafka, network, postgres, services, sqs]
    .flatMap((catalogue): Fault[] => Object.values(catalogue))
    .sort((a, b) => a.name.localeCompare(b.name))
    .map((fault) => [fault.name, fault]),
);
