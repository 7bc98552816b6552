/** How a payload comes in, and what must come of it: a code of refusal, or the status of an answer that does no harm. */
export type Way =
  | {
      readonly by: 'http';
      readonly method: string;
      readonly path: string;
      readonly type?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly by: 'graphql' | 'websocket' | 'zeromq' };
export type Payload = readonly [what: string, way: Way, text: string | undefined, expected: string | number];

const http = (method: string, path: string, type?: string, headers?: Record<string, string>): Way => ({
  by: 'http',
  method,
  path,
  ...(type === undefined ? {} : { type }),
  ...(headers === undefined ? {} : { headers }),
});
const put = http('PUT', '/state/target');
const merge = http('PATCH', '/state/target', 'application/merge-patch+json');
const patch = http('PATCH', '/state/target', 'application/json-patch+json');
const commands = http('POST', '/commands');
const graphql: Way = { by: 'graphql' };
const websocket: Way = { by: 'websocket' };
const zeromq: Way = { by: 'zeromq' };
const get = (path: string, headers?: Record<string, string>): Way => http('GET', path, undefined, headers);

// Texts, because an object literal would set its prototype.
const proto = '{"__proto__":{"polluted":1}}';
const constructed = '{"constructor":{"prototype":{"polluted":1}}}';
const harmless =
  '{"toString":1,"hasOwnProperty":2,"valueOf":3,"__defineGetter__":4,"__lookupSetter__":5,"then":6}';
const operation = (op: string, path: string, more = ''): string => `[{"op":"${op}","path":"${path}"${more}}]`;
const add = (path: string): string => operation('add', path, ',"value":1');
const mutation = (field: string): string => JSON.stringify({ query: `mutation { ${field} }` });

