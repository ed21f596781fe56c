/** Horizontal bar charts as SVG text, readable on light and dark backgrounds. */

export interface BarChart {
  readonly title: string;
  /** Says what a shorter or longer bar means. */
  readonly note: string;
  readonly bars: readonly ChartBar[];
  /** A line across all bars, such as a limit; null for none. */
  readonly mark: { readonly value: number; readonly label: string } | null;
}

interface ChartBar {
  readonly label: string;
  readonly value: number;
  /** The value as people read it. */
  readonly text: string;
  /** Drawn in the colour of maesh. */
  readonly own: boolean;
}

const WIDTH = 640;
const LEFT = 130;
const RIGHT = 110;
const ROW = 28;
const TOP = 58;

export function barChart(chart: BarChart): string {
  const longest = Math.max(...chart.bars.map((bar) => bar.value), chart.mark?.value ?? 0, 1e-9);
  const scale = (value: number): number => (Math.max(value, 0) / longest) * (WIDTH - LEFT - RIGHT);
  const height = TOP + chart.bars.length * ROW + (chart.mark === null ? 12 : 30);
  const rows = chart.bars.map((bar, i) => {
    const y = TOP + i * ROW;
    return `<text x="${LEFT - 8}" y="${y + 16}" text-anchor="end">${escape(bar.label)}</text>
<rect x="${LEFT}" y="${y + 3}" width="${round(scale(bar.value))}" height="18" rx="2" fill="${bar.own ? '#2f6fde' : '#8a94a6'}"/>
<text x="${round(LEFT + scale(bar.value) + 6)}" y="${y + 16}"${bar.own ? ' font-weight="600"' : ''}>${escape(bar.text)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escape(chart.title)}" font-family="system-ui, sans-serif" font-size="13">
<style>text { fill: #1d2430 } .note { fill: #5b6575 } @media (prefers-color-scheme: dark) { text { fill: #e6e9ef } .note { fill: #a7b0c0 } }</style>
<text x="12" y="22" font-size="15" font-weight="600">${escape(chart.title)}</text>
<text x="12" y="42" class="note">${escape(chart.note)}</text>
${rows.join('\n')}
${chart.mark === null ? '' : markLine(chart.mark, LEFT + scale(chart.mark.value), height)}</svg>
`;
}

function markLine(mark: { readonly label: string }, x: number, height: number): string {
  return `<line x1="${round(x)}" x2="${round(x)}" y1="${TOP - 4}" y2="${height - 24}" stroke="#c2410c" stroke-dasharray="4 3"/>
<text x="${round(x)}" y="${height - 8}" text-anchor="middle" class="note">${escape(mark.label)}</text>
`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
