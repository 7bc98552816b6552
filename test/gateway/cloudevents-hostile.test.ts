import test from 'ava';
import fc from 'fast-check';
import { seeded } from '../support/arbitraries.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { type Answer, call, exchange } from './client.ts';

let hub: Hub;
test.before(async () => {
  hub = await openHub();
});
test.after.always(async (t) => {
  t.deepEqual(
    hub.logged.filter(({ level }) => level === 'error'),
    [],
    'nothing that a client sent is an error of the hub',
  );
  await hub.close();
});

const structured = 'application/cloudevents+json';
const batch = 'application/cloudevents-batch+json';
const least = { specversion: '1.0', id: '1', source: '/a', type: 't' };
const fields = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/a', 'ce-type': 't' };
const text = (members: string): string => `${JSON.stringify(least).slice(0, -1)},${members}}`;
const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

type Request = { readonly headers: Record<string, string>; readonly raw?: string | Buffer };
const post = (request: Request, topic = 'hostile'): Promise<Answer> =>
  call(hub.url, 'POST', `/events/${topic}`, request);
const as = (type: string, raw: string | Buffer, more: Record<string, string> = {}): Request => ({
  headers: { 'content-type': type, ...more },
  raw,
});

for (const [what, code, request] of [
  ['a key of the prototype among its attributes', 'bad_json', as(structured, text('"__proto__":1'))],
  ['a key of the prototype in its data', 'bad_json', as(structured, text('"data":{"\\u005f_proto__":1}'))],
  ['an attribute named constructor', 'bad_json', as(structured, text('"constructor":1'))],
  ['data of 64 levels and its own', 'bad_json', as(structured, text(`"data":${deep(64)}`))],
  ['no JSON', 'bad_json', as(structured, '{')],
  ['bytes that are no UTF-8', 'bad_json', as(structured, Buffer.from([0x22, 0xff, 0x22]))],
  ['another charset', 'unsupported_media_type', as(`${structured}; charset=latin1`, text('"a":1'))],
  ['another format', 'unsupported_media_type', as('application/cloudevents+avro', 'x')],
  ['no format', 'unsupported_media_type', as('application/cloudevents', 'x')],
  ['a batch in another format', 'unsupported_media_type', as('application/cloudevents-batch+avro', 'x')],
  ['an encoding', 'unsupported_media_type', as(structured, text('"a":1'), { 'content-encoding': 'gzip' })],
  ['no body', 'invalid', { headers: { 'content-type': structured } }],
  ['an array', 'invalid', as(structured, '[]')],
  ['a batch that is none', 'invalid', as(batch, '{}')],
  ['a batch of 1,001', 'invalid', as(batch, JSON.stringify(Array.from({ length: 1_001 }, () => 0)))],
  ['a batch of what is no event', 'invalid', as(batch, `[1,null,[],"a",{"id":{}}]`)],
  ['a batch of a batch', 'invalid', as(batch, '[[]]')],
  ['a body of over 1 MiB', 'too_large', as(structured, text(`"data":"${'x'.repeat(1_048_576)}"`))],
  [
    'an event of over 1,000,000 bytes',
    'too_large',
    as(structured, text(`"data":"${'x'.repeat(1_000_000)}"`)),
  ],
  ['bytes that are too many in Base64', 'too_large', as('a/b', Buffer.alloc(800_000), fields)],
  ['a line end in an attribute', 'invalid', as(structured, text('"subject":"a\\r\\nset-cookie: b"'))],
  [
    'a line end in the type of its data',
    'invalid',
    as(structured, text('"datacontenttype":"a/b\\r\\nc: d"')),
  ],
  ['an encoded line end in a field', 'invalid', { headers: { ...fields, 'ce-subject': 'a%0d%0ab: c' } }],
  ['a field of the prototype', 'invalid', { headers: { ...fields, 'ce-__proto__': 'a' } }],
  ['fields of which one is missing', 'invalid', { headers: { 'ce-id': '1' } }],
  ['a body without a type', 'unsupported_media_type', { headers: fields, raw: 'x' }],
  ['an encoded body', 'unsupported_media_type', as('a/b', 'x', { ...fields, 'content-encoding': 'br' })],
  ['JSON data that is none', 'bad_json', as('application/json', "I'm just a string", fields)],
  ['JSON data of another charset', 'unsupported_media_type', as('a/json;charset=utf-16', '1', fields)],
  ['a type that is none', 'invalid', as('json', '1', fields)],
] as const) {
  test(`an event with ${what} › is ${code}`, async (t) => {
    const answer = await post(request);
    t.like(answer.body as object, { code });
    t.not(answer.status, 500);
  });
}

for (const topic of ['*', 'a..b', '%3E', 'x'.repeat(65)]) {
  test(`an event for the topic ${topic.slice(0, 9)} › is invalid in every mode`, async (t) => {
    for (const request of [
      as(structured, JSON.stringify(least)),
      { headers: fields },
      as(batch, `[${JSON.stringify(least)}]`),
    ]) {
      const answer = await post(request, topic);
      t.like(answer.body as object, { code: 'invalid', errors: [{ pointer: '/topic' }] });
    }
  });
}