const bodies: readonly Payload[] = [
  ['a value with __proto__', put, `{"value":${proto}}`, 'bad_json'],
  ['a value with constructor', put, `{"value":${constructed}}`, 'bad_json'],
  ['a value with prototype', put, '{"value":{"prototype":{"polluted":1}}}', 'bad_json'],
  ['__proto__ beside the value', put, '{"__proto__":{"polluted":1},"value":1}', 'bad_json'],
  ['constructor beside the value', put, '{"constructor":1,"value":1}', 'bad_json'],
  ['__proto__ deep in arrays', put, `{"value":[[[${proto}]]]}`, 'bad_json'],
  ['__proto__ in escapes', put, '{"value":{"\\u005f\\u005fproto\\u005f\\u005f":{"polluted":1}}}', 'bad_json'],
  ['__proto__ half in escapes', put, '{"value":{"__pr\\u006fto__":{"polluted":1}}}', 'bad_json'],
  ['constructor in escapes', put, '{"value":{"\\u0063onstructor":{"prototype":{"polluted":1}}}}', 'bad_json'],
  ['__proto__ in the second of two members', put, `{"value":1,"value":${proto}}`, 'bad_json'],
  ['__proto__ that is null', put, '{"value":{"__proto__":null}}', 'bad_json'],
  ['__proto__ for a whole body', put, proto, 'bad_json'],
  ['an array with __proto__ for a body', put, `[${proto}]`, 'bad_json'],
  ['__proto__ as a text', put, '{"value":"__proto__"}', 200],
  ['other names of every object', put, `{"value":${harmless}}`, 200],
  ['a resolver named __proto__', put, '{"value":1,"resolver":"__proto__"}', 'invalid'],
  ['a resolver named constructor', put, '{"value":1,"resolver":"constructor"}', 'invalid'],
  ['a merge patch of __proto__', merge, proto, 'bad_json'],
  ['a merge patch of constructor', merge, `{"a":${constructed}}`, 'bad_json'],
  ['a merge patch of toString', merge, '{"toString":{"polluted":1}}', 200],
  ['a JSON patch to __proto__', patch, add('/__proto__/polluted'), 'patch_failed'],
  ['a JSON patch of __proto__', patch, add('/__proto__'), 'patch_failed'],
  ['a JSON patch to constructor.prototype', patch, add('/constructor/prototype/polluted'), 'patch_failed'],
  ['a JSON patch of prototype', patch, add('/prototype'), 'patch_failed'],
  ['a JSON patch below a list', patch, add('/list/__proto__/polluted'), 'patch_failed'],
  ['a JSON patch of the length of a list', patch, add('/list/length'), 'patch_failed'],
  ['a JSON patch of the constructor of a list', patch, add('/list/constructor'), 'patch_failed'],
  ['a JSON patch behind the end of a list', patch, add('/list/-/__proto__'), 'patch_failed'],
  [
    'a JSON patch that moves __proto__',
    patch,
    operation('move', '/a', ',"from":"/__proto__"'),
    'patch_failed',
  ],
  [
    'a JSON patch that copies constructor',
    patch,
    operation('copy', '/a', ',"from":"/constructor"'),
    'patch_failed',
  ],
  [
    'a JSON patch that copies to __proto__',
    patch,
    operation('copy', '/__proto__', ',"from":"/list"'),
    'patch_failed',
  ],
  [
    'a JSON patch that tests __proto__',
    patch,
    operation('test', '/__proto__', ',"value":{}'),
    'patch_failed',
  ],
  ['a JSON patch that removes toString', patch, operation('remove', '/valueOf'), 'patch_failed'],
  [
    'a JSON patch that replaces hasOwnProperty',
    patch,
    operation('replace', '/hasOwnProperty', ',"value":1'),
    'patch_failed',
  ],
  ['a JSON patch whose value is __proto__', patch, operation('add', '/a', `,"value":${proto}`), 'bad_json'],
  [
    'a JSON patch of a member __proto__',
    patch,
    `[{"op":"add","path":"/a","value":1,"__proto__":{"polluted":1}}]`,
    'bad_json',
  ],
  ['a JSON patch of an operation named constructor', patch, operation('constructor', '/a'), 'invalid'],
  [
    'a transaction on __proto__',
    http('POST', '/state'),
    `{"then":[{"op":"patch","format":"json-patch","key":"target","patch":${add('/__proto__/polluted')}}]}`,
    'patch_failed',
  ],
  ['a command named __proto__', commands, '{"type":"__proto__","data":{}}', 'invalid'],
  ['a command named constructor', commands, '{"type":"constructor","data":{}}', 'invalid'],
  ['a command named toString', commands, '{"type":"toString","data":{}}', 'invalid'],
  [
    'a command with __proto__ in its data',
    commands,
    `{"type":"SetState","data":{"key":"target","value":${proto}}}`,
    'bad_json',
  ],
  [
    'the metadata of a service',
    http('POST', '/services'),
    `{"name":"a","version":"1.0.0","host":"127.0.0.1","port":9,"metadata":${proto}}`,
    'bad_json',
  ],
  [
    'the methods of a service',
    http('POST', '/services'),
    `{"name":"a","version":"1.0.0","host":"127.0.0.1","port":9,"methods":${constructed}}`,
    'bad_json',
  ],
  [
    'the schema of a method',
    http('POST', '/services'),
    `{"name":"declared","id":"d","version":"1.0.0","host":"127.0.0.1","port":9,"methods":{"m":{"input":{"$ref":"#/__proto__"}}}}`,
    201,
  ],
  [
    'the schema of a method, compared with the one before',
    http('POST', '/services'),
    `{"name":"declared","id":"d","version":"1.1.0","host":"127.0.0.1","port":9,"methods":{"m":{"input":{"$ref":"#/constructor/prototype"}}}}`,
    'breaking_change',
  ],
  [
    'a snapshot with __proto__',
    http('POST', '/snapshot'),
    '{"target-2":1,"__proto__":{"polluted":1}}',
    'bad_snapshot',
  ],
  [
    'a snapshot with a value of __proto__',
    http('POST', '/snapshot'),
    `{"target-2":${proto}}`,
    'bad_snapshot',
  ],
  [
    'a snapshot with a key named constructor',
    http('POST', '/snapshot'),
    '{"constructor":{"prototype":{"polluted":1}}}',
    'bad_snapshot',
  ],
];

