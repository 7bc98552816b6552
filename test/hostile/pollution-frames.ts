import { add, constructed, type Payload, proto, type Way, websocket, zeromq } from './pollution-ways.ts';

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

export const framePayloads: readonly Payload[] = [
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
