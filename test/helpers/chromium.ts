import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';

/** What a test says that needs one and has none. */
export const noChromiumHere =
  'skipped: there is no Chromium (CHROMIUM_BINARY names none, and none is on the PATH)';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** A Chromium of this machine: CHROMIUM_BINARY, or the first on the PATH; undefined when there is none (Debian: `apt-get install chromium`). */
export function findChromium(): string | undefined {
  const given = process.env['CHROMIUM_BINARY'];
  if (given !== undefined && given !== '') return given;
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  return directories.flatMap((directory) => names.map((name) => join(directory, name))).find(existsSync);
}

/** Starts it without a window. Root may not use its sandbox, and a container's /dev/shm is small. */
export function launchChromium(executablePath: string): Promise<Browser> {
  const args = ['--disable-dev-shm-usage', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])];
  return chromium.launch({ executablePath, args });
}
