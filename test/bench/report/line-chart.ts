// A line chart as an SVG that reads well on light and dark pages.

export interface LineChart {
  title: string;
  x: { label: string; isLogarithmic: boolean };
  /** With the number of a color, so that one name has the same in all pictures. */
  series: readonly { name: string; color: number; points: readonly (readonly [x: number, y: number])[] }[];
}

const [WIDTH, HEIGHT] = [640, 340];
const PLOT = { left: 64, right: WIDTH - 28, top: 62, bottom: HEIGHT - 48 };
/** Values that are further apart than this are shown on a logarithmic axis. */
const LINEAR_RATIO_MAX = 20;
/** After Okabe and Ito, for all kinds of eyes; the second is for dark pages. */
export const COLORS = [
  ['#0072b2', '#56b4e9'],
  ['#d55e00', '#ff9a4d'],
  ['#009e73', '#3fd6a8'],
  ['#a4508b', '#e39ac4'],
] as const;

interface Axis {
  ticks: number[];
  /** 0 to 1. */
  place(value: number): number;
}

export function lineChart({ title, x, series }: LineChart): string {
  const places = [...new Set(series.flatMap(({ points }) => points.map(([at]) => at)))].toSorted((a, b) => a - b);
  const values = series.flatMap(({ points }) => points.map(([, value]) => value));
  const across = xAxis(places, x.isLogarithmic);
  const up = isWide(values) ? logAxis(values) : linearAxis(values);
  const toX = (value: number) => round(PLOT.left + across.place(value) * (PLOT.right - PLOT.left));
  const toY = (value: number) => round(PLOT.bottom - up.place(value) * (PLOT.bottom - PLOT.top));
  const parts = [
    text(PLOT.left, 22, title, 'title'),
    ...series.map(({ name }, i) => legend(name, i, series)),
    ...up.ticks.map(
      (tick) =>
        `<path class="grid" d="M${PLOT.left} ${toY(tick)}H${PLOT.right}"/>${text(PLOT.left - 8, toY(tick) + 4, inWords(tick), 'end')}`,
    ),
    ...across.ticks.map((tick) => text(toX(tick), PLOT.bottom + 18, inWords(tick), 'middle')),
    text((PLOT.left + PLOT.right) / 2, HEIGHT - 10, x.label, 'middle'),
    ...series.map(({ points, color }) => {
      const line = points.map(([at, value]) => `${toX(at)} ${toY(value)}`).join('L');
      const dots = points.map(
        ([at, value]) => `<circle cx="${toX(at)}" cy="${toY(value)}" r="3.5"><title>${inWords(at)}: ${inWords(value)}</title></circle>`,
      );
      return `<g class="series s${color}"><path d="M${line}"/>${dots.join('')}</g>`;
    }),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escaped(title)}">
${style()}
${parts.join('\n')}
</svg>
`;
}

function style(): string {
  const colors = (index: 0 | 1) => COLORS.map((color, i) => `.s${i}{stroke:${color[index]};fill:${color[index]}}`);
  return `<style>
text{font:12px system-ui,sans-serif;fill:#57606a;stroke:none}.title{font-size:14px;font-weight:600;fill:#1f2328}
.middle{text-anchor:middle}.end{text-anchor:end}.grid{stroke:#d0d7de}.series path{fill:none;stroke-width:2}${colors(0).join('')}
@media(prefers-color-scheme:dark){text{fill:#9198a1}.title{fill:#f0f6fc}.grid{stroke:#3d444d}${colors(1).join('')}}
</style>`;
}

function legend(name: string, i: number, series: LineChart['series']): string {
  const before = series.slice(0, i).reduce((sum, { name }) => sum + name.length * 7 + 36, 0);
  const left = PLOT.left + before;
  return `<g class="series s${series[i]!.color}"><path d="M${left} 42h16"/><circle cx="${left + 8}" cy="42" r="3.5"/></g>${text(left + 22, 46, name)}`;
}

function xAxis(places: readonly number[], isLogarithmic: boolean): Axis {
  const scale = isLogarithmic ? Math.log10 : (value: number) => value;
  const [first, last] = [scale(places[0]!), scale(places.at(-1)!)];
  return { ticks: [...places], place: (value) => (last === first ? 0.5 : 0.03 + (0.94 * (scale(value) - first)) / (last - first)) };
}

function linearAxis(values: readonly number[]): Axis {
  const most = Math.max(...values, Number.MIN_VALUE);
  const power = 10 ** Math.floor(Math.log10(most / 4));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => most / step <= 5)!;
  const top = Math.ceil(most / step) * step;
  return { ticks: Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step), place: (value) => value / top };
}

function logAxis(values: readonly number[]): Axis {
  const first = Math.floor(Math.log10(Math.min(...values)));
  const last = Math.ceil(Math.log10(Math.max(...values)));
  return {
    ticks: Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i)),
    place: (value) => (Math.log10(value) - first) / (last - first),
  };
}

function isWide(values: readonly number[]): boolean {
  const least = Math.min(...values);
  return least > 0 && Math.max(...values) / least > LINEAR_RATIO_MAX;
}

function text(x: number, y: number, words: string, kind = ''): string {
  return `<text x="${round(x)}" y="${round(y)}"${kind === '' ? '' : ` class="${kind}"`}>${escaped(words)}</text>`;
}

function inWords(value: number): string {
  if (value >= 1_000_000) return `${value / 1_000_000} million`;
  return Number(value.toPrecision(3)).toLocaleString('en-US', { maximumFractionDigits: 4 });
}

const round = (value: number): number => Math.round(value * 10) / 10;

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
