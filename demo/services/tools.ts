import * as z from 'zod';
import { runService } from './service-host.ts';
import { type Summary, summarise } from './statistics.ts';

/** Calculates on what the others found, and writes it up. */

const facts = z.object({ rows: z.array(z.record(z.string(), z.json())) });
const summary = z.object({
  n: z.number(),
  sum: z.number(),
  mean: z.number(),
  median: z.number(),
  p90: z.number(),
  max: z.number(),
  deviation: z.number(),
});
const both = z.object({ codeFacts: facts, pageFacts: facts });
const all = both.extend({ figures: z.record(z.string(), z.record(z.string(), summary)) });

/** Every column of numbers, summarised. */
const columns = ({ rows }: z.output<typeof facts>): Record<string, Summary> => {
  const values = new Map<string, number[]>();
  for (const row of rows) {
    for (const [name, value] of Object.entries(row)) {
      if (typeof value === 'number') values.set(name, [...(values.get(name) ?? []), value]);
    }
  }
  const summaries: Record<string, Summary> = {};
  for (const [name, numbers] of values) {
    const summarised = summarise(numbers);
    if (summarised !== undefined) summaries[name] = summarised;
  }
  return summaries;
};

const largest = ({ rows }: z.output<typeof facts>, column: string): string => {
  const [first] = [...rows].sort((a, b) => Number(b[column] ?? 0) - Number(a[column] ?? 0));
  return first === undefined ? 'nothing' : `${first.name} (${first[column]})`;
};

runService({
  name: 'tools',
  capabilities: ['statistics', 'report'],
  actions: [
    { method: 'statistics', takes: ['codeFacts', 'pageFacts'], gives: 'figures' },
    { method: 'report', takes: ['codeFacts', 'pageFacts', 'figures'], gives: 'report' },
  ],
  methods: {
    async statistics(data) {
      const { codeFacts, pageFacts } = both.parse(data);
      return { code: columns(codeFacts), pages: columns(pageFacts) };
    },
    async report(data) {
      const { codeFacts, pageFacts, figures } = all.parse(data);
      const { lines, functions, longestFunction } = figures.code ?? {};
      const { words, links } = figures.pages ?? {};
      return [
        `Code: ${lines?.n ?? 0} files, ${lines?.sum ?? 0} lines, median ${lines?.median ?? 0}, nine in ten up to ${lines?.p90 ?? 0}.`,
        `Largest file: ${largest(codeFacts, 'lines')}; functions: ${functions?.sum ?? 0}, the longest of ${longestFunction?.max ?? 0} lines.`,
        `Documents: ${words?.n ?? 0} pages, ${words?.sum ?? 0} words, ${links?.sum ?? 0} links.`,
        `Longest page: ${largest(pageFacts, 'words')}.`,
      ];
    },
  },
});
