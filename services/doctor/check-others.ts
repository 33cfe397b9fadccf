import type { Env } from '../../shared/config.ts';
import { openArchivePlace } from '../../shared/archive/open-place.ts';
import { errorCodes } from '../../shared/errors.ts';
import { knownOr } from '../../shared/outage.ts';
import { judgeHttpClock } from './clock.ts';
import { Findings, type Finding } from './finding.ts';

const patienceMs = 3_000;

/** What a pipeline can be without: archive, services' probes, Jaeger, a collector. */
export async function checkOthers(
  env: Env,
  config: {
    readonly ARCHIVE_URL?: string | undefined;
    readonly AWS_REGION?: string | undefined;
    readonly AWS_ENDPOINT_URL_S3?: string | undefined;
    readonly SERVICE_URLS?: readonly string[] | undefined;
  },
): Promise<Finding[]> {
  return [
    ...(await checkArchive(config)),
    ...(await checkServices(config.SERVICE_URLS)),
    ...(await checkObservers(env)),
  ];
}

async function checkArchive(config: Parameters<typeof checkOthers>[1]): Promise<Finding[]> {
  const findings = new Findings('archive');
  const { ARCHIVE_URL } = config;
  if (ARCHIVE_URL === undefined) {
    findings.skipped(
      'ARCHIVE_URL is not set here: old days stay, and no head of the access log is kept elsewhere',
    );
    return findings.list;
  }
  const what = 'the archive cannot be asked';
  await findings.during(what, async () => {
    const place = await openArchivePlace({ ...config, ARCHIVE_URL });
    try {
      const names = await place.list('');
      findings.ok(`the archive at ${place.url} answers: ${names.length} objects`);
    } catch (error) {
      const known = knownOr(error);
      // A directory is one only once something lies there; the pipeline itself does without.
      if (known.code !== 'ARCHIVE_UNAVAILABLE') throw known;
      findings.warn(`${what}: ${known.detail ?? known.code}`, errorCodes[known.code].remedy);
    }
  });
  return findings.list;
}

async function checkServices(urls: readonly string[] | undefined): Promise<Finding[]> {
  const findings = new Findings('services');
  if (urls === undefined) {
    findings.skipped(
      'SERVICE_URLS is not set here: where connector, writer and maintain answer probes (HEALTH_PORT)',
    );
    return findings.list;
  }
  for (const url of urls) {
    const status = await statusAt(`${url}/livez`);
    if (status === 200) findings.ok(`${url} is live`);
    else if (status === undefined)
      findings.fail(`${url} does not answer`, 'Start it, set its HEALTH_PORT, or correct SERVICE_URLS.');
    else findings.fail(`${url}/livez answers ${status}`, 'A loop of it stands still: look into its log.');
    await judgeHttpClock(findings, url, `${url}/livez`);
  }
  return findings.list;
}

async function checkObservers(env: Env): Promise<Finding[]> {
  const findings = new Findings('telemetry');
  const { JAEGER_URL: jaeger = '', OTEL_EXPORTER_OTLP_ENDPOINT: collector = '' } = env;
  if (jaeger === '' && collector === '') {
    findings.skipped('neither OTEL_EXPORTER_OTLP_ENDPOINT nor JAEGER_URL is set here: nothing is traced');
  }
  if (URL.canParse(jaeger)) {
    const status = await statusAt(`${jaeger.replace(/\/$/, '')}/api/services`);
    if (status === 200) findings.ok('Jaeger answers');
    else
      findings.fail(
        'Jaeger does not answer',
        'Check it and JAEGER_URL; "sluice stack up --observe" starts one.',
      );
  }
  if (URL.canParse(collector)) {
    // Any answer is one of a collector; one that speaks gRPC alone hangs up.
    const status = await statusAt(collector);
    if (status !== undefined) findings.ok('the collector answers');
    else
      findings.warn(
        'the collector does not answer HTTP',
        'Check OTEL_EXPORTER_OTLP_ENDPOINT; one for gRPC alone is no fault.',
      );
  }
  return findings.list;
}

async function statusAt(url: string): Promise<number | undefined> {
  const answer = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(patienceMs) }).catch(
    () => undefined,
  );
  await answer?.body?.cancel();
  return answer?.status;
}
