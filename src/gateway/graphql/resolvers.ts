import type { Json, LogEvent } from '../../../domain/event.ts';
import type { RetentionPolicy } from '../../../domain/retention/retention.ts';
import { problem } from '../../errors.ts';
import type {
  Health,
  LogQuery,
  Message,
  ServiceChange,
  StateChange,
  StateEntry,
  StateVersion,
} from '../../nexus-core.ts';
import { raise } from './faults.ts';
import { replayMutations, replayQueries } from './replay-resolvers.ts';
import {
  type Args,
  command,
  given,
  got,
  gotOrNull,
  jsonText,
  limitOf,
  type Resolve,
  type ResolverContext,
} from './resolving.ts';
import { serviceMutations, serviceQueries } from './service-resolvers.ts';
import { subscriptionMutations, subscriptionQueries } from './subscription-resolvers.ts';
import { itemsOf } from './watch-source.ts';

type Event = {
  readonly id: string | null;
  readonly stream: string;
  readonly revision: number | null;
  readonly position: string;
  readonly type: string;
  readonly data: unknown;
  readonly recordedAt: string;
  readonly actor: string;
  readonly metadata: unknown;
};

const eventOf = (event: LogEvent): Event => ({
  ...event,
  recordedAt: event.metadata.recordedAt,
  actor: event.metadata.actor,
});

const eventOfMessage = ({ position, publishedAt, publisher, ...data }: Message): Event => ({
  id: null,
  stream: `topic-${data.topic}`,
  revision: null,
  position,
  type: 'MessagePublished',
  data,
  recordedAt: publishedAt,
  actor: publisher,
  metadata: null,
});

const state: Resolve<{ key: string; version: number; asOf: string }, StateEntry | null> = async (
  _,
  args,
  { core, context },
) => {
  const { key = '', ...options } = given(args);
  return gotOrNull(await core.state(key, options, context));
};

type StatesArgs = { prefix: string; first: number; after: string; asOf: string };
const states: Resolve<StatesArgs, readonly StateEntry[]> = async (_, args, { core, context }) => {
  const { first, ...options } = given(args);
  return got(await core.states({ ...options, ...limitOf('first', first) }, context)).entries;
};

const stateHistory: Resolve<{ key: string; last: number; before: number }, readonly StateVersion[]> = async (
  _,
  args,
  { core, context },
) => {
  const { key = '', last, ...options } = given(args);
  const found = await core.stateHistory(key, { ...options, ...limitOf('last', last) }, context);
  return gotOrNull(found)?.history ?? [];
};

type EventsArgs = Required<Pick<LogQuery, 'category' | 'type' | 'stream' | 'correlationId' | 'after'>> & {
  topic: string;
  first: number;
};
const events: Resolve<EventsArgs, readonly Event[]> = async (_, args, { core, context }) => {
  const { topic, first, after, ...filter } = given(args);
  const page = { ...(after === undefined ? {} : { after }), ...limitOf('first', first) };
  if (topic === undefined) return got(await core.log({ ...filter, ...page }, context)).events.map(eventOf);
  if (Object.keys(filter).length > 0) raise(problem('invalid', 'topic stands alone, without another filter'));
  return got(await core.messages({ topic, ...page }, context)).events.map(eventOfMessage);
};

const retention: Resolve<{ topic: string }, readonly RetentionPolicy[]> = async (
  _,
  args,
  { core, context },
) => {
  const { topic } = given(args);
  if (topic === undefined) return got(await core.retentions(context)).policies;
  const policy = gotOrNull(await core.retention(topic, context));
  return policy === null ? [] : [policy];
};

const topics: Resolve<object, readonly object[]> = async (_, _args, { core, context }) =>
  got(await core.topics(context)).topics;

const health: Resolve<object, object> = async (_, _args, { core }) => healthOf(await core.health());

const healthOf = ({ log, ...rest }: Health): object => ({
  ...rest,
  log: {
    ...log,
    durable: log.durability.durable,
    durabilityNote: log.durability.note,
  },
});

