import type { ErrorCode } from '../../src/errors.ts';

/**
 * What comes back: the statuses and codes of the answers in order. `closed` at the end: the connection ends, by the hub;
 * otherwise it goes on, and the next request on it is answered as itself.
 */
export type Expected = readonly (ErrorCode | number | 'closed')[];
export type RawRequest = readonly [what: string, bytes: string | Buffer, expected: Expected];

/** What must never be done, wherever it stands. */
export const smuggled = [
  'PUT /state/smuggled HTTP/1.1',
  'Host: localhost',
  'Content-Type: application/json',
  'Content-Length: 11',
  '',
  '{"value":1}',
].join('\r\n');

const refused: Expected = ['bad_request', 'closed'];
const lines = (...all: readonly string[]): string => `${all.join('\r\n')}\r\n\r\n`;
const get = (...fields: readonly string[]): string =>
  lines('GET /health/live HTTP/1.1', 'Host: localhost', ...fields);
const target = (text: string, method = 'GET'): string =>
  lines(`${method} ${text} HTTP/1.1`, 'Host: localhost');
const post = (body: string, ...fields: readonly string[]): string =>
  lines('PUT /state/raw HTTP/1.1', 'Host: localhost', 'Content-Type: application/json', ...fields) + body;
const chunks = (body: string, ...fields: readonly string[]): string =>
  post(body, 'Transfer-Encoding: chunked', ...fields);
const value = '{"value":1}';
/** The value as one chunk, and the end. */
const chunked = `b\r\n${value}\r\n0\r\n\r\n`;
const upgrade = (...fields: readonly string[]): string =>
  lines('GET /ws HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket', ...fields);
