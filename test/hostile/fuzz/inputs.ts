import * as z from 'zod';
import type { Json } from '../../../domain/event.ts';
import { replySchema, requestSchema } from '../../../src/bus/requests/schemas.ts';
import { commandSchemas } from '../../../src/command/catalog.ts';
import { heartbeatSchema, invokeSchema } from '../../../src/command/service-schemas.ts';
import { pullSchema, replaySchema, settleSchema } from '../../../src/command/subscription-schemas.ts';
import { headersOf, methods, pathOf, type Random } from './nonsense.ts';
import { damaged, goodOf, mutated, type Schema } from './values.ts';

const schemaOf = (schema: z.ZodType): Schema =>
  // What zod writes is a JSON schema.
  z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Schema;

const commands = Object.entries(commandSchemas).map(([type, schema]) => ({ type, schema: schemaOf(schema) }));
const [firstCommand, ...otherCommands] = commands;
if (firstCommand === undefined) throw new Error('there are no commands');
const commandOf = (random: Random): Json => {
  const { type, schema } = random.pick([firstCommand, ...otherCommands]);
  return { type, data: goodOf(random, schema) };
};

type Route = readonly [method: string, path: string, schema: Schema];
const command = (type: keyof typeof commandSchemas): Schema => schemaOf(commandSchemas[type]);
const text: Schema = { type: 'string' };
/** Bodies of routes; a name in the path comes from few, so that they meet. */
const routes: readonly [Route, ...Route[]] = [
  ['POST', '/services', command('RegisterService')],
  ['PATCH', '/services/fuzz-1', command('UpdateService')],
  ['DELETE', '/services/fuzz-2', command('DeregisterService')],
  ['POST', '/services/fuzz-1/heartbeat', schemaOf(heartbeatSchema)],
  ['POST', '/services/math/invoke', schemaOf(invokeSchema)],
  ['PUT', '/state/fuzz', command('SetState')],
  ['PUT', '/state/fuzz%2F1', command('SetState')],
  ['PATCH', '/state/fuzz', {}],
  [
    'PATCH',
    '/state/fuzz',
    {
      type: 'array',
      items: schemaOf(
        z.strictObject({
          op: z.enum(['add', 'test', 'move']),
          path: z.string(),
          from: z.string().optional(),
          value: z.number(),
        }),
      ),
    },
  ],
  ['POST', '/state/fuzz%2Fcount/increment', command('IncrementState')],
  ['POST', '/state', command('TransactState')],
  ['DELETE', '/state/fuzz%2F1', command('DeleteState')],
  ['POST', '/locks/fuzz-lock', command('AcquireLock')],
  ['PUT', '/locks/fuzz-lock', command('RenewLock')],
  ['DELETE', '/locks/fuzz-lock', command('ReleaseLock')],
  ['POST', '/events/fuzz.a', command('PublishMessage')],
  ['POST', '/requests/fuzz.a', schemaOf(requestSchema)],
  ['POST', '/replies', schemaOf(replySchema)],
  ['PUT', '/subscriptions/fuzz-1', command('CreateSubscription')],
  ['POST', '/subscriptions/fuzz-1/pull', schemaOf(pullSchema)],
  ['POST', '/subscriptions/fuzz-1/ack', schemaOf(settleSchema)],
  ['POST', '/subscriptions/fuzz-1/nak', schemaOf(settleSchema)],
  ['POST', '/subscriptions/fuzz-1/term', schemaOf(settleSchema)],
  ['POST', '/subscriptions/fuzz-1/reset', command('ResetSubscription')],
  ['POST', '/subscriptions/fuzz-1/pause', command('PauseSubscription')],
  ['POST', '/subscriptions/fuzz-1/resume', command('ResumeSubscription')],
  ['POST', '/subscriptions/fuzz-1/replay', command('ReplayMessages')],
  ['POST', '/subscriptions/fuzz-1/dead-letters/redrive', command('RedriveDeadLetters')],
  ['POST', '/subscriptions/fuzz-1/dead-letters/discard', command('DiscardDeadLetters')],
  ['PUT', '/retention/fuzz.a', command('SetRetention')],
  ['PUT', '/state-policies/other%2F*', command('SetStatePolicy')],
  ['POST', '/api-keys', command('CreateApiKey')],
  ['POST', '/plugins/absent/enable', command('EnablePlugin')],
  ['POST', '/revoked-tokens', command('RevokeToken')],
  ['POST', '/snapshot', { type: 'object', properties: { fuzz: {}, 'fuzz/3': text } }],
];

export type HttpInput = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
};

/** One in four is as it should be, so that the others meet something. */
const bytesOf = (random: Random, value: Json): Buffer => {
  const made = random.below(4) === 0 ? value : mutated(random, value);
  const bytes = Buffer.from(JSON.stringify(made));
  return random.below(6) === 0 ? damaged(random, bytes) : bytes;
};

