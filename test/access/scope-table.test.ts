import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Position } from '../../domain/event.ts';
import { openZeroMq } from '../../src/bus/zeromq.ts';
import { isCommandType } from '../../src/command/catalog.ts';
import { executableSchema } from '../../src/gateway/graphql/schema.ts';
import { commandOperations } from '../../src/gateway/operations/commands.ts';
import { commandSocketFrames, socketFrames } from '../../src/gateway/operations/frames.ts';
import { graphqlOperations } from '../../src/gateway/operations/graphql.ts';
import type { Operation } from '../../src/gateway/operations/operation.ts';
import { type RestOperation, restOperations } from '../../src/gateway/operations/rest.ts';
import { createLogger } from '../../src/logger.ts';
import type { CommandDone } from '../../src/nexus-core.ts';
import { openHub } from '../support/hub.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs, refusedWs } from '../support/ws-client.ts';
import { type KeyPair, makeKeys, openDealer, openSubscriber } from '../support/zeromq.ts';
import { commandExamples } from './command-examples.ts';
import {
  type CommandExample,
  type Example,
  type FieldExample,
  type FrameExample,
  type RestExample,
  type Trial,
  trialsOf,
  type Who,
} from './example.ts';
import { argumentsOf, fieldExamples } from './field-examples.ts';
import { frameExamples } from './frame-examples.ts';
import { restExamples } from './rest-examples.ts';
import {
  documentOf,
  type Outcome,
  outcomeOfFrame,
  overEventStream,
  overGraphql,
  overRest,
  overTransport,
  type RestRequest,
} from './ways.ts';

const hub = await openHub({ jwtSecret, wsFramesPerSec: 0 });
const folder = await mkdtemp(join(tmpdir(), 'nexus-access-'));
const schema = executableSchema();
test.after.always(async () => {
  await hub.close();
  await rm(folder, { recursive: true, force: true });
});

const context = { subject: { id: 'ada', scopes: ['admin'] }, correlationId: 'access' };
const tokenOf = ({ subject, scopes }: Who): string => signToken(subject, scopes.join(' '));

const prepared = new Map<Example, Promise<readonly CommandDone[]>>();
/** What was there before an example, made once. */
const prepare = (example: Example): Promise<readonly CommandDone[]> => {
  const known = prepared.get(example);
  if (known !== undefined) return known;
  const making = (async () => {
    const done: CommandDone[] = [];
    for (const command of example.setup ?? []) {
      const result = await hub.core.execute(command, context);
      if (!result.ok) throw new Error(`${command.type}: ${result.problem.detail}`);
      done.push(result.value);
    }
    return done;
  })();
  prepared.set(example, making);
  return making;
};

type Send<Kind> = (who: Who, example: Kind, before: readonly CommandDone[]) => Promise<Outcome>;

const tryAll = async <Kind extends Example>(
  t: ExecutionContext,
  name: string,
  trials: readonly Trial<Kind>[],
  send: Send<Kind>,
): Promise<void> => {
  for (const { who, example, refused } of trials) {
    const { code, scope, status } = await send(who, example, await prepare(example));
    const told = `${name}, by ${refused?.what ?? 'its scope'} (${who.scopes.join(' ')})`;
    t.is(code, refused === undefined ? example.code : refused.code, told);
    if (refused?.names === undefined) continue;
    t.true(refused.names.includes(String(scope)), `${told} names ${scope} and not ${refused.names}`);
    if (status >= 400) t.is(status, 403, told);
  }
};

let tags = 0;
const tryRow = async <Kind extends Example>(
  t: ExecutionContext,
  name: string,
  operation: Operation,
  examples: (tag: string) => readonly Kind[],
  send: Send<Kind>,
): Promise<void> => {
  const trials = trialsOf(operation, examples, `${++tags}`);
  await tryAll(t, name, trials, send);
  const tried = new Set(trials.flatMap(({ example }) => example.when ?? []));
  const untried = operation.needs.filter(({ when }) => when !== undefined && !tried.has(when));
  t.deepEqual(untried, [], `${name}: needs without an example`);
};

