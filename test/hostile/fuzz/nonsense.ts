/** mulberry32: small, seeded, good enough to stumble around with. */
export const createRandom = (start: number) => {
  let state = start >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (max: number): number => Math.floor(next() * max);
  const pick = <Item>(items: readonly [Item, ...Item[]]): Item => items[below(items.length)] ?? items[0];
  return { next, below, pick };
};
export type Random = ReturnType<typeof createRandom>;

export const methods = [
  'GET',
  'GET',
  'PUT',
  'PUT',
  'POST',
  'POST',
  'PATCH',
  'DELETE',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'QUERY',
] as const;
const words = [
  ...([
    'services',
    'state',
    'events',
    'topics',
    'streams',
    'log',
    'commands',
    'health',
    'graphql',
    'ws',
    'subscriptions',
    'subscriptions',
  ] as const),
  ...([
    'billing',
    'pull',
    'ack',
    'nak',
    'term',
    'extend',
    'reset',
    'pause',
    'dead-letters',
    'redrive',
    'discard',
  ] as const),
  ...([
    'live',
    'ready',
    'heartbeat',
    'invoke',
    'history',
    'a',
    'a.b',
    'state-a',
    'topic-a',
    'nexus-log',
  ] as const),
  ...([
    '',
    '.',
    '..',
    '*',
    '>',
    '%2F',
    '%00',
    '%C3%A4',
    '%zz',
    '%',
    '__proto__',
    'constructor',
    'x'.repeat(600),
  ] as const),
] as const;
const names = [
  ...([
    'limit',
    'after',
    'from',
    'to',
    'asOf',
    'version',
    'prefix',
    'cursor',
    'before',
    'topic',
    'type',
  ] as const),
  ...([
    'category',
    'stream',
    'correlationId',
    'direction',
    'errorLike',
    'capability',
    'status',
    'tag',
    'name',
    'query',
    '__proto__',
  ] as const),
] as const;
const texts = [
  ...([
    '0',
    '1',
    '-1',
    '1e9',
    '99999999999999999999',
    'NaN',
    '',
    'null',
    'start',
    'now',
    '2030-01-01T00:00:00Z',
  ] as const),
  ...([
    '0000000000000000',
    'ffffffffffffffff',
    'zzzzzzzzzzzzzzzz',
    '0'.repeat(32),
    '9999-99-99T99:99:99Z',
    '%F0%9F%98%80',
  ] as const),
  ...([
    'WyIwMDAwMDAwMDAwMDAwMDAwIiwiYSJd',
    '%',
    '>=1 <2',
    '>',
    '*',
    'a.>',
    '{__typename}',
    "'",
    '"',
    '<script>',
  ] as const),
] as const;
const fields = [
  ...([
    'if-match',
    'if-none-match',
    'accept',
    'content-type',
    'content-encoding',
    'last-event-id',
    'origin',
  ] as const),
  ...([
    'x-nexus-min-position',
    'x-request-id',
    'x-correlation-id',
    'traceparent',
    'authorization',
    'range',
  ] as const),
  ...(['x-forwarded-for', 'expect', 'cookie', 'upgrade', 'access-control-request-method'] as const),
] as const;
const fieldTexts = [
  ...([
    '"1"',
    '1',
    '*',
    'W/"1"',
    '"1", "2"',
    '""',
    'application/json',
    'text/event-stream;q=0',
    'a/b',
    '*/*',
  ] as const),
  ...([
    'application/x-ndjson',
    'application/json; charset=latin1',
    'gzip',
    'Bearer x',
    '0000000000000001',
    'null',
  ] as const),
  ...(['bytes=0-1', ',', ';;;', '=', 'a'.repeat(300), 'http://localhost'] as const),
] as const;
const scalars = [
  null,
  true,
  0,
  -1,
  1.5,
  1e300,
  'a',
  '',
  'a.b',
  '\u0000',
  '\ud800',
  'SetState',
  'x'.repeat(2_000),
] as const;
const members = [
  ...([
    'value',
    'expectedVersion',
    'key',
    'payload',
    'topic',
    'type',
    'data',
    'commandId',
    'expectedRevision',
  ] as const),
  ...([
    'id',
    'name',
    'version',
    'host',
    'port',
    'method',
    'load',
    'ttlSec',
    'metadata',
    'query',
    'variables',
    '__proto__',
  ] as const),
  ...([
    'max',
    'waitMs',
    'deliveries',
    'delayMs',
    'reason',
    'durable',
    'to',
    'ackWaitMs',
    'backoffMs',
    'order',
  ] as const),
  ...(['messageIds', 'errorLike', 'all'] as const),
] as const;

export const jsonOf = (random: Random, depth: number): unknown => {
  const kind = depth > 4 ? 0 : random.below(4);
  if (kind < 2) return random.pick(scalars);
  const size = random.below(5);
  if (kind === 2) return Array.from({ length: size }, () => jsonOf(random, depth + 1));
  const entries = Array.from(
    { length: size },
    () => [random.pick(members), jsonOf(random, depth + 1)] as const,
  );
  return Object.fromEntries(entries);
};

export const pathOf = (random: Random): string => {
  let path = '';
  for (let parts = 1 + random.below(4); parts > 0; parts--) path += `/${random.pick(words)}`;
  const parameters = random.below(4);
  for (let index = 0; index < parameters; index++) {
    const text = random.pick(texts);
    path += `${index === 0 ? '?' : '&'}${random.pick(names)}=${random.below(2) === 0 ? text : encodeURIComponent(text)}`;
  }
  return path.replace(/[^\x21-\x7e]/g, '+');
};

export const headersOf = (random: Random, body: string | undefined): Record<string, string> => {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers['content-type'] = 'application/json';
  for (let count = random.below(4); count > 0; count--)
    headers[random.pick(fields)] = random.pick(fieldTexts);
  return headers;
};
