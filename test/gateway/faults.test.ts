import { connect } from 'node:net';
import test from 'ava';
import { errorTable } from '../../src/errors.ts';
import { LogError } from '../../src/log/event-log.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { type Answer, type CallOptions, call, exchange } from './client.ts';

let hub: Hub;
test.before(async () => {
  hub = await openHub({ timeouts: { headersMs: 2_000, requestMs: 4_000, checkEveryMs: 50 } });
});
test.after.always(() => hub.close());

const json = { 'content-type': 'application/json' };

/** The members of every problem (RFC 9457), and nothing of the inside of the hub. */
const isProblem = (
  answer: Answer,
  code: keyof typeof errorTable,
  status: number = errorTable[code].status,
): boolean => {
  const body = answer.body as Readonly<Record<string, unknown>> | null;
  return (
    answer.status === status &&
    answer.headers['content-type'] === 'application/problem+json' &&
    (answer.headers['x-request-id'] ?? '') !== '' &&
    body?.code === code &&
    body.status === status &&
    body.title === errorTable[code].title &&
    body.type === `urn:nexus:problem:${code}` &&
    typeof body.detail === 'string' &&
    !/node_modules|\.ts:|at async/.test(answer.text)
  );
};

type Case = readonly [
  what: string,
  code: keyof typeof errorTable,
  method: string,
  path: string,
  options?: CallOptions,
];
const proto = '{"value":{"a":[{"__proto__":{"admin":true}}]}}';
const cases: readonly Case[] = [
  ['an unknown path', 'not_found', 'GET', '/nothing'],
  ['a path of no route in a known section', 'not_found', 'GET', '/services/a/b/c'],
  ['a slash too many', 'not_found', 'GET', '/services/'],
  ['another case', 'not_found', 'GET', '/Services'],
  ['a name of every object', 'not_found', 'GET', '/__proto__'],
  ['a wrong method', 'method_not_allowed', 'POST', '/health'],
  ['a method that nobody serves', 'method_not_allowed', 'TRACE', '/state/a'],
  ['a proxy request', 'bad_request', 'GET', 'http://elsewhere.example/state/a'],
  ['broken percent-encoding in the path', 'bad_request', 'GET', '/state/%zz'],
  ['percent-encoding that is not UTF-8', 'bad_request', 'GET', '/state/%ff'],
  ['broken percent-encoding in the query', 'bad_request', 'GET', '/log?type=%'],
  ['a URL that is too long', 'uri_too_long', 'GET', `/state/${'a'.repeat(9_000)}`],
  ['no JSON', 'bad_json', 'PUT', '/state/a', { headers: json, raw: '{"value":' }],
  ['an empty object for JSON, truncated', 'bad_json', 'PUT', '/state/a', { headers: json, raw: '{' }],
  ['__proto__', 'bad_json', 'PUT', '/state/a', { headers: json, raw: proto }],
  ['65 levels', 'bad_json', 'PUT', '/state/a', { headers: json, raw: `${'['.repeat(65)}${']'.repeat(65)}` }],
  ['no UTF-8', 'bad_json', 'PUT', '/state/a', { headers: json, raw: Buffer.from([0x22, 0xff, 0x22]) }],
  ['no body', 'invalid', 'PUT', '/state/a'],
  ['an array', 'invalid', 'PUT', '/state/a', { json: [] }],
  ['an unknown query parameter', 'invalid', 'GET', '/state?perfix=a'],
  ['a cursor of no page', 'invalid', 'GET', '/state?cursor=abc'],
  [
    'a body that is too large',
    'too_large',
    'PUT',
    '/state/a',
    { headers: json, raw: `"${'a'.repeat(1_048_576)}"` },
  ],
  [
    'a chunked body that is too large',
    'too_large',
    'PUT',
    '/state/a',
    { headers: { ...json, 'transfer-encoding': 'chunked' }, raw: `"${'a'.repeat(3_000_000)}"` },
  ],
  ['a value that no log takes', 'too_large', 'PUT', '/state/a', { json: { value: 'a'.repeat(1_048_000) } }],
  [
    'a form',
    'unsupported_media_type',
    'PUT',
    '/state/a',
    {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      raw: 'value=1',
    },
  ],
  [
    'text',
    'unsupported_media_type',
    'POST',
    '/events/a',
    { headers: { 'content-type': 'text/plain' }, raw: '{}' },
  ],
  ['no media type', 'unsupported_media_type', 'POST', '/commands', { raw: '{}' }],
  [
    'another charset',
    'unsupported_media_type',
    'PUT',
    '/state/a',
    {
      headers: { 'content-type': 'application/json; charset=latin1' },
      raw: '{}',
    },
  ],
  [
    'a compressed body',
    'unsupported_media_type',
    'PUT',
    '/state/a',
    {
      headers: { ...json, 'content-encoding': 'gzip' },
      raw: '{}',
    },
  ],
  ['a media type that nothing has', 'not_acceptable', 'GET', '/state/a', { headers: { accept: 'text/xml' } }],
  ['a live tail of the log', 'not_acceptable', 'GET', '/log', { headers: { accept: 'text/event-stream' } }],
  ['a version that a document never had', 'not_found', 'GET', '/state/a?version=9'],
  ['a service that is not there', 'not_found', 'GET', '/services/a%2Fb'],
];