const queries: readonly Payload[] = [
  ['a query of brackets', get('/state?__proto__[polluted]=1'), undefined, 'invalid'],
  ['a query of __proto__', get('/state?__proto__=1'), undefined, 'invalid'],
  ['a query of dots', get('/services?constructor.prototype.polluted=1'), undefined, 'invalid'],
  ['a query of constructor', get('/log?constructor=1'), undefined, 'invalid'],
  ['a capability named __proto__', get('/services?capability=__proto__'), undefined, 200],
  ['a type of events named __proto__', get('/log?type=__proto__'), undefined, 200],
  ['a category named constructor', get('/log?category=constructor'), undefined, 'invalid'],
  ['a prefix of __proto__', get('/state?prefix=__proto__'), undefined, 200],
  ['a section named __proto__', get('/__proto__/a'), undefined, 'not_found'],
  ['a section named constructor', get('/constructor'), undefined, 'not_found'],
  ['the proxy of __proto__', get('/proxy/constructor/a'), undefined, 'service_not_found'],
  [
    'a call of constructor',
    http('POST', '/services/constructor/invoke'),
    '{"method":"toString"}',
    'service_not_found',
  ],
  ['an interface named constructor', get('/interfaces/constructor'), undefined, 'not_found'],
  [
    'header fields of prototypes',
    get('/health/live', { __proto__x: 'a', constructor: 'b', tostring: 'c' }),
    undefined,
    200,
  ],
  [
    'a CloudEvent with an extension of __proto__',
    http('POST', '/events/target.a', 'application/cloudevents+json'),
    '{"specversion":"1.0","id":"1","source":"/a","type":"t","__proto__":"x"}',
    'bad_json',
  ],
  [
    'a CloudEvent with an extension of constructor',
    http('POST', '/events/target.a', 'application/cloudevents+json'),
    '{"specversion":"1.0","id":"2","source":"/a","type":"t","constructor":"x"}',
    'bad_json',
  ],
  [
    'a CloudEvent with data of __proto__',
    http('POST', '/events/target.a', 'application/cloudevents+json'),
    `{"specversion":"1.0","id":"3","source":"/a","type":"t","data":${proto}}`,
    'bad_json',
  ],
  [
    'a CloudEvent whose fields name constructor',
    http('POST', '/events/target.a', 'text/plain', {
      'ce-specversion': '1.0',
      'ce-id': '4',
      'ce-source': '/a',
      'ce-type': 't',
      'ce-constructor': 'x',
    }),
    'a',
    'invalid',
  ],
  [
    'a CloudEvent whose fields name __proto__',
    http('POST', '/events/target.a', 'text/plain', {
      'ce-specversion': '1.0',
      'ce-id': '5',
      'ce-source': '/a',
      'ce-type': 't',
      'ce-__proto__': 'x',
    }),
    'a',
    'invalid',
  ],
  [
    'the headers of a message',
    http('POST', '/events/target.a'),
    '{"payload":1,"headers":{"__proto__":"x"}}',
    'bad_json',
  ],
  [
    'other names in the headers of a message',
    http('POST', '/events/target.a'),
    '{"payload":1,"headers":{"toString":"x","hasOwnProperty":"y"}}',
    201,
  ],
];

