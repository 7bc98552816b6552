import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import test from 'ava';
import { operationOf } from '../../src/gateway/documents/openapi.ts';
import { sections } from '../../src/gateway/documents/sections.ts';
import { restOperations } from '../../src/gateway/operations/rest.ts';
import { openHub } from '../support/hub.ts';
import { createSchemaCheck, pointerOf } from '../support/schema-check.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs } from '../support/ws-client.ts';
import { call } from './client.ts';

type Json = Readonly<Record<string, unknown>>;
type Parameter = {
  readonly $ref?: string;
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly example?: unknown;
  readonly schema?: { readonly examples?: readonly unknown[] };
};
type Operation = {
  readonly operationId: string;
  readonly security?: readonly unknown[];
  readonly parameters: readonly Parameter[];
  readonly requestBody?: {
    readonly content: Readonly<
      Record<string, { readonly examples?: Readonly<Record<string, { readonly value: unknown }>> }>
    >;
  };
  readonly responses: Readonly<
    Record<string, { readonly headers?: Json; readonly content?: Readonly<Record<string, unknown>> }>
  >;
};
type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

const hub = await openHub({ jwtSecret, allowedTargets: ['127.0.0.0/8'] });
const admin = { authorization: `Bearer ${signToken('ann', 'admin')}` };

/** A service that adds, at the address that the examples register. */
const adder = createServer((request, response) => {
  let text = '';
  request.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  request.on('end', () => {
    const { a = 0, b = 0 } = text === '' ? {} : (JSON.parse(text) as { a?: number; b?: number });
    response.setHeader('content-type', 'application/json').end(JSON.stringify(a + b));
  });
});
await new Promise<void>((resolve) => adder.listen(0, '127.0.0.1', resolve));

const answered = await call(hub.url, 'GET', '/openapi.json', { headers: admin });
const source = answered.text;
const document = JSON.parse(source) as { readonly paths: Paths; readonly components: Json };
const check = createSchemaCheck(document);

test.after.always(async () => {
  await hub.close();
  adder.close();
});

test('the OpenAPI document › has no error and no warning of a validator', async (t) => {
  const config = await createConfig({ extends: ['recommended'] });
  const problems = await lintFromString({ source, config, absoluteRef: '/openapi.json' });
  t.deepEqual(
    problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer]),
    [],
  );
});

test('the OpenAPI document › describes each operation of the catalogue, and no other', (t) => {
  const described = new Set<unknown>();
  for (const { operations } of sections) {
    for (const name of Object.keys(operations)) {
      const operation = operationOf(name);
      t.truthy(operation, name);
      described.add(operation);
    }
  }
  t.deepEqual(
    restOperations
      .filter((operation) => !described.has(operation))
      .map(({ method, path }) => `${method} ${path}`),
    [],
  );
});

test('the OpenAPI document › needs a token, is kept by its entity tag, and names no host', async (t) => {
  t.is(answered.status, 200);
  t.is((await call(hub.url, 'GET', '/openapi.json')).status, 401);
  const again = await call(hub.url, 'GET', '/openapi.json', {
    headers: { ...admin, 'if-none-match': answered.headers.etag ?? '' },
  });
  t.is(again.status, 304);
  const elsewhere = await call(hub.url, 'GET', '/openapi.json', {
    headers: { ...admin, host: 'evil.example' },
  });
  t.false(elsewhere.text.includes('evil.example'));
  t.regex(source, /"servers":\[\{"url":"\/"\}\]/);
});

/** What only the run can know, by operation: told by the answers before. */
type Known = {
  port: number;
  apiKey: string;
  position: string;
  replyTo: string;
  replayId: string;
  deliveries: string[];
};

const known: Known = {
  apiKey: '',
  port: (adder.address() as AddressInfo).port,
  position: '',
  replyTo: '',
  replayId: '',
  deliveries: [],
};
const settlements = ['extend', 'ack', 'nak', 'term'];

const learn = (id: string, body: unknown): void => {
  const told = body as {
    id?: string;
    position?: string;
    replayId?: string;
    deliveries?: { delivery: string }[];
  };
  if (id === 'publishEvent') known.position = told.position ?? '';
  if (id === 'createApiKey') known.apiKey = told.id ?? '';
  if (id === 'replay') known.replayId = told.replayId ?? '';
  if (id === 'pull') known.deliveries = (told.deliveries ?? []).map(({ delivery }) => delivery);
};

