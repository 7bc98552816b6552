import type { LogEvent } from '../../../domain/event.ts';
import type { RetentionPolicy } from '../../../domain/retention/retention.ts';
import { problem } from '../../errors.ts';
import type { Health, LogQuery, Message, ServiceChange } from '../../nexus-core.ts';
import { credentialMutations, credentialQueries } from './credential-resolvers.ts';
import { raise } from './faults.ts';
import { pluginMutations, pluginQueries } from './plugin-resolvers.ts';
import { replayMutations, replayQueries } from './replay-resolvers.ts';
import { command, given, got, gotOrNull, jsonText, limitOf, type Resolve, refuseKey } from './resolving.ts';
import { serviceMutations, serviceQueries } from './service-resolvers.ts';
import { statePolicyMutations, statePolicyQueries } from './state-policy-resolvers.ts';
import { stateMutations, stateQueries, stateSubscriptions } from './state-resolvers.ts';
import { transactionMutations } from './state-transaction.ts';
import { subscriptionMutations, subscriptionQueries } from './subscription-resolvers.ts';
import { asField, itemsOf, type Subscribe } from './watch-source.ts';

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

type PublishArgs = { topic: string; payload: string; priority: string; key: string };
const publishEvent: Resolve<PublishArgs, object> = async (_, args, at) => {
  const { payload = '', ...data } = given(args);
  return command('PublishMessage', { ...data, payload: jsonText('payload', payload) }, at);
};

const request: Resolve<PublishArgs & { timeoutMs: number }, object> = async (_, args, at) => {
  refuseKey(at, 'a request waits for a reply that comes once');
  const { core, context, whileAsked } = at;
  const { topic = '', payload = '', ...rest } = given(args);
  const data = { ...rest, payload: jsonText('payload', payload) };
  const replied = await whileAsked((signal) => core.request(topic, data, context, { signal }));
  return { ...got(replied), success: true };
};

const reply: Resolve<{ replyTo: string; payload: string }, object> = async (_, args, at) => {
  refuseKey(at, 'a reply may be sent again as it is');
  const { core, context } = at;
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

const messages: Subscribe<{ topic: string; after: string }> = async (_, args, { core, context }) => {
  const { topic = '', after } = given(args);
  return itemsOf(
    (signal) => core.watchMessages(topic, { after, signal }, context),
    asField<Message>('messages'),
    asField('messages'),
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

export const resolvers = {
  Query: {
    ...serviceQueries,
    ...stateQueries,
    events,
    topics,
    ...subscriptionQueries,
    retention,
    ...statePolicyQueries,
    ...replayQueries,
    ...credentialQueries,
    ...pluginQueries,
    health,
  },
  Mutation: {
    ...serviceMutations,
    ...stateMutations,
    ...transactionMutations,
    publishEvent,
    request,
    reply,
    ...subscriptionMutations,
    setRetention,
    removeRetention,
    ...statePolicyMutations,
    ...replayMutations,
    ...credentialMutations,
    ...pluginMutations,
  },
  Subscription: { messages, ...stateSubscriptions, serviceChanged, events: watchedEvents },
} as const;
