/** One bar: its length the median, with a whisker from the lowest sample to the highest. */
export interface Bar {
  readonly label: string;
  readonly samples: readonly number[];
  /** In the colour of Sluice. */
  readonly ours: boolean;
}

export interface BarChart {
  readonly title: string;
  readonly unit: string;
  readonly bars: readonly Bar[];
  /** A line across, and what it is. */
  readonly goal?: { readonly at: number; readonly label: string };
}

export interface Segment {
  readonly label: string;
  readonly value: number;
}

const width = 860;
const labelWidth = 270;
const plotWidth = width - labelWidth - 90;
const top = 54;
const barHeight = 20;
const step = 32;
/** Readable with a light page behind it and with a dark one. */
const style = `<style>.t{fill:#1c2733}.s{fill:#5b6876}.g{stroke:#c9d1d9}.w{stroke:#1c2733}@media (prefers-color-scheme: dark){.t{fill:#e6edf3}.s{fill:#9aa7b4}.g{stroke:#3a4450}.w{stroke:#e6edf3}}</style>`;
const colours = { ours: '#2f7d5b', others: '#9fb0c0', goal: '#b4552d' };
const palette = [
  '#2f7d5b',
  '#4f8fc0',
  '#c28a2c',
  '#8a63b5',
  '#b4552d',
  '#5aa79a',
  '#7a8794',
  '#c76f98',
  '#9a9a3a',
  '#476b9e',
  '#a0522d',
  '#6f8f4e',
];

/** Horizontal bars, one below another, as an SVG of its own. */
export function barChart({ title, unit, bars, goal }: BarChart): string {
  const most = Math.max(...bars.flatMap(({ samples }) => samples), goal?.at ?? 0);
  const x = (value: number) => labelWidth + (value / most) * plotWidth;
  const height = top + bars.length * step + 24;
  const lines = bars.flatMap(({ label, samples, ours }, i) => {
    const sorted = samples.toSorted((a, b) => a - b);
    const middle = sorted[Math.floor(sorted.length / 2)] ?? 0;
    const [low, high] = [sorted[0] ?? middle, sorted.at(-1) ?? middle];
    const y = top + i * step;
    const centre = y + barHeight / 2;
    return [
      text(labelWidth - 10, centre + 4, label, { anchor: 'end', size: 12 }),
      `<rect x="${labelWidth}" y="${y}" width="${round(x(middle) - labelWidth)}" height="${barHeight}" fill="${ours ? colours.ours : colours.others}"/>`,
      `<line class="w" x1="${round(x(low))}" y1="${centre}" x2="${round(x(high))}" y2="${centre}" stroke-width="1.5"/>`,
      text(x(high) + 8, centre + 4, figure(middle), { size: 12, weight: 600 }),
    ];
  });
  const goalLine =
    goal === undefined
      ? []
      : [
          `<line x1="${round(x(goal.at))}" y1="${top - 8}" x2="${round(x(goal.at))}" y2="${height - 20}" stroke="${colours.goal}" stroke-width="1.5" stroke-dasharray="5 4"/>`,
          text(x(goal.at), height - 6, goal.label, { anchor: 'middle', size: 11, quiet: true }),
        ];
  return svg(height, title, [heading(title, unit), ...lines, ...goalLine]);
}

/** One bar made of parts, with its legend below: where a sum goes. */
export function stackedBar(title: string, unit: string, segments: readonly Segment[]): string {
  const sum = segments.reduce((total, { value }) => total + value, 0);
  let at = 20;
  const parts = segments.map(({ value }, i) => {
    const size = (value / sum) * (width - 40);
    const part = `<rect x="${round(at)}" y="${top}" width="${round(size)}" height="34" fill="${palette[i % palette.length]}"/>`;
    at += size;
    return part;
  });
  const legend = segments.flatMap(({ label, value }, i) => {
    const [column, row] = [i % 2, Math.floor(i / 2)];
    const [left, y] = [20 + column * (width / 2), top + 58 + row * 20];
    return [
      `<rect x="${left}" y="${y - 10}" width="11" height="11" fill="${palette[i % palette.length]}"/>`,
      text(left + 18, y, `${figure(value)}  ${label}`, { size: 12 }),
    ];
  });
  const height = top + 58 + Math.ceil(segments.length / 2) * 20;
  return svg(height, title, [heading(title, `${figure(sum)} ${unit}`), ...parts, ...legend]);
}

function svg(height: number, title: string, content: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" role="img" aria-label="${escaped(title)}">\n${style}\n${content.join('\n')}\n</svg>\n`;
}

function heading(title: string, unit: string): string {
  return `${text(20, 22, title, { size: 14, weight: 600 })}\n${text(20, 39, unit, { size: 11, quiet: true })}`;
}

function text(
  x: number,
  y: number,
  content: string,
  look: { anchor?: 'end' | 'middle'; size: number; weight?: number; quiet?: boolean },
): string {
  const anchor = look.anchor === undefined ? '' : ` text-anchor="${look.anchor}"`;
  const weight = look.weight === undefined ? '' : ` font-weight="${look.weight}"`;
  return `<text class="${look.quiet === true ? 's' : 't'}" x="${round(x)}" y="${round(y)}" font-size="${look.size}"${weight}${anchor}>${escaped(content)}</text>`;
}

/** Three digits that count. */
export function figure(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en-US', { maximumFractionDigits: digits });
}

const round = (value: number) => Number(value.toFixed(1));

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