const requestOf = ({ method, path }: RestOperation, { data }: CommandExample): RestRequest => {
  const left: Record<string, unknown> = { ...data };
  const filled = path.replace(/\{(\w+)\}/g, (_, parameter: string) => {
    // The pattern of a retention is its topic.
    const name = parameter in left ? parameter : 'topic';
    const value = left[name];
    delete left[name];
    return encodeURIComponent(String(value));
  });
  if (method !== 'PATCH' || path !== '/state/{key}') return { method, path: filled, body: left };
  const type = left.format === 'json-patch' ? 'json-patch' : 'merge-patch';
  const headers = { 'content-type': `application/${type}+json` };
  return { method, path: filled, body: left.patch, headers };
};

const tryRoute = (t: ExecutionContext, name: string, operation: RestOperation): Promise<void> => {
  const { path, command } = operation;
  const method = operation.method === 'ANY' ? 'GET' : operation.method;
  const own = restExamples[name];
  if (own === undefined && command !== undefined) {
    return tryRow(t, name, operation, commandExamples[command], (who, example) =>
      overRest(hub, tokenOf(who), requestOf(operation, example)),
    );
  }
  if (own === undefined && (path.includes('{') || method !== 'GET'))
    throw new Error(`${name} needs an example in test/access/rest-examples.ts`);
  return tryRow(t, name, operation, own ?? ((): readonly RestExample[] => [{}]), (who, example, before) =>
    overRest(hub, tokenOf(who), {
      ...example,
      method,
      path: example.path === undefined ? path : example.path(before),
    }),
  );
};

for (const operation of restOperations) {
  const name = `${operation.method} ${operation.path}`;
  test(`REST › ${name} is for whom its row tells`, async (t) => {
    const method = operation.method === 'ANY' ? 'GET' : operation.method;
    const path = operation.path.replace(/\{\w+\}/g, 'none');
    const { status } = await overRest(hub, undefined, { method, path });
    if (operation.needs.some(({ scope }) => scope === 'public')) {
      t.is(status, 200, `${name} without a token`);
      return;
    }
    t.is(status, 401, `${name} without a token`);
    await tryRoute(t, name, operation);
  });
}

for (const [type, operation] of Object.entries(commandOperations)) {
  if (!isCommandType(type)) continue;
  test(`commands › ${type} is for whom its row tells, by POST /commands and by a frame of /ws`, async (t) => {
    const examples = commandExamples[type];
    await tryRow(t, `POST /commands ${type}`, operation, examples, (who, { data }) =>
      overRest(hub, tokenOf(who), { method: 'POST', path: '/commands', body: { type, data } }),
    );
    await tryRow(t, `frame command ${type}`, operation, examples, (who, { data }) =>
      overSocket(who, { type: 'command', command: { type, data } }),
    );
  });
}

/** GraphQL. */
for (const [type, fields] of Object.entries(graphqlOperations)) {
  for (const [field, operation] of Object.entries(fields)) {
    const name = `${type}.${field}`;
    test(`GraphQL › ${name} is for whom its row tells`, async (t) => {
      const own = fieldExamples[name];
      if (own === undefined && operation.command !== undefined) {
        await tryRow(t, name, operation, commandExamples[operation.command], (who, { data }) =>
          overGraphql(hub, tokenOf(who), askedOf(type, field, argumentsOf(field, data))),
        );
        return;
      }
      const examples = own ?? ((): readonly FieldExample[] => [{}]);
      if (type !== 'Subscription') {
        await tryRow(t, name, operation, examples, (who, { args = {} }) =>
          overGraphql(hub, tokenOf(who), askedOf(type, field, args)),
        );
        return;
      }
      const live = (args: object) => askedOf(type, field, { ...args, after: 'start' });
      await tryRow(t, `${name} by server-sent events`, operation, examples, (who, { args = {} }) =>
        overEventStream(hub, tokenOf(who), live(args)),
      );
      await tryRow(t, `${name} by WebSocket`, operation, examples, (who, { args = {} }) =>
        overTransport(hub, tokenOf(who), live(args)),
      );
    });
  }
}

const askedOf = (type: string, field: string, args: Readonly<Record<string, unknown>>) => ({
  query: documentOf(schema, type, field, args),
  variables: args,
});

