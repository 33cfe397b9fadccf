/** Names of the headers that carry traces: only records that have one have them. Values are W3C `traceparent`s. */
export const traceHeaders = {
  /** Of the span that whoever reads the record goes on from. */
  traceparent: 'traceparent',
  /** Of a record that was put back: of what it was before. Its reader begins a trace of its own and links it there. */
  origin: 'origin-traceparent',
} as const;