const graphqls: readonly Payload[] = [
  [
    'variables of __proto__',
    graphql,
    `{"query":"mutation($v: JSON!) { setState(key: \\"target\\", value: $v) { version } }","variables":{"v":${proto}}}`,
    'bad_json',
  ],
  [
    'variables that are __proto__',
    graphql,
    '{"query":"{ health { status } }","variables":{"__proto__":{"polluted":1}}}',
    'bad_json',
  ],
  ['extensions of __proto__', graphql, `{"query":"{ health { status } }","extensions":${proto}}`, 'bad_json'],
  [
    'extensions of constructor',
    graphql,
    `{"query":"{ health { status } }","extensions":${constructed}}`,
    'bad_json',
  ],
  [
    'an object of __proto__ in the document',
    graphql,
    mutation('setState(key: "target", value: {__proto__: {polluted: 1}}) { version }'),
    'bad_json',
  ],
  [
    'an object of constructor in the document',
    graphql,
    mutation('setState(key: "target", value: {constructor: {prototype: {polluted: 1}}}) { version }'),
    'bad_json',
  ],
  [
    'an object of toString in the document',
    graphql,
    mutation('setState(key: "target", value: {toString: 1}) { version }'),
    200,
  ],
  [
    'a payload of __proto__ as a text',
    graphql,
    mutation(`publishEvent(topic: "target.a", payload: ${JSON.stringify(proto)}) { success }`),
    'bad_json',
  ],
  [
    'an operation named __proto__',
    graphql,
    '{"query":"query a { health { status } } query b { health { status } }","operationName":"__proto__"}',
    'invalid',
  ],
  [
    'an operation named toString',
    graphql,
    '{"query":"query a { health { status } }","operationName":"toString"}',
    'invalid',
  ],
  ['an alias of __proto__', graphql, '{"query":"{ __proto__: health { status } }"}', 200],
  ['an alias of constructor', graphql, '{"query":"{ constructor: health { toString: status } }"}', 200],
  ['a field named __proto__', graphql, '{"query":"{ __proto__ { status } }"}', 'invalid'],
  ['a field named constructor', graphql, '{"query":"{ constructor }"}', 'invalid'],
  [
    'an argument named __proto__',
    graphql,
    '{"query":"{ state(key: \\"target\\", __proto__: 1) { key } }"}',
    'invalid',
  ],
  [
    'a variable named __proto__',
    graphql,
    '{"query":"query($__proto__: String!) { state(key: $__proto__) { key } }","variables":{}}',
    'invalid',
  ],
  [
    'variables in a URL',
    get(
      `/graphql?query=${encodeURIComponent('{ health { status } }')}&variables=${encodeURIComponent(proto)}`,
      { accept: 'application/json' },
    ),
    undefined,
    'bad_json',
  ],
];

const frames = (way: Way): readonly Payload[] => [
  [
    `${way.by}: a payload of __proto__`,
    way,
    `{"type":"publish","id":1,"topic":"target.a","payload":${proto}}`,
    'bad_json',
  ],
  [
    `${way.by}: a frame of __proto__`,
    way,
    '{"type":"publish","id":1,"topic":"target.a","payload":1,"__proto__":{"polluted":1}}',
    'bad_json',
  ],
  [
    `${way.by}: a frame of constructor`,
    way,
    `{"type":"command","id":1,"command":${constructed}}`,
    'bad_json',
  ],
  [
    `${way.by}: headers of __proto__`,
    way,
    '{"type":"publish","id":1,"topic":"target.a","payload":1,"headers":{"__proto__":"x"}}',
    'bad_json',
  ],
  [`${way.by}: a type of __proto__`, way, '{"type":"__proto__","id":1}', 'invalid'],
  [`${way.by}: a type of constructor`, way, '{"type":"constructor","id":1}', 'invalid'],
  [
    `${way.by}: a type of toString, with a key`,
    way,
    '{"type":"toString","id":1,"idempotencyKey":"k"}',
    'not_supported',
  ],
  [
    `${way.by}: a command of hasOwnProperty`,
    way,
    '{"type":"command","id":1,"command":{"type":"hasOwnProperty","data":{}}}',
    'invalid',
  ],
  [
    `${way.by}: a JSON patch to __proto__`,
    way,
    `{"type":"command","id":1,"command":{"type":"PatchState","data":{"key":"target","format":"json-patch","patch":${add('/__proto__/polluted')}}}}`,
    'patch_failed',
  ],
];

export const payloads: readonly Payload[] = [
  ...bodies,
  ...queries,
  ...graphqls,
  ...frames(websocket),
  ...frames(zeromq),
  [
    'websocket: a subscription named __proto__',
    websocket,
    '{"type":"subscribe","id":1,"topic":"target.>","subscription":"__proto__"}',
    200,
  ],
  [
    'websocket: a subscription named constructor',
    websocket,
    '{"type":"subscribe","id":1,"topic":"target.>","subscription":"constructor"}',
    200,
  ],
  [
    'websocket: the end of a subscription named toString',
    websocket,
    '{"type":"unsubscribe","id":1,"subscription":"toString"}',
    'not_found',
  ],
  [
    'websocket: a group named __proto__',
    websocket,
    '{"type":"subscribe","id":1,"group":"__proto__"}',
    'not_found',
  ],
  [
    'websocket: a delivery named constructor',
    websocket,
    '{"type":"ack","id":1,"delivery":"constructor"}',
    'stale_delivery',
  ],
  [
    'websocket: a service named __proto__',
    websocket,
    '{"type":"heartbeat","id":1,"service":"__proto__"}',
    'not_found',
  ],
];