/** WebSocket. */
const overSocket = async (who: Who, frame: object): Promise<Outcome> => {
  const client = await openWs(hub.url, { headers: { authorization: `Bearer ${tokenOf(who)}` } });
  const answer = await client.ask(frame);
  client.socket.terminate();
  return outcomeOfFrame(answer);
};

for (const [type, operation] of Object.entries(socketFrames)) {
  test(`WebSocket › the frame ${type} is for whom its row tells`, async (t) => {
    const examples = frameExamples[type];
    if (examples === undefined) throw new Error(`${type} needs an example in test/access/frame-examples.ts`);
    await tryRow(t, `frame ${type}`, operation, examples, (who, { frame }) =>
      overSocket(who, { type, ...frame }),
    );
  });
}

test('upgrades › are for whom their rows tell', async (t) => {
  const headersOf = (who: Who) => ({ headers: { authorization: `Bearer ${tokenOf(who)}` } });
  const nobody: Who = { subject: 'mallory', scopes: [] };
  for (const path of ['/ws', '/graphql', '/proxy/svc-none/a', '/node']) {
    if (path !== '/graphql') t.is((await refusedWs(hub.url, { path })).status, 401, path);
  }
  const protocols = ['graphql-transport-ws'];
  for (const options of [{ path: '/ws' }, { path: '/graphql', protocols }]) {
    const client = await openWs(hub.url, { ...options, ...headersOf(nobody) });
    await client.close();
  }
  const others = [
    'services:read',
    'services:write',
    'log:read',
    'services:invoke:svc-none2',
    'state:write:*',
  ];
  for (const scopes of [[], others]) {
    const who: Who = { subject: 'mallory', scopes };
    const proxied = await refusedWs(hub.url, { path: '/proxy/svc-none/a', ...headersOf(who) });
    t.is(proxied.status, 403);
    t.is(proxied.body.scope, 'services:invoke:svc-none');
    const node = await openWs(hub.url, { path: '/node', protocols: ['nexus-node.v1'], ...headersOf(who) });
    t.is((await node.closed).code, 4403);
  }
  const allowed = headersOf({ subject: 'ada', scopes: ['services:invoke:svc-none'] });
  t.is((await refusedWs(hub.url, { path: '/proxy/svc-none/a', ...allowed })).body.code, 'service_not_found');
  const admin = headersOf({ subject: 'ada', scopes: ['admin'] });
  const node = await openWs(hub.url, { path: '/node', protocols: ['nexus-node.v1'], ...admin });
  t.is(node.socket.readyState, node.socket.OPEN);
  await node.close();
});

/** ZeroMQ: each set of scopes is the entry of a key of its own, and so known before the sockets open. */
const frameTrials = Object.entries(commandSocketFrames).map(([type, operation], index) => ({
  name: `ZeroMQ frame ${type}`,
  trials: trialsOf(operation, frameExamples[type] ?? (() => []), `z${index}`),
  frameOf: ({ frame }: FrameExample): object => ({ type, ...frame }),
}));
const commandTrials = Object.entries(commandOperations).flatMap(([type, operation], index) =>
  isCommandType(type)
    ? [
        {
          name: `ZeroMQ command ${type}`,
          trials: trialsOf(operation, commandExamples[type], `zc${index}`),
          frameOf: ({ data }: CommandExample): object => ({ type: 'command', command: { type, data } }),
        },
      ]
    : [],
);

