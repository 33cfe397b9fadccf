/** What the contenders are called in tables and results. */
export const names = {
  ours: 'Sluice',
  /** What two samples of one thing differ by. */
  oursAgain: 'Sluice, again (A/A)',
  copy: 'COPY by a client, rows sealed before',
} as const;