const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Where one request ends and the next begins (RFC 9112, sections 6 and 11.2): of two readings none may be taken. */
const framing: readonly RawRequest[] = [
  [
    'a length and chunks, the length first',
    post(`0\r\n\r\n${smuggled}`, 'Content-Length: 5', 'Transfer-Encoding: chunked'),
    refused,
  ],
  [
    'chunks and a length, the chunks first',
    post(`0\r\n\r\n${smuggled}`, 'Transfer-Encoding: chunked', 'Content-Length: 5'),
    refused,
  ],
  [
    'a length for a proxy that does not see the chunks',
    post(`5c\r\n${smuggled}\r\n0\r\n\r\n`, 'Content-Length: 4', 'Transfer-Encoding: chunked'),
    refused,
  ],
  [
    'chunks behind a space',
    post(`0\r\n\r\n${smuggled}`, 'Content-Length: 5', 'Transfer-Encoding : chunked'),
    refused,
  ],
  [
    'chunks behind a tab',
    post(`0\r\n\r\n${smuggled}`, 'Content-Length: 5', 'Transfer-Encoding:\tchunked'),
    refused,
  ],
  [
    'chunks in a vertical tab',
    post(`0\r\n\r\n${smuggled}`, 'Content-Length: 5', 'Transfer-Encoding:\x0bchunked'),
    refused,
  ],
  [
    'chunks behind a folded line',
    post(`0\r\n\r\n${smuggled}`, 'Content-Length: 5', 'Transfer-Encoding:\r\n chunked'),
    refused,
  ],
  ['xchunked', post(smuggled, 'Transfer-Encoding: xchunked'), refused],
  ['chunked in quotes', post(smuggled, 'Transfer-Encoding: "chunked"'), refused],
  ['chunked twice', chunks(chunked + smuggled, 'Transfer-Encoding: chunked'), refused],
  ['chunked, chunked', post(chunked + smuggled, 'Transfer-Encoding: chunked, chunked'), refused],
  ['chunked and then identity', post(chunked + smuggled, 'Transfer-Encoding: chunked, identity'), refused],
  ['chunked and identity in two fields', chunks(chunked + smuggled, 'Transfer-Encoding: identity'), refused],
  ['identity alone', post(smuggled, 'Transfer-Encoding: identity'), refused],
  ['gzip behind chunked', post(chunked + smuggled, 'Transfer-Encoding: chunked, gzip'), refused],
  ['chunks with an empty element', post(chunked + smuggled, 'Transfer-Encoding: , chunked'), refused],
  ['no coding at all', post(smuggled, 'Transfer-Encoding:'), refused],
  [
    'chunks in HTTP/1.0',
    lines(
      'PUT /state/raw HTTP/1.0',
      'Host: localhost',
      'Content-Type: application/json',
      'Transfer-Encoding: chunked',
    ) +
      chunked +
      smuggled,
    refused,
  ],
  ['two lengths that differ', post(value + smuggled, 'Content-Length: 11', 'Content-Length: 0'), refused],
  ['the same length twice', post(value, 'Content-Length: 11', 'Content-Length: 11'), refused],
  ['two lengths in one field', post(value + smuggled, 'Content-Length: 11, 0'), refused],
  ['the same length twice in one field', post(value, 'Content-Length: 11, 11'), refused],
  ['a length with a plus', post(value + smuggled, 'Content-Length: +11'), refused],
  ['a length below nothing', post(smuggled, 'Content-Length: -1'), refused],
  ['a length with a space inside', post(value + smuggled, 'Content-Length: 1 1'), refused],
  ['a length in hex', post(value + smuggled, 'Content-Length: 0xb'), refused],
  ['a length with an exponent', post(value + smuggled, 'Content-Length: 1e1'), refused],
  ['a length with a fraction', post(value + smuggled, 'Content-Length: 11.0'), refused],
  ['a length that is empty', post(smuggled, 'Content-Length:'), refused],
  ['a length of 2^64', post(smuggled, 'Content-Length: 18446744073709551616'), refused],
  ['a length of 2^64 + 11', post(value + smuggled, 'Content-Length: 18446744073709551627'), refused],
  [
    'a length in letters of another script',
    latin1(post(value + smuggled, 'Content-Length: \xb9\xb9')),
    refused,
  ],
  ['a length behind a space', post(value + smuggled, 'Content-Length : 11'), refused],
  ['a length behind a NUL', post(value + smuggled, 'Content-Length: 11\0'), refused],
  ['a length with a zero in front', post(value, 'Content-Length: 011'), [200]],
  [
    'a GET with a body that is a request',
    lines('GET /health/live HTTP/1.1', 'Host: localhost', `Content-Length: ${smuggled.length}`) + smuggled,
    [200],
  ],
  [
    'a GET with chunks that are a request',
    lines('GET /health/live HTTP/1.1', 'Host: localhost', 'Transfer-Encoding: chunked') +
      `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
    [200],
  ],
  [
    'a refused PUT with a body that is a request',
    lines('PUT /nowhere HTTP/1.1', 'Host: localhost', `Content-Length: ${smuggled.length}`) + smuggled,
    ['not_found'],
  ],
  ['a body longer than its length', post(`${value}nonsense`, 'Content-Length: 11'), ['closed']],
  ['chunks of a size that overflows', chunks(`fffffffffffffffff\r\n${value}\r\n0\r\n\r\n`), refused],
  ['chunks of a size below nothing', chunks(`-1\r\n${value}\r\n0\r\n\r\n${smuggled}`), refused],
  ['chunks of a size with a plus', chunks(`+b\r\n${value}\r\n0\r\n\r\n${smuggled}`), refused],
  ['chunks of a size in 0x', chunks(`0xb\r\n${value}\r\n0\r\n\r\n${smuggled}`), refused],
  ['chunks of a size with spaces in front', chunks(`  b\r\n${value}\r\n0\r\n\r\n${smuggled}`), refused],
  ['chunks of a size with a space behind', chunks(`b \r\n${value}\r\n0\r\n\r\n${smuggled}`), refused],
  ['chunks of no size', chunks(`\r\n${value}\r\n0\r\n\r\n${smuggled}`), refused],
  ['chunks of a size that is no number', chunks(`many\r\n${value}`), refused],
  ['a size that ends in LF alone', chunks(`b\n${value}\r\n0\r\n\r\n${smuggled}`), refused],
  ['a size that ends in CR alone', chunks(`b\r${value}\r\n0\r\n\r\n${smuggled}`), refused],
  ['a chunk without its CRLF', chunks(`b\r\n${value}0\r\n\r\n${smuggled}`), refused],
  ['a chunk that ends in LF alone', chunks(`b\r\n${value}\n0\r\n\r\n${smuggled}`), refused],
  ['a chunk longer than its size', chunks(`a\r\n${value}\r\n0\r\n\r\n${smuggled}`), refused],
  ['a chunk shorter than its size', chunks(`c\r\n${value}\r\n0\r\n\r\n${smuggled}`), refused],
  ['an extension that is a line of its own', chunks(`b;a=\n${value}\r\n0\r\n\r\n${smuggled}`), refused],
  ['an extension', chunks(`b;a=b;c="d"\r\n${value}\r\n0\r\n\r\n`), [200]],
  [
    'extensions without end',
    chunks(`b${';a=b'.repeat(20_000)}\r\n${value}\r\n0\r\n\r\n`),
    ['too_large', 'closed'],
  ],
  ['trailers that name another length', chunks(`b\r\n${value}\r\n0\r\nContent-Length: 99\r\n\r\n`), refused],
  [
    'trailers without end',
    chunks(`b\r\n${value}\r\n0\r\n${'X-A: b\r\n'.repeat(5_000)}\r\n`),
    ['headers_too_large', 'closed'],
  ],
  ['trailers that are a request', chunks(`b\r\n${value}\r\n0\r\n${smuggled}`), refused],
];

/** Lines, fields and their characters (RFC 9112, sections 2.2 and 5; RFC 9110, section 5.5). */
const fields: readonly RawRequest[] = [
  ['no Host', lines('GET /health/live HTTP/1.1'), ['bad_request']],
  ['no Host in HTTP/1.0', lines('GET /health/live HTTP/1.0'), refused],
  ['an empty Host', lines('GET /health/live HTTP/1.1', 'Host:'), ['protected_mode']],
  ['two Hosts', get('Host: elsewhere.example'), refused],
  ['the same Host twice', get('Host: localhost'), refused],
  ['a Host from elsewhere', lines('GET /state HTTP/1.1', 'Host: elsewhere.example'), ['protected_mode']],
  ['a Host with a path', lines('GET /state HTTP/1.1', 'Host: localhost/elsewhere'), refused],
  ['a Host with a user', lines('GET /state HTTP/1.1', 'Host: localhost@elsewhere.example'), refused],
  ['a Host of two names', lines('GET /state HTTP/1.1', 'Host: localhost, elsewhere.example'), refused],
  ['a Host with a port that is none', lines('GET /state HTTP/1.1', 'Host: localhost:many'), refused],
  ['a folded Host', lines('GET /state HTTP/1.1', 'Host: localhost\r\n elsewhere.example'), refused],
  ['a folded field', get('X-A: b\r\n c'), refused],
  ['a field folded by a tab', get('X-A: b\r\n\tc'), refused],
  [
    'a first field that begins with a space',
    lines('GET /health/live HTTP/1.1', ' X-A: b', 'Host: localhost'),
    refused,
  ],
  ['a space before the colon', get('X-A : b'), refused],
  ['a field of no name', get(': b'), refused],
  ['a field of no colon', get('X-A'), refused],
  ['a name with a space', get('X A: b'), refused],
  ['a name with a NUL', get('X\0A: b'), refused],
  ['a name with a bracket', get('X(A): b'), refused],
  ['a name with a letter beyond ASCII', latin1(get('X-\xc4: b')), refused],
  ['a value with a NUL', get('X-A: b\0c'), refused],
  ['a value with a control character', get('X-A: b\x01c'), refused],
  ['a value with DEL', get('X-A: b\x7fc'), refused],
  ['a value with a CR', get('X-A: b\rX-B: c'), refused],
  ['a value with an LF', get(`X-A: b\n${smuggled}`), refused],
  ['a value beyond ASCII', latin1(get('X-A: \xe4\xf6')), [200]],
  ['lines that end in LF', 'GET /health/live HTTP/1.1\nHost: localhost\n\n', refused],
  ['a header that ends in LF', 'GET /health/live HTTP/1.1\r\nHost: localhost\r\n\n', refused],
  ['lines that end in CR', 'GET /health/live HTTP/1.1\rHost: localhost\r\r', refused],
  ['a CR too many', 'GET /health/live HTTP/1.1\r\r\nHost: localhost\r\n\r\n', refused],
  ['an empty line in front', `\r\n${get()}`, [200]],
  ['900 fields', get(...Array.from({ length: 900 }, (_, n) => `X-${n}: a`)), [200]],
  [
    '1,001 fields',
    get(...Array.from({ length: 1_000 }, (_, n) => `X-${n}: a`)),
    ['headers_too_large', 'closed'],
  ],
  [
    '5,000 fields',
    get(...Array.from({ length: 5_000 }, (_, n) => `X-${n}: a`)),
    ['headers_too_large', 'closed'],
  ],
  ['a field of 20,000 characters', get(`X-A: ${'b'.repeat(20_000)}`), ['headers_too_large', 'closed']],
  ['a name of 20,000 characters', get(`${'X'.repeat(20_000)}: b`), ['headers_too_large', 'closed']],
  ['fields of prototypes', get('__proto__: a', 'constructor: b', 'toString: c', 'hasOwnProperty: d'), [200]],
  ['an expectation that is none', get('Expect: the unexpected'), [200]],
  [
    'a field that names the body as hop by hop',
    post(value, 'Content-Length: 11', 'Connection: Content-Length'),
    [200],
  ],
  ['a field that takes the method over', get('X-HTTP-Method-Override: DELETE'), [200]],
  ['a field that takes the path over', get('X-Original-URL: /state', 'X-Rewrite-URL: /state'), [200]],
  [
    'a forwarding field',
    lines('GET /state HTTP/1.1', 'Host: localhost', 'X-Forwarded-For: 127.0.0.1'),
    ['protected_mode'],
  ],
  ['a body in gzip', post(value, 'Content-Length: 11', 'Content-Encoding: gzip'), ['unsupported_media_type']],
  ['a body of two media types', post(value, 'Content-Length: 11', 'Content-Type: text/plain'), [200]],
];

/** Request lines: methods, targets and versions (RFC 9112, section 3). */
const requestLines: readonly RawRequest[] = [
  ['another host as the target', target('http://elsewhere.example/state'), refused.slice(0, 1)],
  ['this host as the target', target('http://localhost/health/live'), ['bad_request']],
  ['a target of another scheme', target('file:///etc/passwd'), ['bad_request']],
  ['an authority as the target', target('localhost:80'), refused],
  ['two slashes', target('//elsewhere.example/state'), ['not_found']],
  ['a backslash', target('\\state'), refused],
  ['an asterisk', target('*'), ['bad_request']],
  ['OPTIONS of an asterisk', target('*', 'OPTIONS'), ['bad_request']],
  ['an empty target', 'GET  HTTP/1.1\r\nHost: localhost\r\n\r\n', refused],
  ['a target with a space', target('/state/a b'), refused],
  ['a target with a NUL', target('/state/a\0b'), refused],
  ['a target with a control character', target('/state/a\x01b'), refused],
  ['a target with a tab', target('/state/a\tb'), refused],
  ['a target with CRLF', target('/state/a\r\nX-A: b'), refused],
  ['a target with a letter beyond ASCII', latin1(target('/state/\xe4')), refused],
  ['a fragment', target('/health/live#/state'), ['bad_request']],
  ['a NUL by percent', target('/state/%00'), ['invalid']],
  ['CRLF by percent', target('/state/%0d%0aX-A:%20b'), ['invalid']],
  ['dots by percent', target('/state/%2e%2e/health'), ['not_found']],
  ['dots', target('/state/../health/live'), ['not_found']],
  ['dots through the proxy', target('/proxy/a/../../health/live'), ['service_not_found']],
  ['a slash by percent', target('/health%2Flive'), ['not_found']],
  ['an overlong slash', target('/state/%c0%af'), ['bad_request']],
  ['an overlong NUL', target('/state/%c0%80'), ['bad_request']],
  ['a surrogate by percent', target('/state/%ed%a0%80'), ['bad_request']],
  ['a percent that is none', target('/state/%'), ['bad_request']],
  ['a percent in another way', target('/state/%u0041'), ['bad_request']],
  ['a percent twice', target('/state/%252e%252e'), ['not_found']],
  ['a parameter of a path', target('/health;a=b/live'), ['not_found']],
  ['a URL of 9,000 characters', target(`/state/${'a'.repeat(9_000)}`), ['uri_too_long']],
  ['a URL of 20,000 characters', target(`/state/${'a'.repeat(20_000)}`), ['uri_too_long', 'closed']],
  ['a method in lower case', target('/health/live', 'get'), refused],
  ['a method that nobody knows', target('/health/live', 'FETCH'), refused],
  ['a method of 20,000 letters', target('/health/live', 'G'.repeat(20_000)), refused],
  ['TRACE', target('/health/live', 'TRACE'), ['method_not_allowed']],
  ['CONNECT', target('localhost:80', 'CONNECT'), ['closed']],
  ['CONNECT of a path', target('/state', 'CONNECT'), ['closed']],
  ['PRI', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', refused],
  ['HTTP/0.9', 'GET /health/live\r\n\r\n', refused],
  ['HTTP/2.0', lines('GET /health/live HTTP/2.0', 'Host: localhost'), refused],
  ['HTTP/3.0', lines('GET /health/live HTTP/3.0', 'Host: localhost'), refused],
  ['HTTP/1.2', lines('GET /health/live HTTP/1.2', 'Host: localhost'), refused],
  ['HTTP/11', lines('GET /health/live HTTP/11', 'Host: localhost'), refused],
  ['http/1.1', lines('GET /health/live http/1.1', 'Host: localhost'), refused],
  ['ICE/1.0', lines('SOURCE /health/live ICE/1.0', 'Host: localhost'), ['method_not_allowed', 'closed']],
  ['RTSP/1.0', lines('DESCRIBE /health/live RTSP/1.0', 'Host: localhost'), ['method_not_allowed', 'closed']],
  ['a tab for a space', lines('GET\t/health/live\tHTTP/1.1', 'Host: localhost'), refused],
  ['two spaces', lines('GET  /health/live HTTP/1.1', 'Host: localhost'), [200]],
  ['a space behind the version', lines('GET /health/live HTTP/1.1 ', 'Host: localhost'), refused],
  ['a version by two spaces', lines('GET /health/live  HTTP/1.1', 'Host: localhost'), [200]],
  ['a TLS handshake', Buffer.from('16030100c8010000c40303', 'hex'), refused],
  ['an SSH greeting', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', refused],
  ['a proxy protocol line', `PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n${get()}`, refused],
  ['zeros', Buffer.alloc(1_000), refused],
];

/** Several on one connection, and connections that become something else. */
const connections: readonly RawRequest[] = [
  ['two good requests at once', get() + get(), [200, 200]],
  ['nonsense behind a good request', `${get()}nonsense\r\n\r\n`, ['closed']],
  ['a request behind one that closes', `${get('Connection: close')}${smuggled}`, ['closed']],
  [
    'HTTP/1.0 that goes on',
    `${lines('GET /health/live HTTP/1.0', 'Host: localhost', 'Connection: keep-alive')}`,
    [200],
  ],
  [
    'an offer of HTTP/2',
    get('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'),
    [200],
  ],
  ['an offer of a socket and of HTTP/2', get('Connection: Upgrade', 'Upgrade: h2c, websocket'), [200]],
  ['an upgrade without a key', upgrade('Sec-WebSocket-Version: 13'), ['bad_request', 'closed']],
  [
    'an upgrade with a key that is none',
    upgrade('Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: short'),
    ['bad_request', 'closed'],
  ],
  ['an upgrade of another version', upgrade('Sec-WebSocket-Version: 7', key), ['bad_request', 'closed']],
  ['an upgrade without a version', upgrade(key), ['bad_request', 'closed']],
  [
    'an upgrade by POST',
    upgrade('Sec-WebSocket-Version: 13', key).replace('GET', 'POST'),
    ['method_not_allowed', 'closed'],
  ],
  [
    'an upgrade of another path',
    upgrade('Sec-WebSocket-Version: 13', key).replace('/ws', '/state'),
    ['not_found', 'closed'],
  ],
  [
    'an upgrade with a foreign origin',
    upgrade('Sec-WebSocket-Version: 13', key, 'Origin: https://elsewhere.example'),
    ['protected_mode', 'closed'],
  ],
  [
    'an upgrade with a length and chunks',
    upgrade('Sec-WebSocket-Version: 13', key, 'Content-Length: 1', 'Transfer-Encoding: chunked'),
    refused,
  ],
  [
    'an upgrade that is refused, with a request behind it',
    upgrade('Sec-WebSocket-Version: 13') + smuggled,
    ['bad_request', 'closed'],
  ],
];

export const rawRequests: readonly RawRequest[] = [...framing, ...fields, ...requestLines, ...connections];

/** Requests that never become whole: each ends when its time is over. */
export const unfinished: readonly RawRequest[] = [
  ['half a request line', 'GET /health', ['request_timeout', 'closed']],
  ['half a header', 'GET /health/live HTTP/1.1\r\nHost: local', ['request_timeout', 'closed']],
  [
    'a header without its empty line',
    'GET /health/live HTTP/1.1\r\nHost: localhost\r\n',
    ['request_timeout', 'closed'],
  ],
  ['a body shorter than its length', post('{"value":', 'Content-Length: 11'), ['request_timeout', 'closed']],
  [
    'a body whose length counts what should be the next request',
    post(value, 'Content-Length: 900') + smuggled,
    ['request_timeout', 'closed'],
  ],
  ['a chunk of a size of 2^63', chunks(`8000000000000000\r\n${value}`), ['request_timeout', 'closed']],
  ['chunks without an end', chunks(`b\r\n${value}\r\n`), ['request_timeout', 'closed']],
  [
    'a body that waits to be asked for, too large',
    post('', 'Content-Length: 1048577', 'Expect: 100-continue'),
    ['too_large', 'closed'],
  ],
  ['nothing at all', '', ['closed']],
];