test('a body of a type that is no event’s › stays refused without the fields that make it one', async (t) => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=a'])
    t.like((await post(as(type, '{"payload":1}'))).body as object, { code: 'unsupported_media_type' }, type);
});

test('an attribute on the wire that is given twice, or in raw bytes › is invalid', async (t) => {
  for (const line of ['ce-id: 2', 'ce-subject: \u00e4', 'ce-subject: a\tb']) {
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
    const head = ['POST /events/raw HTTP/1.1', 'host: localhost', 'connection: close', ...lines, line];
    const bytes = Buffer.from(`${head.join('\r\n')}\r\ncontent-length: 0\r\n\r\n`, 'latin1');
    t.regex(await exchange(hub.port, bytes), /^HTTP\/1\.1 422 [\s\S]*"code":"invalid"/, line);
  }
});

test('a message whose headers hold line ends › adds no field to the answer in binary mode', async (t) => {
  const forged = 'a\r\nset-cookie: stolen=1\r\n\r\n<script>';
  for (const headers of [
    { a: forged, b: 'kept' },
    { ...fields, 'ce-a': forged },
    { ...fields, 'ce-datacontenttype': `text/plain\r\n${forged}` },
  ]) {
    const published = await call(hub.url, 'POST', '/events/forged', {
      json: { payload: 'p', headers, key: forged },
    });
    t.is(published.status, 201);
    const { position } = published.body as { position: string };
    const request = `GET /messages/${position}?mode=binary HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`;
    const received = await exchange(hub.port, request);
    t.regex(received, /^HTTP\/1\.1 200 /);
    t.false(/set-cookie|<script>/i.test(received));
  }
});

test('data that a browser would show › comes as an attachment that may load and run nothing', async (t) => {
  const html = '<script>alert(1)</script>';
  const published = await post(as('text/html', html, fields), 'shown');
  const { position } = published.body as { position: string };
  const answer = await call(hub.url, 'GET', `/messages/${position}?mode=binary`);
  t.is(answer.text, html);
  t.like(answer.headers, { 'content-type': 'text/html', 'content-disposition': 'attachment' });
  t.is(answer.headers['x-content-type-options'], 'nosniff');
  t.regex(answer.headers['content-security-policy'] ?? '', /default-src 'none'/);
});

const anyName = fc.oneof(
  fc.constantFrom('id', 'source', 'type', 'specversion', 'time', 'data', 'data_base64', 'datacontenttype'),
  fc.constantFrom('subject', 'dataschema', 'partitionkey', 'priority', '__proto__', 'constructor', ''),
  fc.stringMatching(/^[a-zA-Z0-9_.-]{1,12}$/),
);
const anyText = fc.oneof(
  fc.constantFrom('1.0', '/a', 't', '', 'text/plain', 'application/json', 'AA==', '%', '%C0%A0', '"', 'HIGH'),
  fc.stringMatching(/^[\x20-\x7e\xa0-\xff]{0,20}$/),
);
const anyType = fc.constantFrom(
  structured,
  batch,
  'application/json',
  'text/plain',
  'a/b',
  `${structured};charset=x`,
  'x',
);

test('nonsense in every mode › gets no 500, and what is taken can be read in every mode', async (t) => {
  let taken = 0;
  const attempt = fc.record({
    attributes: fc.dictionary(anyName, fc.oneof(anyText, fc.jsonValue()), { maxKeys: 2 }),
    headers: fc.dictionary(anyName, anyText, { maxKeys: 2 }),
    type: anyType,
    sound: fc.constantFrom('body', 'fields', 'neither'),
    many: fc.boolean(),
    cut: fc.nat({ max: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(attempt, async ({ attributes, headers, type, sound, many, cut }) => {
      const event = sound === 'body' ? { ...attributes, ...least, id: `${cut}` } : attributes;
      const json = JSON.stringify(many ? [event] : event);
      const own = many ? batch : structured;
      const sent: Record<string, string> = { 'content-type': sound === 'body' ? own : type };
      for (const [name, value] of Object.entries(headers)) sent[`ce-${name}`] = value;
      if (sound === 'fields') Object.assign(sent, fields, { 'ce-id': `f${cut}` });
      const answer = await post({ headers: sent, raw: cut < 4 ? json.slice(0, -1 - cut) : json }, 'nonsense');
      t.true(answer.status < 500, `${answer.status} ${JSON.stringify(sent)} ${json}`);
      const { position } = answer.body as { position?: string };
      if (position === undefined) return;
      taken++;
      for (const query of ['', '?mode=structured', '?mode=binary'])
        t.is((await call(hub.url, 'GET', `/messages/${position}${query}`)).status, 200);
    }),
    seeded,
  );
  t.true(taken > 10, `${taken} were taken`);
});
