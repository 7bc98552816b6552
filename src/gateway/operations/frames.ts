import { invoking, type Operation, ownDelivery, ownService, reading, writing } from './operation.ts';
import { streamNeeds } from './rest.ts';

const ofCommand: Operation = { ...writing('any'), besides: 'what the command needs' };
const settling: Operation = { ...writing('any'), besides: ownDelivery };
const answering: Operation = { ...writing('any'), besides: ownDelivery };
const own = reading('any');

const mutations = {
  publish: writing('events:publish:TOPIC'),
  command: ofCommand,
  request: writing('events:publish:TOPIC'),
  reply: writing('any'),
} as const;

/** Every frame that a client sends to /ws. */
export const socketFrames: Readonly<Record<string, Operation>> = {
  ...mutations,
  subscribe: reading('events:read:PATTERN'),
  replay: reading('events:read:PATTERN'),
  watch: {
    kind: 'read',
    needs: [
      { when: 'of a `key`', scope: 'state:read:KEY' },
      { when: 'of a `prefix`', scope: 'state:read:PREFIX*' },
    ],
  },
  tail: {
    kind: 'read',
    needs: streamNeeds.map((need) =>
      need.scope === 'log:read' ? { ...need, when: 'of every other stream, a `category`, or `all`' } : need,
    ),
  },
  watchServices: reading('services:read'),
  ack: settling,
  nak: settling,
  term: settling,
  extend: settling,
  heartbeat: { ...writing('services:write'), besides: ownService },
  serve: { ...writing('services:write'), besides: ownService },
  stopServing: own,
  callResult: answering,
  callFailed: answering,
  unsubscribe: own,
  finish: own,
  auth: own,
  ping: own,
};

/** Every frame that `zmqCommand` takes. */
export const commandSocketFrames: Readonly<Record<keyof typeof mutations, Operation>> = mutations;

/** What `zmqPublish` sends, by what a subscriber subscribes to. */
export const publishSocketFrames: Readonly<Record<string, Operation>> = {
  TOPIC: reading('events:read:TOPIC'),
  '$nexus.heartbeat': own,
  '$nexus.log': reading('log:read'),
};

/** Upgrades to WebSockets, by path. What comes over them is authorised frame by frame, or field by field. */
export const upgrades: readonly (Operation & { readonly path: string })[] = (
  [
    ['/ws', own],
    ['/graphql', own],
    ['/proxy/{name}/{path}', invoking('services:invoke:NAME')],
    ['/node', writing('admin')],
  ] satisfies readonly (readonly [string, Operation])[]
).map(([path, operation]) => ({ path, ...operation }));