for (const [what, code, method, path, options] of cases) {
  test(`${method} with ${what} › is ${errorTable[code].status} ${code}`, async (t) => {
    const chunked = options?.headers?.['transfer-encoding'] !== undefined;
    const answer = chunked
      ? await sendChunked(path, options?.raw ?? '')
      : await call(hub.url, method, path, options);
    t.true(isProblem(answer, code), `${answer.status} ${answer.text}`);
  });
}

/** node:http would not send both a length and chunks. */
const sendChunked = async (path: string, raw: string | Buffer): Promise<Answer> => {
  const head = `PUT ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const chunk = `${Buffer.byteLength(raw).toString(16)}\r\n${raw.toString()}\r\n0\r\n\r\n`;
  return parseAnswer(await exchange(hub.port, head + chunk, (text) => text.includes('"code"')));
};

const parseAnswer = (text: string): Answer => {
  const [head = '', body = ''] = text.split('\r\n\r\n', 2);
  const [line = '', ...fields] = head.split('\r\n');
  const headers: Record<string, string> = {};
  for (const field of fields) {
    const colon = field.indexOf(':');
    headers[field.slice(0, colon).toLowerCase()] = field.slice(colon + 1).trim();
  }
  return { status: Number(line.split(' ')[1]), headers, text: body, body: JSON.parse(body) };
};

test('a method that a path does not take › is told which it does', async (t) => {
  const answer = await call(hub.url, 'POST', '/state/a', { json: {} });
  t.is(answer.status, 405);
  t.is(answer.headers.allow, 'HEAD, GET, PUT, PATCH, DELETE, OPTIONS');
});

test('a JSON body › may say its charset, and may come in pieces', async (t) => {
  const headers = { 'content-type': 'Application/JSON; charset="UTF-8"' };
  t.is((await call(hub.url, 'PUT', '/state/charset', { headers, raw: '{"value":"ä"}' })).status, 201);
  const head = 'PUT /state/pieces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
  const chunks = ['{"value":', '"ä', '"}'].map(
    (part) => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`,
  );
  const bytes = `${head}Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n\r\n`;
  t.regex(await exchange(hub.port, bytes, (text) => text.includes('version')), /^HTTP\/1\.1 201 /);
});

for (const [what, bytes, code] of [
  ['no HTTP', 'hello\r\n\r\n', 'bad_request'],
  ['TLS', Buffer.from('16030100c8010000c40303', 'hex'), 'bad_request'],
  ['no Host', 'GET /state/a HTTP/1.1\r\nConnection: close\r\n\r\n', 'bad_request'],
  [
    'a length and chunks',
    'PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'bad_request',
  ],
  [
    'two lengths',
    'PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    'bad_request',
  ],
  [
    'a length that is none',
    'PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n',
    'bad_request',
  ],
  ['a control character in a field', 'GET / HTTP/1.1\r\nHost: localhost\r\nX-A: \x01\r\n\r\n', 'bad_request'],
  ['a URL over 16 KiB', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, 'uri_too_long'],
  [
    'a flood of fields',
    `GET / HTTP/1.1\r\nHost: localhost\r\n${'X-A: b\r\n'.repeat(4_000)}\r\n`,
    'headers_too_large',
  ],
  [
    'a field over 16 KiB',
    `GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ${'b'.repeat(20_000)}\r\n\r\n`,
    'headers_too_large',
  ],
  ['a header that never ends', 'GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ', 'request_timeout'],
  [
    'a body that never comes',
    'PUT /state/slow HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
    'request_timeout',
  ],
  [
    'a chunk that is none',
    'PUT /state/chunk HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    'bad_request',
  ],
] as const) {
  test(`on a raw socket, ${what} › is answered with ${code} and the connection ends`, async (t) => {
    const received = await exchange(hub.port, bytes);
    t.regex(received, new RegExp(`^HTTP/1\\.1 ${errorTable[code].status} `), received);
    t.is((parseAnswer(received).body as { code: string }).code, code);
  });
}

