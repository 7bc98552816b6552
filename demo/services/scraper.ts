import * as z from 'zod';
import type { HubClient } from '../hub-client.ts';
import { parsePage } from './html.ts';
import { runService } from './service-host.ts';

/** Follows the links of a site, breadth first. It fetches only from where the hub says that the page server stands. */

const input = z.object({ site: z.object({ start: z.url() }) });
const registered = z.object({
  services: z.array(z.object({ host: z.string(), port: z.number(), protocol: z.string() })),
});
const maxPages = 60;
const maxPageBytes = 2_000_000;

const pageServers = async (hub: HubClient): Promise<ReadonlySet<string>> => {
  const { body } = await hub.request('GET', '/services?capability=pages.serve');
  return new Set(
    registered.parse(body).services.map(({ protocol, host, port }) => `${protocol}://${host}:${port}`),
  );
};

const mostUsed = (words: readonly string[]): readonly string[] => {
  const counts = new Map<string, number>();
  for (const word of words) if (word.length > 4) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts]
    .sort(([a, x], [b, y]) => y - x || a.localeCompare(b))
    .slice(0, 3)
    .map(([word]) => word);
};

runService({
  name: 'scraper',
  capabilities: ['pages.scrape'],
  actions: [{ method: 'crawl', takes: ['site'], gives: 'pageFacts' }],
  methods: {
    async crawl(data, { hub }) {
      const { start } = input.parse(data).site;
      const allowed = await pageServers(hub);
      const { origin } = new URL(start);
      if (!allowed.has(origin)) throw new Error(`${origin} is no page server that the hub knows`);
      const rows = [];
      const broken: string[] = [];
      const queue = [new URL(start).href];
      const known = new Set(queue);
      for (const url of queue.values()) {
        const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(5_000) });
        const html = await response.text();
        if (!response.ok || html.length > maxPageBytes) {
          broken.push(new URL(url).pathname);
          continue;
        }
        const page = parsePage(html);
        rows.push({
          name: new URL(url).pathname,
          title: page.title,
          headings: page.headings.length,
          links: page.links.length,
          words: page.words.length,
          mostUsed: mostUsed(page.words),
        });
        for (const link of page.links) {
          const target = URL.canParse(link, url) ? new URL(link, url) : undefined;
          if (target === undefined || target.origin !== origin) continue;
          target.hash = '';
          if (known.has(target.href) || known.size >= maxPages) continue;
          known.add(target.href);
          queue.push(target.href);
        }
      }
      return { origin, rows, broken };
    },
  },
});
