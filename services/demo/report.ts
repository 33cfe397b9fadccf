import type { DemoResult, Progress } from './demo.ts';

/** What the private key gave back, and whether it is what was sent. */
export interface Recovered {
  readonly eventId: string;
  readonly ip: string;
  readonly deviceId: string;
  readonly matches: boolean;
}

export interface DemoReport {
  readonly result: DemoResult;
  readonly recovered: Recovered | undefined;
  /** `sluice verify` found the ledger whole. */
  readonly ledgerWhole: boolean;
  /** A Jaeger has every event's way. */
  readonly traced: boolean;
  readonly seconds: number;
}

/** Everything that does not reconcile, one sentence each. Empty: the demo has succeeded. */
export function problemsOf(report: DemoReport): string[] {
  const { result } = report;
  const { census } = result;
  const problems = [...census.problems];
  if (census.sent !== census.rows + census.deadLetters) {
    problems.push(
      `${census.sent} messages were sent, but ${census.rows} rows + ${census.deadLetters} dead letters found`,
    );
  }
  if (storedAgain(result) !== 0)
    problems.push(`${storedAgain(result)} rows were stored again by a redelivery`);
  if (!result.oneToken) problems.push('two spellings of one IPv6 address have two tokens');
  if (report.recovered?.matches !== true) problems.push('the recovered event is not the one that was sent');
  if (!report.ledgerWhole) problems.push('"sluice verify" does not find the ledger whole');
  return problems;
}

/** Rows that the ledger says were added, beyond one for each event. */
function storedAgain(result: DemoResult): number {
  return result.ledger.inserted - result.census.rows;
}

/** `queue 1,234 · lag 56 · rows 8,700 · dead letters 17`. */
export function progressLine(state: Progress): string {
  return [
    `sent ${count(state.sent)}`,
    `in the queue ${count(state.queued)}`,
    `lag ${count(state.lag)}`,
    `rows ${count(state.rows)}`,
    `dead letters ${count(state.deadLetters)}`,
  ].join('   ');
}

/** The report for people. */
export function renderReport(report: DemoReport, stackStays: boolean): string {
  const { result } = report;
  const { census } = result;
  const problems = problemsOf(report);
  return [
    '',
    heading('What was sent, and what became of it'),
    ...table([
      ['logins', count(result.logins)],
      [
        'sent again by a producer (a message of its own: SQS gives it a new MessageId)',
        count(result.retries),
      ],
      ['hostile inputs', count(result.hostile)],
      ['= messages sent', count(census.sent)],
      ['rows in Postgres', count(census.rows)],
      ['dead letters', count(census.deadLetters)],
      ['= rows + dead letters', count(census.rows + census.deadLetters)],
      ['delivered again (same MessageId)', count(result.redelivered)],
      ['of these stored again', count(storedAgain(result))],
      ['rows with unknown fields, which were left out', count(result.ledger.unknownFields)],
    ]),
    '',
    heading('Rows by day'),
    ...table(Object.entries(census.rowsByDay).map(([day, rows]) => [day, count(rows)])),
    '',
    heading('Dead letters by reason'),
    ...table(
      Object.entries(census.deadByCode)
        .sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))
        .map(([code, dead]) => [code, count(dead)]),
    ),
    '',
    heading('From SQS to the row'),
    ...table([
      ['p50', `${census.latencyMs.p50.toFixed(0)} ms`],
      ['p99', `${census.latencyMs.p99.toFixed(0)} ms`],
    ]),
    '',
    heading('Five rows as an analyst sees them'),
    ...result.analystRows.map(
      (row) =>
        `  ${row.user_id.slice(0, 8)}…  ${row.device_type.padEnd(8)} ${(row.locale ?? '–').padEnd(10)} ` +
        `${String(row.app_version).padStart(8)}  ${row.masked_ip}  ${row.masked_device_id}`,
    ),
    '',
    heading('One of them, opened with the private key of its day (entered in the access log first)'),
    ...(report.recovered === undefined
      ? ['  nothing could be recovered']
      : table([
          ['event', report.recovered.eventId],
          ['ip', report.recovered.ip],
          ['device_id', report.recovered.deviceId],
        ])),
    '',
    heading('To look further'),
    ...(stackStays ? [] : ['  npx sluice stack up']),
    '  eval "$(npx sluice stack env)"',
    '  npx sluice verify',
    ...(report.traced ? [`  npx sluice trace ${result.known?.eventId ?? 'EVENT'}`] : []),
    `  npx sluice recover --event-id ${result.known?.eventId ?? 'EVENT'} --reason "looking around" --ticket DEMO-1`,
    '  npx sluice stack status',
    ...(stackStays ? ['  npx sluice stack down'] : []),
    '',
    problems.length === 0
      ? `Everything reconciles: not one lost, not one twice, and the ledger is whole (${report.seconds.toFixed(0)} s).`
      : ['It does NOT reconcile:', ...problems.slice(0, 20).map((problem) => `  - ${problem}`)].join('\n'),
    '',
  ].join('\n');
}

function heading(text: string): string {
  return `${text}:`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function table(rows: readonly (readonly [string, string])[] | readonly string[][]): string[] {
  const width = Math.max(0, ...rows.map((row) => (row[0] ?? '').length));
  const right = Math.max(0, ...rows.map((row) => (row[1] ?? '').length));
  return rows.map(([name = '', value = '']) => `  ${name.padEnd(width)}  ${value.padStart(right)}`);
}
