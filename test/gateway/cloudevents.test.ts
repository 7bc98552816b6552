import test from 'ava';
import { CloudEvent, type Message as ForeignMessage, HTTP } from 'cloudevents';
import { LogError } from '../../src/log/event-log.ts';
import { specified } from '../support/cloudevents.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { type Answer, call, openEvents } from './client.ts';

let hub: Hub;
let closed: Hub;
test.before(async () => {
  hub = await openHub();
  closed = await openHub({ jwtSecret });
});
test.after.always(() => Promise.all([hub.close(), closed.close()]));

const structured = 'application/cloudevents+json';
const batch = 'application/cloudevents-batch+json';

/** What the foreign package made of an event, as a request. */
const send = (topic: string, message: ForeignMessage, more: Record<string, string> = {}): Promise<Answer> => {
  const headers = Object.entries(message.headers).map(([name, value]) => [name, String(value)]);
  const { body } = message;
  const raw = body === undefined ? '' : typeof body === 'string' ? body : Buffer.from(body as Uint8Array);
  return call(hub.url, 'POST', `/events/${topic}`, {
    raw,
    headers: { ...Object.fromEntries(headers), ...more },
  });
};
const post = (
  topic: string,
  type: string,
  json: unknown,
  more: Record<string, string> = {},
): Promise<Answer> =>
  call(hub.url, 'POST', `/events/${topic}`, {
    raw: JSON.stringify(json),
    headers: { 'content-type': type, ...more },
  });
const read = (position: unknown, query = '', headers: Record<string, string> = {}): Promise<Answer> =>
  call(hub.url, 'GET', `/messages/${String(position)}${query}`, { headers });
const positionOf = (answer: Answer): unknown => (answer.body as { position?: unknown }).position;
/** What the foreign package reads from the hub’s answer. */
const toEvent = ({ headers, text }: Answer): CloudEvent<unknown> => {
  const event = HTTP.toEvent<unknown>({ headers, body: text });
  if (Array.isArray(event)) throw new Error('one event was expected');
  return event as CloudEvent<unknown>;
};
const toEvents = ({ headers, text }: Answer): CloudEvent<unknown>[] =>
  HTTP.toEvent<unknown>({ headers, body: text }) as CloudEvent<unknown>[];

const foreign = (more: object): CloudEvent<unknown> =>
  new CloudEvent<unknown>({
    source: '/shop/1',
    type: 'com.example.order',
    time: '2030-01-01T00:00:00.000Z',
    ...more,
  });

for (const [what, event] of [
  [
    'JSON data',
    foreign({ id: 'a1', data: { total: 12.5, lines: [1, null] }, datacontenttype: 'application/json' }),
  ],
  ['text', foreign({ id: 'a2', data: 'häuser\n', datacontenttype: 'text/plain' })],
  ['no data', foreign({ id: 'a3', subject: 'order/17', dataschema: 'https://example.com/order#v1' })],
  [
    'extensions of each type',
    foreign({ id: 'a4', count: 5, fresh: true, partitionkey: 'k', priority: 'HIGH', data: 1 }),
  ],
] as const) {
  test(`structured, by the cloudevents package, with ${what} › comes back as the same event`, async (t) => {
    const answer = await send('foreign.structured', HTTP.structured(event));
    t.is(answer.status, 201);
    const back = await read(positionOf(answer), '', { accept: structured });
    t.is(back.headers['content-type'], structured);
    t.deepEqual(toEvent(back).toJSON(), event.toJSON());
    t.deepEqual(JSON.parse(back.text), JSON.parse(String(HTTP.structured(event).body)));
  });
}

for (const [what, event] of [
  ['JSON data', foreign({ id: 'b1', data: { total: 12.5 }, datacontenttype: 'application/json' })],
  ['text', foreign({ id: 'b2', data: 'hello', datacontenttype: 'text/plain' })],
  [
    'extensions',
    foreign({ id: 'b3', count: '5', partitionkey: 'k', datacontenttype: 'application/json', data: [1] }),
  ],
] as const) {
  test(`binary, by the cloudevents package, with ${what} › comes back as the same event`, async (t) => {
    const answer = await send('foreign.binary', HTTP.binary(event));
    t.is(answer.status, 201);
    const back = await read(positionOf(answer), '?mode=binary');
    t.is(back.headers['ce-id'], event.id);
    t.deepEqual(toEvent(back).toJSON(), event.toJSON());
  });
}

