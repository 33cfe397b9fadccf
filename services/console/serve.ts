import { readFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { servePages, type PageServer } from '../../shared/health/pages.ts';
import { Admission, answer, safeHeaders } from './admission.ts';
import { Live } from './live.ts';
import type { Snapshot } from './look/snapshot.ts';

/** The page's own files, as they are. */
const files = [
  'console.css',
  'icon.svg',
  'main.js',
  'dom.js',
  'flow.js',
  'plot.js',
  'scale.js',
  'panels.js',
  'calendar.js',
  'words.js',
] as const;

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  js: 'text/javascript; charset=utf-8',
};

export interface ConsoleOptions {
  readonly host: string;
  readonly port: number;
  readonly token: string | undefined;
  readonly hosts: readonly string[];
  readonly look: () => Promise<Snapshot>;
}

/**
 * Serves the console: its page, `/events` and `/snapshot`. Nothing else, to nobody else (see {@link Admission}).
 * @throws PipelineError CONFIG_INVALID when the port is taken or may not be used
 */
export async function serveConsole(options: ConsoleOptions): Promise<PageServer> {
  await using open = new AsyncDisposableStack();
  const admission = new Admission(options);
  const live = open.use(new Live(options.look));
  const pages = new Map<string, RequestListener>();
  pages.set('/', await pageOf('index.html'));
  for (const file of files) pages.set(`/page/${file}`, await pageOf(file));
  pages.set('/events', (request, response) => {
    if (request.method === 'HEAD' || !live.listen(response))
      answer(response, 503, 'Too many pages are open.');
  });
  pages.set('/snapshot', (_request, response) => {
    void options.look().then((snapshot) => {
      response
        .writeHead(200, { ...safeHeaders, 'content-type': 'application/json' })
        .end(`${JSON.stringify(snapshot)}\n`);
    });
  });
  const server = open.use(
    await servePages(pages, {
      host: options.host,
      port: options.port,
      setting: 'CONSOLE',
      refuse: (request, response) => admission.refuse(request, response),
    }),
  );
  const owned = open.move();
  return { port: server.port, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function pageOf(file: string): Promise<RequestListener> {
  const body = await readFile(new URL(`page/${file}`, import.meta.url));
  const suffix = file.slice(file.lastIndexOf('.') + 1);
  const headers = { ...safeHeaders, 'content-type': types[suffix] ?? 'application/octet-stream' };
  return (_request, response) => response.writeHead(200, headers).end(body);
}