/** `value: null` is a value, so only the other arguments are looked at for null. */
const setState: Resolve<{ key: string; value: Json; expectedVersion: number }, object> = async (
  _,
  args,
  at,
) => {
  const { value, ...rest } = args;
  return command('SetState', { ...given(rest), ...(value === undefined ? {} : { value }) }, at);
};

const deleteState: Resolve<{ key: string; expectedVersion: number }, object> = async (_, args, at) =>
  command('DeleteState', given(args), at);

type PublishArgs = { topic: string; payload: string; priority: string; key: string };
const publishEvent: Resolve<PublishArgs, object> = async (_, args, at) => {
  const { payload = '', ...data } = given(args);
  return command('PublishMessage', { ...data, payload: jsonText('payload', payload) }, at);
};

const request: Resolve<PublishArgs & { timeoutMs: number }, object> = async (
  _,
  args,
  { core, context, whileAsked },
) => {
  const { topic = '', payload = '', ...rest } = given(args);
  const data = { ...rest, payload: jsonText('payload', payload) };
  const replied = await whileAsked((signal) => core.request(topic, data, context, { signal }));
  return { ...got(replied), success: true };
};

const reply: Resolve<{ replyTo: string; payload: string }, object> = async (_, args, { core, context }) => {
  const { replyTo = '', payload = '' } = given(args);
  return {
    ...got(await core.reply({ replyTo, payload: jsonText('payload', payload) }, context)),
    success: true,
  };
};

type RetentionArgs = { topic: string; maxAgeSec: number; maxMessages: number; maxBytes: number };
const setRetention: Resolve<RetentionArgs, object> = async (_, args, at) =>
  command('SetRetention', given(args), at);

const removeRetention: Resolve<{ topic: string }, object> = async (_, args, at) =>
  command('RemoveRetention', given(args), at);

type Subscribe<Shape> = (
  source: unknown,
  args: Args<Shape>,
  at: ResolverContext,
) => Promise<AsyncIterable<unknown>>;

const messages: Subscribe<{ topic: string; after: string }> = async (_, args, { core, context }) => {
  const { topic = '', after } = given(args);
  return itemsOf(
    (signal) => core.watchMessages(topic, { after, signal }, context),
    asField<Message>('messages'),
    asField('messages'),
  );
};

const stateChanged: Subscribe<{ key: string; prefix: string; after: string }> = async (
  _,
  args,
  { core, context },
) => {
  const { key, prefix, after } = given(args);
  if (key !== undefined && prefix !== undefined) raise(problem('invalid', 'either key or prefix, not both'));
  const selector = key === undefined ? { prefix: prefix ?? '' } : { key };
  return itemsOf(
    (signal) => core.watchState(selector, { after, signal }, context),
    asField<StateChange>('stateChanged'),
    asField('stateChanged'),
  );
};

const serviceChanged: Subscribe<{ name: string; after: string }> = async (_, args, { core, context }) => {
  const { name, after } = given(args);
  return itemsOf(
    (signal) => core.watchServices(name, { after, signal }, context),
    asField<ServiceChange>('serviceChanged'),
    asField('serviceChanged'),
  );
};

const watchedEvents: Subscribe<{ category: string; after: string }> = async (_, args, { core, context }) => {
  const { category, after } = given(args);
  const selector = category === undefined ? ({ all: true } as const) : { category };
  return itemsOf(
    (signal) => core.watchEvents(selector, { after, signal }, context),
    (event): object => ({ events: eventOf(event) }),
    asField('events'),
  );
};

/** graphql-js resolves the subscription's one field from an object that has it, or calls it when it is a function. */
const asField =
  <Item>(name: string) =>
  (item: Item): object => ({ [name]: item });

export const resolvers = {
  Query: {
    ...serviceQueries,
    state,
    states,
    stateHistory,
    events,
    topics,
    ...subscriptionQueries,
    retention,
    ...replayQueries,
    health,
  },
  Mutation: {
    ...serviceMutations,
    setState,
    deleteState,
    publishEvent,
    request,
    reply,
    ...subscriptionMutations,
    setRetention,
    removeRetention,
    ...replayMutations,
  },
  Subscription: { messages, stateChanged, serviceChanged, events: watchedEvents },
} as const;