test('bytes, by the cloudevents package, in both modes › come back byte for byte', async (t) => {
  const data = Uint8Array.from({ length: 256 }, (_, index) => index);
  for (const mode of ['structured', 'binary'] as const) {
    const event = foreign({ id: `c-${mode}`, data, datacontenttype: 'application/octet-stream' });
    const position = positionOf(await send('foreign.bytes', HTTP[mode](event)));
    const response = await fetch(`${hub.url}/messages/${String(position)}?mode=binary`);
    t.deepEqual(new Uint8Array(await response.arrayBuffer()), data);
    t.is(response.headers.get('content-type'), 'application/octet-stream');
    t.is(response.headers.get('content-disposition'), 'attachment');
    const back = toEvent(await read(position, '?mode=structured'));
    t.deepEqual(Uint8Array.from(back.data as Iterable<number>), data);
  }
});

test('the specification’s examples › come back as they were sent, alone and in a batch', async (t) => {
  const examples = Object.values(specified);
  for (const example of examples) {
    const answer = await post('specified.alone', `${structured}; charset=UTF-8`, example);
    t.is(answer.status, 201);
    t.deepEqual((await read(positionOf(answer), '', { accept: structured })).body, example);
  }
  t.is((await post('specified.batch', batch, examples)).status, 201);
  const page = await call(hub.url, 'GET', '/events?topic=specified.batch', { headers: { accept: batch } });
  t.is(page.headers['content-type'], batch);
  t.deepEqual(page.body, examples);
});

test('an event › is a message like others: JSON is its payload, attributes are its headers', async (t) => {
  const event = foreign({ id: 'd1', data: { a: 1 }, partitionkey: 'k', priority: 'critical', count: 5 });
  const answer = await send('carried.out', HTTP.structured(event));
  const message = (await read(positionOf(answer))).body;
  t.like(message as object, { topic: 'carried.out', payload: { a: 1 }, priority: 'CRITICAL', key: 'k' });
  t.like((message as { headers: object }).headers, {
    'ce-specversion': '1.0',
    'ce-id': 'd1',
    'ce-source': '/shop/1',
    'ce-type': 'com.example.order',
    'ce-count': '5',
  });
});

test('the same event again › gets the first answer, and one of another source with its id is another one', async (t) => {
  const event = foreign({ id: 'e1', data: 1 });
  const first = await send('once.more', HTTP.structured(event));
  const again = await send(
    'once.more',
    HTTP.binary(event.cloneWith({ data: { n: 2 } }) as CloudEvent<unknown>),
  );
  t.is(first.status, 201);
  t.is(again.status, 200);
  t.deepEqual(again.body, first.body);
  const other = await send(
    'once.more',
    HTTP.structured(event.cloneWith({ source: '/shop/2' }) as CloudEvent<unknown>),
  );
  t.is(other.status, 201);
  t.not(positionOf(other), positionOf(first));
});

test('the same event again with its Idempotency-Key › is replayed; another one under the key is refused', async (t) => {
  const key = { 'idempotency-key': 'k-1' };
  const first = await send('once.keyed', HTTP.structured(foreign({ id: 'f1' })), key);
  const again = await send('once.keyed', HTTP.structured(foreign({ id: 'f1' })), key);
  t.is(again.headers['idempotent-replayed'], 'true');
  t.deepEqual(again.body, first.body);
  const other = await send('once.keyed', HTTP.structured(foreign({ id: 'f2' })), key);
  t.like(other.body as object, { code: 'idempotency_mismatch' });
});

const least = { specversion: '1.0', source: '/a', type: 't' };
type Entry = { readonly status: number; readonly position?: string; readonly code?: string };
const entriesOf = (answer: Answer): readonly Entry[] => (answer.body as { results: Entry[] }).results;