const filledBody = (id: string, value: unknown): unknown => {
  const fields = value as Json;
  if (id === 'registerService' && fields.port !== undefined) return { ...fields, port: known.port };
  if (id === 'reply') return { ...fields, replyTo: known.replyTo };
  if (settlements.includes(id)) {
    // To extend a delivery leaves it: the next takes the same one.
    const delivery = id === 'extend' ? known.deliveries[0] : known.deliveries.shift();
    return { ...fields, deliveries: [delivery] };
  }
  return value;
};

const filledPath = (id: string, name: string, example: unknown): string => {
  if (id === 'readMessage') return known.position;
  if (id.endsWith('ApiKey')) return known.apiKey;
  if (id === 'stopReplay' && name === 'replayId') return known.replayId;
  return String(example);
};

const exampleOf = ({ example, schema }: Parameter): unknown => example ?? schema?.examples?.[0];

type Sent = {
  readonly method: string;
  readonly path: string;
  readonly template: string;
  readonly operation: Operation;
  readonly url: string;
  readonly type?: string;
  readonly body?: unknown;
};

/** Every request that the operation has an example of: without what may be left out, then with each parameter by itself. */
function* requestsOf(name: string): Generator<Sent> {
  const [method = '', path = ''] = name.split(' ');
  const template = operationOf(name)?.path ?? '';
  const operation = document.paths[template]?.[method.toLowerCase()];
  if (operation === undefined) throw new Error(`${name} is not in the document`);
  const { operationId: id, parameters, requestBody } = operation;
  const inPath = (): string =>
    path.replace(/\{(\w+)\}/g, (_, part: string) => {
      const parameter = parameters.find((one) => one.in === 'path' && one.name === part);
      return encodeURIComponent(filledPath(id, part, parameter?.example));
    });
  const queries = parameters.filter((one) => one.in === 'query' && exampleOf(one) !== undefined);
  const textOf = (one: Parameter) => String([exampleOf(one)].flat()[0]);
  const needed = queries.filter(({ required }) => required).map((one) => [one.name, textOf(one)]);
  const optional = queries.filter(({ required }) => !required).map((one) => [[one.name, textOf(one)]]);
  const bodies = Object.entries(requestBody?.content ?? {}).flatMap(([type, { examples = {} }]) =>
    Object.values(examples).map(({ value }) => ({ type, value })),
  );
  for (const query of [[], ...optional]) {
    const parts = [...needed, ...query];
    const search = parts.length === 0 ? '' : `?${new URLSearchParams(parts as [string, string][])}`;
    if (bodies.length === 0) yield { method, path, template, operation, url: inPath() + search };
    for (const { type, value } of bodies) {
      const body = filledBody(id, value);
      yield { method, path, template, operation, url: inPath() + search, type, body };
    }
  }
}

const send = async ({ method, url, type, body }: Sent, headers: Readonly<Record<string, string>> = {}) =>
  call(hub.url, method, url, {
    headers: { ...admin, ...(type === undefined ? {} : { 'content-type': type }), ...headers },
    ...(body === undefined ? {} : { raw: JSON.stringify(body) }),
  });

/** Fields that only some answers have. */
const sometimes = ['idempotent-replayed', 'link', 'retry-after'];

const faultsOf = (
  { template, method, operation }: Sent,
  answer: Awaited<ReturnType<typeof call>>,
): readonly string[] => {
  const { status, headers, text } = answer;
  const described = operation.responses[status];
  if (described === undefined) return [`${status} is not among the answers: ${text}`];
  const faults: string[] = [];
  if (status >= 400) faults.push(`${status}: ${text}`);
  for (const name of Object.keys(described.headers ?? {})) {
    const field = name.toLowerCase();
    if (headers[field] === undefined && !sometimes.includes(field)) faults.push(`${name} is missing`);
  }
  if (described.content === undefined) return text === '' ? faults : [...faults, `a body: ${text}`];
  const media = headers['content-type']?.split(';')[0] ?? '';
  const type = '*/*' in described.content ? '*/*' : media;
  if (!(type in described.content)) return [...faults, `${media} is not among the media types`];
  if (!media.includes('json') || media.includes('ndjson')) return faults;
  const pointer = pointerOf(
    'paths',
    template,
    method.toLowerCase(),
    'responses',
    status,
    'content',
    type,
    'schema',
  );
  return [...faults, ...check.faults(pointer, JSON.parse(text))];
};

const names = sections.flatMap(({ operations }) => Object.keys(operations));

