import test from 'ava';
import { type Hub, openHub } from '../support/hub.ts';
import { call } from './client.ts';

let hub: Hub;
test.before(async () => {
  hub = await openHub();
  const value = 'x'.repeat(900_000);
  for (let version = 1; version <= versions; version++) {
    await call(hub.url, 'PUT', '/state/large', { json: { value: version + value } });
    await call(hub.url, 'PUT', `/state/many-${String(version).padStart(2, '0')}`, { json: { value } });
    await call(hub.url, 'POST', '/events/large', { json: { payload: version + value } });
  }
});
test.after.always(() => hub.close());

const versions = 24;
/** Half of all that is read here: one answer of it would be twice as long as any may be. */
const maxAnswerBytes = 12_000_000;

type Page = Readonly<Record<string, unknown>> & {
  readonly more?: boolean;
  readonly cursor?: string;
  readonly position?: string;
};

/** Follows the pages of a list from the first to the last; how many items each had. */
const follow = async (path: string, list: string, next: (page: Page) => string | undefined) => {
  const seen: unknown[] = [];
  const sizes: number[] = [];
  for (let query: string | undefined = '?limit=1000'; query !== undefined; ) {
    const answer = await call(
      hub.url,
      'GET',
      `${path}${path.includes('?') ? query.replace('?', '&') : query}`,
    );
    if (answer.status !== 200 || answer.text.length > maxAnswerBytes)
      throw new Error(`${answer.status}, ${answer.text.length} bytes`);
    const page = answer.body as Page;
    const items = page[list] as readonly Readonly<Record<string, unknown>>[];
    sizes.push(items.length);
    seen.push(...items.map(({ key, position }) => key ?? position));
    const onwards = next(page);
    query = onwards === undefined ? undefined : `?limit=1000&${onwards}`;
  }
  return { seen, sizes };
};

const lastOf = (page: Page, list: string): Readonly<Record<string, unknown>> =>
  (page[list] as readonly Readonly<Record<string, unknown>>[]).at(-1) ?? {};

for (const [path, list, count, next] of [
  [
    '/state/large/history',
    'history',
    versions,
    (page: Page) => page.more && `before=${lastOf(page, 'history').version}`,
  ],
  ['/state?prefix=many-', 'entries', versions, (page: Page) => page.cursor && `cursor=${page.cursor}`],
  [
    '/streams/state-large',
    'events',
    versions,
    (page: Page) => page.more && `from=${Number(lastOf(page, 'events').revision) + 1}`,
  ],
  ['/events?topic=large', 'events', versions, (page: Page) => page.more && `after=${page.position}`],
  ['/events?topic=>', 'events', versions, (page: Page) => page.more && `after=${page.position}`],
  ['/log?category=state', 'events', 2 * versions, (page: Page) => page.more && `after=${page.position}`],
] as const) {
  test(`GET ${path} › of large values comes in pages that end before their limit, each item once`, async (t) => {
    const { seen, sizes } = await follow(path, list, (page) => next(page) || undefined);
    t.true(sizes.length > 1, sizes.join());
    t.is(seen.length, count);
    t.is(new Set(seen).size, count);
  });
}

test('POST /services › with metadata that would burden every list of services is invalid', async (t) => {
  const service = { name: 'large', version: '1.0.0', host: '127.0.0.1', port: 9 };
  const metadata = { note: 'x'.repeat(100_000) };
  const answer = await call(hub.url, 'POST', '/services', { json: { ...service, metadata } });
  t.like(answer.body as object, { code: 'invalid', errors: [{ pointer: '/metadata' }] });
});
