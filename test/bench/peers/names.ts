/** What the contenders are called in tables and results. */
export const names = {
  ours: 'Sluice',
  /** A writer has one thread that computes: a second process is what makes use of a second core. The peers use all cores with one. */
  oursTwice: 'Sluice, two writers',
  /** What two samples of one thing differ by. */
  oursAgain: 'Sluice, again (A/A)',
  /** What the stand-in of SQS gives at best. */
  queueAlone: 'receive and delete alone',
  copy: 'COPY by a client, rows sealed before',
} as const;