test.serial('every example of the OpenAPI document › is answered as the document says', async (t) => {
  const responder = await openWs(hub.url, { headers: admin });
  t.teardown(() => responder.close());
  await responder.ask({ type: 'subscribe', topic: 'sums.*' });
  let sent = 0;
  const faults: string[] = [];
  const perform = async (request: Sent): Promise<void> => {
    const answer = await send(request);
    sent++;
    learn(request.operation.operationId, answer.body);
    for (const fault of faultsOf(request, answer)) {
      const { method, url, body } = request;
      faults.push(`${method} ${url} ${JSON.stringify(body)}: ${fault}`);
    }
  };
  for (const name of names) {
    // Sent where somebody waits for it.
    if (name === 'POST /replies') continue;
    for (const request of requestsOf(name)) {
      if (request.operation.operationId !== 'request') {
        await perform(request);
        continue;
      }
      const replied = responder.waitForType('message').then(async ({ headers }) => {
        known.replyTo = (headers as Readonly<Record<string, string>>)['nexus-reply-to'] ?? '';
        for (const reply of requestsOf('POST /replies')) await perform(reply);
      });
      await Promise.all([perform(request), replied]);
    }
  }
  t.deepEqual(faults, []);
  t.true(sent > 120, `${sent} requests`);
  t.deepEqual(hub.logged, []);
});

/** Requests that no operation can take, by what is wrong with them. */
const wrongs: Readonly<
  Record<string, (sent: Sent) => Sent & { readonly headers?: Readonly<Record<string, string>> }>
> = {
  'a foreign token': (sent) => ({ ...sent, headers: { authorization: 'Bearer x.y.z' } }),
  'a token without scopes': (sent) => ({
    ...sent,
    headers: { authorization: `Bearer ${signToken('bob', '')}` },
  }),
  'a body that is no JSON': (sent) => ({ ...sent, type: sent.type ?? 'application/json', body: undefined }),
  'a body of another type': (sent) => ({ ...sent, type: 'text/plain', body: 'text' }),
  'a body of another shape': (sent) => ({ ...sent, body: [[]] }),
  'an unknown parameter': (sent) => ({ ...sent, url: `${sent.url}?unknown=1` }),
  'another media type': (sent) => ({ ...sent, headers: { accept: 'image/png' } }),
};

test.serial('every problem of an operation › is one that the OpenAPI document tells of', async (t) => {
  const faults: string[] = [];
  const codes = new Set<string>();
  for (const name of names) {
    const [first] = requestsOf(name);
    // What a service answers is its own matter.
    if (first === undefined || name.includes('/proxy/')) continue;
    for (const [wrong, of] of Object.entries(wrongs)) {
      const { headers, ...sent } = of(first);
      const answer = await send(sent, headers);
      if (answer.status < 400) continue;
      const [media = ''] = (answer.headers['content-type'] ?? '').split(';');
      const told = resolved(first.operation.responses[answer.status])?.content?.[media];
      if (told === undefined) faults.push(`${name}, ${wrong}: ${answer.status} as ${media} is not told`);
      if (media !== 'application/problem+json') continue;
      const { code } = answer.body as { readonly code: string };
      codes.add(code);
      if (!JSON.stringify(told).includes(`"${code}"`)) faults.push(`${name}, ${wrong}: ${code} is not told`);
      faults.push(...check.faults('/components/schemas/Problem', answer.body));
    }
  }
  t.deepEqual(faults, []);
  for (const code of ['unauthorized', 'forbidden', 'invalid', 'unsupported_media_type', 'not_acceptable'])
    t.true(codes.has(code), code);
  t.deepEqual(hub.logged, []);
});

type Response = Operation['responses'][string];

const resolved = (response: (Response & { readonly $ref?: string }) | undefined): Response | undefined => {
  if (response?.$ref === undefined) return response;
  const responses = document.components.responses as Readonly<Record<string, Response>>;
  return responses[response.$ref.slice('#/components/responses/'.length)];
};

test.serial('every media type of an answer › is had by asking for it', async (t) => {
  let asked = 0;
  for (const name of names) {
    for (const request of requestsOf(name)) {
      const { operation, method, url, type, body } = request;
      if (method !== 'GET' && operation.operationId !== 'graphql') break;
      for (const media of Object.keys(operation.responses[200]?.content ?? {})) {
        // JSON is what each example has asked for.
        if (media === '*/*' || media === 'application/json') continue;
        const abort = new AbortController();
        const response = await fetch(hub.url + url, {
          method,
          headers: { ...admin, accept: media, ...(type === undefined ? {} : { 'content-type': type }) },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          signal: abort.signal,
        });
        t.is(response.status, 200, `${method} ${url} as ${media}`);
        t.is(response.headers.get('content-type')?.split(';')[0], media, `${method} ${url}`);
        abort.abort();
        asked++;
      }
      // Its parameters need not be those of the other forms.
      break;
    }
  }
  t.true(asked >= 10, String(asked));
});