test('a batch › publishes each event by itself, in its order, and answers for each', async (t) => {
  const events = Array.from({ length: 1_000 }, (_, index) => ({ ...least, id: `${index}`, data: index }));
  const answer = await post('batch.whole', batch, events);
  t.is(answer.status, 201);
  const entries = entriesOf(answer);
  t.is(entries.length, 1_000);
  t.true(entries.every(({ status }) => status === 201));
  const positions = entries.map(({ position }) => position ?? '');
  t.deepEqual(positions, positions.toSorted());
  t.is(answer.headers['x-nexus-position'], positions.at(-1));
  const again = await post('batch.whole', batch, events);
  t.is(again.status, 200);
  t.deepEqual(
    entriesOf(again).map(({ position }) => position),
    positions,
  );
});

test('a batch of which an event is unsound › publishes the others, and is answered as a fault that says so', async (t) => {
  const events = [
    { ...least, id: '1' },
    { ...least, id: 2 },
    { ...least, id: '3' },
  ];
  const answer = await post('batch.part', batch, events);
  t.is(answer.status, 422);
  t.like(answer.body as object, { code: 'invalid' });
  t.deepEqual((answer.body as { errors: unknown }).errors, [{ pointer: '/1/id', detail: 'must be a text' }]);
  t.deepEqual(
    entriesOf(answer).map(({ status, code }) => code ?? status),
    [201, 'invalid', 201],
  );
  const mended = await post(
    'batch.part',
    batch,
    events.map((event) => ({ ...event, id: `${event.id}` })),
  );
  t.deepEqual(
    entriesOf(mended).map(({ status }) => status),
    [200, 201, 200],
  );
});

test('a batch › may repeat an event, may be empty, and is replayed under its key', async (t) => {
  const twice = await post('batch.twice', batch, [
    { ...least, id: '1' },
    { ...least, id: '1' },
  ]);
  const [first, second] = entriesOf(twice);
  t.deepEqual([first?.status, second?.status], [201, 200]);
  t.is(first?.position, second?.position);
  t.deepEqual((await post('batch.twice', batch, [])).body, { results: [] });
  const key = { 'idempotency-key': 'batch-1' };
  const keyed = await post(
    'batch.keyed',
    batch,
    [
      { ...least, id: '1' },
      { ...least, id: '2' },
    ],
    key,
  );
  const again = await post(
    'batch.keyed',
    batch,
    [
      { ...least, id: '1' },
      { ...least, id: '2' },
    ],
    key,
  );
  t.is(again.headers['idempotent-replayed'], 'true');
  t.deepEqual(again.body, keyed.body);
  const other = await post(
    'batch.keyed',
    batch,
    [
      { ...least, id: '1' },
      { ...least, id: '3' },
    ],
    key,
  );
  t.deepEqual(
    entriesOf(other).map(({ status, code }) => code ?? status),
    [201, 'idempotency_mismatch'],
  );
});

test('a batch of which the log takes a part only › is answered as unavailable, and the rest is there when it is sent again', async (t) => {
  let failing = true;
  const half = await openHub({
    wrap: (core) => ({
      ...core,
      execute: async (command, context) => {
        if (failing && JSON.stringify(command.data).includes('"ce-id":"2"'))
          throw new LogError('log_unavailable', 'the log is away');
        return core.execute(command, context);
      },
    }),
  });
  t.teardown(() => half.close());
  const request = {
    raw: JSON.stringify(['1', '2', '3'].map((id) => ({ ...least, id }))),
    headers: { 'content-type': batch },
  };
  const answer = await call(half.url, 'POST', '/events/half', request);
  t.is(answer.status, 503);
  t.truthy(answer.headers['retry-after']);
  t.deepEqual(
    entriesOf(answer).map(({ status, code }) => code ?? status),
    [201, 'log_unavailable', 201],
  );
  failing = false;
  const again = await call(half.url, 'POST', '/events/half', request);
  t.deepEqual(
    entriesOf(again).map(({ status }) => status),
    [200, 201, 200],
  );
});

test('a page in the batch format › says by Link where the next one begins', async (t) => {
  for (const id of ['1', '2', '3']) await post('linked', structured, { ...least, id });
  await call(hub.url, 'POST', '/events/linked', { json: { payload: 'plain', messageId: 'm' } });
  const ids: unknown[] = [];
  let path: string | undefined = '/events?topic=linked&limit=3';
  for (; path !== undefined; ) {
    const page = await call(hub.url, 'GET', path, { headers: { accept: batch } });
    ids.push(...toEvents(page).map(({ id }) => id));
    path = /^<([^>]*)>; rel="next"$/.exec(page.headers.link ?? '')?.[1];
  }
  t.deepEqual(ids, ['1', '2', '3', 'm']);
});

