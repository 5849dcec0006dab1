// The HTML of a report: data in, text out.
export interface Month {
  name: string;
  regions: { region: string; sales: number; revenue: number }[];
}

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums }
td, th { padding: .3rem .5rem; text-align: right; white-space: nowrap; border-bottom: 1px solid color-mix(in srgb, currentcolor 20%, transparent) }
td:first-child, th:first-child { text-align: left }
td:last-child { width: 40% }
meter { width: 100% }`;

export function reportPage(year: number, months: Month[]): string {
  const regions = months[0]!.regions.map(({ region }) => region);
  const totals = months.map((month) => sum(month.regions.map(({ revenue }) => revenue)));
  const best = Math.max(...totals);
  const rows = months.map(({ name, regions }, index) => {
    const total = totals[index]!;
    const cells = [name, ...regions.map(({ revenue }) => money(revenue)), money(total)].map((text) => `<td>${escape(text)}</td>`);
    return `<tr>${cells.join('')}<td><meter max="${best}" value="${total}">${money(total)}</meter></td></tr>`;
  });
  const sales = sum(months.flatMap((month) => month.regions.map((region) => region.sales)));
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sales ${year}</title>
<style>${STYLE}</style>
<h1>Sales ${year}</h1>
<p>${sales.toLocaleString('en')} sales, ${money(sum(totals))} in all.</p>
<table>
<tr>${['Month', ...regions, 'All', ''].map((text) => `<th>${escape(text)}</th>`).join('')}</tr>
${rows.join('\n')}
</table>
</html>
`;
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function money(amount: number): string {
  return amount.toLocaleString('en', { maximumFractionDigits: 0 });
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