test('ZeroMQ › each frame and command is for the key whose entry in zmqCurveClients has its scope', async (t) => {
  const server = makeKeys();
  const keys = new Map<string, { readonly keys: KeyPair; readonly who: Who }>();
  const idOf = (who: Who): string => `${who.subject} ${who.scopes.join(' ')}`;
  for (const { who } of [...frameTrials, ...commandTrials].flatMap(
    ({ trials }) => trials as readonly Trial<unknown>[],
  ))
    if (!keys.has(idOf(who))) keys.set(idOf(who), { keys: makeKeys(), who });
  const file = join(folder, 'clients.json');
  const entries = [...keys.values()].map(({ keys: { publicKey }, who: { subject, scopes } }) => ({
    publicKey,
    subject,
    scope: scopes.join(' '),
  }));
  await writeFile(file, JSON.stringify(entries));
  const sockets = await openZeroMq({
    core: hub.core,
    config: {
      ...hub.config,
      zmqPublish: 'none',
      zmqCommand: 'tcp://127.0.0.1:*',
      zmqCurveSecretKey: server.secretKey,
      zmqCurveClients: file,
    },
    logger: createLogger('silent'),
  });
  t.teardown(sockets.close);
  const over = async (who: Who, frame: object): Promise<Outcome> => {
    const client = keys.get(idOf(who))?.keys ?? makeKeys();
    const dealer = openDealer(sockets.command ?? '', { client, server });
    const answer = await dealer.ask(frame);
    dealer.close();
    return outcomeOfFrame(answer);
  };
  for (const { name, trials, frameOf } of frameTrials)
    await tryAll(t, name, trials, (who, example) => over(who, frameOf(example)));
  for (const { name, trials, frameOf } of commandTrials)
    await tryAll(t, name, trials, (who, example) => over(who, frameOf(example)));
});

test('ZeroMQ › the publish socket sends each key what its scopes cover, of topics and of the log', async (t) => {
  const server = makeKeys();
  const clients = { reader: makeKeys(), log: makeKeys(), nobody: makeKeys() };
  const file = join(folder, 'subscribers.json');
  const entry = ({ publicKey }: KeyPair, scope: string) => ({ publicKey, subject: 'ada', scope });
  await writeFile(
    file,
    JSON.stringify([
      entry(clients.reader, 'events:read:access-pub.read.* events:publish:> state:read:*'),
      entry(clients.log, 'log:read'),
      entry(clients.nobody, 'events:publish:> services:read'),
    ]),
  );
  const sockets = await openZeroMq({
    core: hub.core,
    config: {
      ...hub.config,
      zmqPublish: 'tcp://127.0.0.1:*',
      zmqCommand: 'none',
      zmqCurveSecretKey: server.secretKey,
      zmqCurveClients: file,
    },
    logger: createLogger('silent'),
    mesh: { hub: { offer: () => {}, position: '' as Position }, logId: 'access' },
  });
  t.teardown(sockets.close);
  const open = (client: KeyPair, prefixes: readonly string[]) =>
    openSubscriber(sockets.publish ?? '', prefixes, { client, server });
  const everything = await open(clients.reader, ['', '$nexus.log']);
  const nothing = await open(clients.nobody, ['', '$nexus.log', '$nexus.heartbeat']);
  const log = await open(clients.log, []);
  // Behind the first heartbeat, as the other tests write to the same log.
  log.socket.subscribe('', '$nexus.log');
  const publish = (topic: string) =>
    hub.core.execute({ type: 'PublishMessage', data: { topic: `access-pub.${topic}`, payload: 1 } }, context);
  for (const topic of ['other', 'read', 'read.a.b', 'read.a']) await publish(topic);
  t.is((await everything.next()).topic, 'access-pub.read.a');
  let heard: string | undefined;
  const hearing = log.next().then(({ topic }) => {
    heard = topic;
  });
  while (heard === undefined) await publish('other');
  await hearing;
  t.is(heard, '$nexus.log');
  // Heartbeats come after what was published before them: no topic was in front of two.
  for (let heartbeats = 0; heartbeats < 2; heartbeats++)
    t.is(String((await nothing.socket.receive())[0]), '$nexus.heartbeat');
  for (const client of [everything, nothing, log]) client.close();
});

test.after('what was refused has written nothing', async (t) => {
  let events = 0;
  for (let after: string | undefined = 'start'; after !== undefined; ) {
    const page = await hub.core.log({ after, limit: 1_000 }, context);
    if (!page.ok) throw new Error(page.problem.detail);
    events += page.value.events.length;
    t.deepEqual(
      page.value.events.filter(({ metadata }) => metadata.actor === 'mallory'),
      [],
    );
    after = page.value.more ? page.value.position : undefined;
  }
  t.true(events > 0);
});
