import { readdir, readFile } from 'node:fs/promises';
import { parsePolicy, type Policy } from './iam.ts';

const directory = new URL('../../deploy/iam/', import.meta.url);

/** What deploy/iam leaves to be filled in. */
export interface Placeholders {
  readonly REGION: string;
  readonly ACCOUNT: string;
  readonly PREFIX: string;
  readonly BUCKET: string;
  readonly ARCHIVE_PREFIX: string;
}

/** The policies of deploy/iam by role, filled in. */
export async function iamPolicies(values: Placeholders): Promise<Map<string, Policy>> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.json'));
  const policies = new Map<string, Policy>();
  for (const file of files) {
    let text = await readFile(new URL(file, directory), 'utf8');
    // The longer name first, for one ends with the other.
    for (const [name, value] of Object.entries(values).sort(([a], [b]) => b.length - a.length)) {
      text = text.replaceAll(name, value);
    }
    policies.set(file.slice(0, -'.json'.length), parsePolicy(text));
  }
  return policies;
}