const bodyInput = (random: Random): HttpInput => {
  const [method, path, schema] =
    random.below(5) === 0 ? (['POST', '/commands', undefined] as const) : random.pick(routes);
  const value = schema === undefined ? commandOf(random) : goodOf(random, schema);
  // What stands in the path need not stand in the body.
  const {
    name: _name,
    key: _key,
    topic: _topic,
    id: _id,
    pattern: _pattern,
    ...rest
  } = typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as { readonly [key: string]: Json })
    : { name: null };
  const isNamed = method !== 'POST' || !/^\/(?:services|api-keys|replies|commands|state)$/.test(path);
  const own = path.includes('/state/fuzz') && method === 'PATCH' ? value : isNamed ? rest : value;
  const patch = Array.isArray(value) ? 'application/json-patch+json' : 'application/merge-patch+json';
  const type = method === 'PATCH' && path.startsWith('/state/') ? patch : 'application/json';
  const body = bytesOf(random, own);
  const odd = random.below(4) === 0 ? headersOf(random, undefined) : {};
  return { method, path, headers: { 'content-type': type, ...odd }, body };
};

const urlInput = (random: Random): HttpInput => {
  const method = random.pick(methods);
  const body =
    method === 'GET' || method === 'HEAD' || random.below(3) === 0
      ? undefined
      : bytesOf(random, commandOf(random));
  return { method, path: pathOf(random), headers: headersOf(random, undefined), body };
};

const documents = [
  '{ services { id name status capabilities } }',
  '{ state(key: "fuzz") { key value version } states(prefix: "f", first: 3) { key } }',
  'query($k: String!) { stateHistory(key: $k, last: 2) { version value } }',
  'mutation { publishEvent(topic: "fuzz.a", payload: "{\\"a\\": 1}") { success messageId } }',
  'mutation($v: JSON!) { setState(key: "fuzz", value: $v) { version } }',
  'mutation { deleteState(key: "fuzz/1", expectedVersion: 1) { version } }',
  '{ __schema { types { name fields { name args { name } } } } }',
  '{ events(topic: "fuzz.>", first: 5) { position } health { status } subscriptions { name } }',
  'subscription { messages(topic: "fuzz.>") { topic payload position } }',
  'fragment f on Service { id ...f } { services { ...f } }',
  'query a { health { status } } query b { topics { topic } }',
] as const;

const documentInput = (random: Random): HttpInput => {
  const clean = random.pick(documents);
  const words = clean.split(/(?<=[{}()\s])/);
  const at = random.below(words.length);
  let query: string = clean;
  switch (random.below(6)) {
    case 0:
      query = damaged(random, Buffer.from(clean)).toString('latin1');
      break;
    case 1:
      query = words.filter((_, index) => index !== at).join('');
      break;
    case 2:
      query = words
        .map((word, index) => (index === at ? word.repeat(random.pick([2, 20, 2_000])) : word))
        .join('');
      break;
    case 3:
      query = '{a'.repeat(random.pick([5, 13, 3_000])) + clean + '}'.repeat(random.pick([0, 5, 13]));
      break;
    case 4:
      query = clean.replace(
        /"[^"]*"/,
        random.pick([
          '"""',
          '$x',
          '[[[[1]]]]',
          '{a: {b: [1]}}',
          '1e999',
          '"\\ud800"',
          'null',
          `"${'x'.repeat(40_000)}"`,
        ]),
      );
      break;
    default:
  }
  const request: Json = { query, variables: { k: 'fuzz', v: { a: random.below(9) } } };
  const value = random.below(3) === 0 ? mutated(random, request) : request;
  const accept = random.pick([
    'application/json',
    'application/graphql-response+json',
    'text/event-stream',
    '*/*',
    'text/html',
  ]);
  return {
    method: 'POST',
    path: '/graphql',
    headers: { 'content-type': 'application/json', accept },
    body: Buffer.from(JSON.stringify(value)),
  };
};

export const httpInput = (random: Random): HttpInput => {
  const kind = random.below(10);
  return kind < 5 ? bodyInput(random) : kind < 7 ? urlInput(random) : documentInput(random);
};