test('a live tail of events › tells each as one, whatever it came as, and resumes behind it', async (t) => {
  const tail = await openEvents(`${hub.url}/events?topic=tailed&after=start&format=cloudevents`);
  await post('tailed', structured, { ...least, id: '1', data: 'x' });
  const plain = await call(hub.url, 'POST', '/events/tailed', { json: { payload: { a: 1 }, key: 'k' } });
  const seen: { id?: unknown; data?: unknown; partitionkey?: unknown }[] = [];
  while (seen.length < 2) {
    const event = await tail.next();
    if (event?.event === 'message') seen.push(JSON.parse(event.data) as object);
  }
  tail.close();
  t.is(tail.lastId, String(positionOf(plain)));
  t.deepEqual(seen[0], { ...least, id: '1', data: 'x' });
  t.like(seen[1], {
    id: (plain.body as { messageId: string }).messageId,
    source: '/nexus/topics/tailed',
    type: 'nexus.message',
    position: String(positionOf(plain)),
    partitionkey: 'k',
    data: { a: 1 },
  });
});

test('GET /messages/{position} › answers the message, an event, or 404 where no message stands', async (t) => {
  const answer = await call(hub.url, 'POST', '/events/single', { json: { payload: 1, headers: { a: 'b' } } });
  await call(hub.url, 'PUT', '/state/beside', { json: { value: 1 } });
  const position = String(positionOf(answer));
  t.like((await read(position)).body as object, {
    topic: 'single',
    payload: 1,
    headers: { a: 'b' },
    position,
  });
  t.like(toEvent(await read(position, '?mode=binary')), { type: 'nexus.message', a: 'b', position });
  const { position: state } = (await call(hub.url, 'GET', '/state/beside')).body as { position: string };
  for (const none of [state, '0'.repeat(position.length), 'f'.repeat(position.length)])
    t.like((await read(none)).body as object, { code: 'not_found', status: 404 }, none);
  for (const [path, code] of [
    ['zzz', 'invalid'],
    [`${position}?mode=other`, 'invalid'],
    [`${position}?x=1`, 'invalid'],
  ] as const)
    t.like((await read(path)).body as object, { code });
  t.is((await read(position, '', { accept: 'text/html' })).status, 406);
});

test('GET /messages/{position} › in the first place of the log, and behind many others, is found', async (t) => {
  const all = (await call(hub.url, 'GET', '/log?limit=1000&type=MessagePublished')).body as {
    events: { position: string; id: string }[];
  };
  for (const { position } of [all.events[0], all.events.at(-1)].filter((event) => event !== undefined))
    t.like((await read(position)).body as object, { position });
});

test('GET /messages/{position} › needs the scope of its topic, and tells its name to nobody else', async (t) => {
  const authorized = (scope: string) => ({ headers: { authorization: `Bearer ${signToken('ada', scope)}` } });
  const publisher = { ...authorized('events:publish:>'), json: { payload: 1 } };
  const { position } = (await call(closed.url, 'POST', '/events/secret.name', publisher)).body as {
    position: string;
  };
  const path = `/messages/${position}`;
  t.is((await call(closed.url, 'GET', path, authorized('events:read:secret.*'))).status, 200);
  const refused = await call(closed.url, 'GET', path, authorized('events:read:open.>'));
  t.like(refused.body as object, { code: 'forbidden', scope: 'events:read' });
  t.false(refused.text.includes('secret'));
  const unscoped = await call(closed.url, 'POST', '/events/secret.name', {
    raw: JSON.stringify({ ...least, id: '1' }),
    headers: { 'content-type': structured, ...authorized('events:publish:open.>').headers },
  });
  t.like(unscoped.body as object, { code: 'forbidden' });
});

for (const query of ['format=cloudevents', 'format=other']) {
  test(`GET /events?${query} › is invalid for a page`, async (t) => {
    t.like((await call(hub.url, 'GET', `/events?${query}`)).body as object, { code: 'invalid' });
  });
}