test('an offer of HTTP/2 or an odd expectation › is passed over, and the request answered', async (t) => {
  for (const field of [
    'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA',
    'Expect: the unexpected',
  ]) {
    const bytes = `GET /health/live HTTP/1.1\r\nHost: localhost\r\n${field}\r\n\r\n`;
    t.regex(await exchange(hub.port, bytes, (text) => text.includes('}')), /^HTTP\/1\.1 200 /);
  }
});

test('nonsense behind a request › is never answered in the place of that request', async (t) => {
  let finish = (): void => {};
  const held = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const own = await openHub({
    wrap: (core) => ({ ...core, health: () => held.then(() => core.health()) }),
  });
  t.teardown(() => own.close());
  const bytes = 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nnonsense\r\n\r\n';
  t.is(
    await exchange(own.port, bytes),
    '',
    'the connection ends without an answer that could be taken for it',
  );
  finish();
});

test('a client that breaks off in the middle of its body › disturbs nobody', async (t) => {
  const head =
    'PUT /state/broken HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"value"';
  await new Promise<void>((resolve) => {
    const socket = connect(hub.port, '127.0.0.1', () => socket.write(head, () => socket.destroy()));
    socket.on('close', () => resolve());
  });
  t.is((await call(hub.url, 'GET', '/state/broken')).status, 404);
});

for (const [code, status, retryAfter] of [
  ['log_unavailable', 503, '1'],
  ['log_full', 507, undefined],
  ['too_large', 413, undefined],
  ['log_closed', 503, '5'],
  ['log_failed', 503, '1'],
  ['log_corrupt', 500, undefined],
] as const) {
  test(`a log that fails with ${code} › is told as ${status}`, async (t) => {
    const own = await openHub({
      wrap: (core) => ({
        ...core,
        execute: () => Promise.reject(new LogError(code, `secret of the disk ${code}`)),
      }),
    });
    t.teardown(() => own.close());
    const answer = await call(own.url, 'PUT', '/state/a', { json: { value: 1 } });
    t.is(answer.status, status);
    t.is(answer.headers['retry-after'], retryAfter);
    if (code !== 'too_large') t.notRegex(answer.text, /secret of the disk/);
  });
}

test('what nobody expected › is 500 internal, logged whole and told without a detail', async (t) => {
  const own = await openHub({
    wrap: (core) => ({ ...core, execute: () => Promise.reject(new TypeError('secret of the hub')) }),
  });
  t.teardown(() => own.close());
  const answer = await call(own.url, 'PUT', '/state/a', { json: { value: 1 } });
  t.true(isProblem(answer, 'internal'));
  t.notRegex(answer.text, /secret of the hub/);
  t.regex(JSON.stringify(own.logged), /secret of the hub/);
});

test('X-Request-Id › stands in answers to what never became a request, too', async (t) => {
  t.regex(await exchange(hub.port, 'NOT HTTP\r\n\r\n'), /^HTTP\/1\.1 400 [\s\S]*\r\nx-request-id: \S+\r\n/);
  const upgrade = [
    'GET /nowhere HTTP/1.1',
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'X-Request-Id: req-7',
  ];
  const refused = await exchange(hub.port, `${upgrade.join('\r\n')}\r\n\r\n`);
  t.regex(refused, /^HTTP\/1\.1 404 [\s\S]*\r\nx-request-id: req-7\r\n/);
});

test('X-Request-Id › is the client’s own when it is sane, else a new one', async (t) => {
  const id = async (given: string): Promise<string | undefined> =>
    (await call(hub.url, 'GET', '/health/live', { headers: { 'x-request-id': given } })).headers[
      'x-request-id'
    ];
  t.is(await id('my-id/1'), 'my-id/1');
  for (const given of ['', 'a b', 'a'.repeat(129), '"><script>'])
    t.regex((await id(given)) ?? '', /^[0-9a-f-]{36}$/);
});

test.after('no input › has caused an error in the hub', (t) => {
  const errors = hub.logged.filter(({ level }) => level === 'error');
  t.deepEqual(errors, []);
});