/** What is sent on a bare socket: a request whose bytes are damaged behind its making. */
export const rawInput = (random: Random): Buffer => {
  const { method, path, headers, body = Buffer.alloc(0) } = httpInput(random);
  const small = body.subarray(0, 4_096);
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const length = small.length + random.pick([0, 0, 0, -1, 1]);
  const head = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${fields.join('')}Content-Length: ${length}\r\n\r\n`;
  return damaged(random, Buffer.concat([Buffer.from(head), small]));
};

const frameSchemas: readonly [Schema, ...Schema[]] = [
  {
    type: 'object',
    properties: {
      type: { const: 'subscribe' },
      topic: text,
      group: { enum: ['fuzz-1'] },
      after: { enum: ['start', 'now', '0'] },
      subscription: { enum: ['a', 'b'] },
    },
    required: ['type', 'topic'],
  },
  {
    type: 'object',
    properties: { type: { const: 'subscribe' }, group: { enum: ['fuzz-1'] }, max: { type: 'integer' } },
    required: ['type', 'group'],
  },
  {
    type: 'object',
    properties: { type: { enum: ['watch'] }, key: text, after: { enum: ['start'] } },
    required: ['type', 'key'],
  },
  {
    type: 'object',
    properties: {
      type: { enum: ['tail'] },
      all: { const: true },
      stream: { enum: ['topic-fuzz.a'] },
      after: { enum: ['start'] },
    },
    required: ['type', 'all'],
  },
  {
    type: 'object',
    properties: {
      type: { enum: ['ack', 'nak', 'term', 'extend'] },
      delivery: { enum: ['d'] },
      delayMs: { type: 'integer' },
    },
    required: ['type', 'delivery'],
  },
  {
    type: 'object',
    properties: { type: { enum: ['unsubscribe', 'finish'] }, subscription: { enum: ['a', 'b'] } },
    required: ['type', 'subscription'],
  },
  {
    type: 'object',
    properties: {
      type: { enum: ['ping', 'auth', 'watchServices', 'serve', 'stopServing', 'callResult', 'callFailed'] },
      token: text,
      service: { enum: ['fuzz-1'] },
      call: { type: 'integer' },
    },
    required: ['type'],
  },
];
const withType = (type: string, schema: Schema): Schema => ({
  ...schema,
  properties: {
    type: { const: type },
    id: { type: 'integer' },
    idempotencyKey: { enum: ['k', 'l'] },
    ...schema.properties,
  },
  required: ['type', 'id', ...(schema.required ?? [])],
});
const writingFrames: readonly [Schema, ...Schema[]] = [
  withType('publish', command('PublishMessage')),
  withType('request', {
    ...schemaOf(requestSchema),
    properties: { ...schemaOf(requestSchema).properties, topic: text },
  }),
  withType('reply', schemaOf(replySchema)),
  withType('heartbeat', {
    ...schemaOf(heartbeatSchema),
    properties: { ...schemaOf(heartbeatSchema).properties, service: { enum: ['fuzz-1'] } },
  }),
  withType('replay', schemaOf(replaySchema)),
];

/** A frame of the protocol of WebSocket and ZeroMQ, as text that may be none. */
export const frameInput = (random: Random): Buffer => {
  const kind = random.below(4);
  if (kind === 0)
    return bytesOf(random, { type: 'command', id: random.below(9), command: commandOf(random) });
  return bytesOf(random, goodOf(random, random.pick(kind === 1 ? writingFrames : frameSchemas)));
};

/** A frame of `graphql-transport-ws`. */
export const graphqlFrame = (random: Random): Buffer => {
  const type = random.pick(['subscribe', 'subscribe', 'complete', 'ping', 'pong', 'connection_init', 'next']);
  return bytesOf(random, {
    type,
    id: String(random.below(5)),
    payload: { query: random.pick(documents), variables: { k: 'a', v: 1 } },
  });
};

/** Bytes in the place of WebSocket frames (RFC 6455, section 5.2): reserved bits and opcodes, no mask, false lengths, pieces. */
export const socketBytes = (random: Random): Buffer => {
  const parts: Buffer[] = [];
  for (let count = 1 + random.below(4); count > 0; count--) {
    const payload = frameInput(random).subarray(0, 120);
    const first =
      (random.below(4) === 0 ? random.below(256) : random.pick([0x81, 0x01, 0x80, 0x82, 0x89, 0x8a, 0x88])) &
      0xff;
    const masked = random.below(4) > 0;
    const length = payload.length + (random.below(6) === 0 ? random.pick([-1, 1, 5]) : 0);
    const head =
      random.below(8) === 0
        ? [first, 0xff, ...Array.from({ length: 8 }, () => random.below(256))]
        : [first, (masked ? 0x80 : 0) | (Math.max(0, length) & 0x7f)];
    // A mask of zeros leaves the payload as it is.
    parts.push(Buffer.from(head), Buffer.alloc(masked ? 4 : 0), payload);
  }
  return Buffer.concat(parts);
};

/** The frames of one message to the ZeroMQ socket. */
export const messageInput = (random: Random): readonly Buffer[] => {
  const frame = frameInput(random);
  switch (random.below(6)) {
    case 0:
      return [Buffer.alloc(0), frame];
    case 1:
      return [frame, Buffer.alloc(0)];
    case 2:
      return Array.from({ length: random.pick([2, 7, 8, 9, 40]) }, () => frame.subarray(0, 64));
    case 3:
      return [damaged(random, frame)];
    default:
      return [frame];
  }
};
