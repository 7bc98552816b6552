import { credentialMutationFields, credentialQueryFields, credentialTypes } from './credential-sdl.ts';
import { pluginMutationFields, pluginQueryFields, pluginTypes } from './plugin-sdl.ts';
import { replayTypes } from './replay-sdl.ts';
import { serviceMutationFields, serviceQueryFields, serviceTypes } from './service-sdl.ts';
import { statePolicyMutationFields, statePolicyQueryFields, statePolicyTypes } from './state-policy-sdl.ts';
import { stateMutationFields, stateQueryFields, stateSubscriptionFields, stateTypes } from './state-sdl.ts';
import { transactionMutationFields, transactionTypes } from './state-transaction.ts';
import { subscriptionTypes } from './subscription-sdl.ts';

/** The schema as clients see it. Lists are in the order of REST; each item tells its `position`, to go on behind it. */
export const sdl = /* GraphQL */ `
"Any JSON value."
scalar JSON

enum Priority { LOW NORMAL HIGH CRITICAL }

type Message {
  messageId: ID!
  topic: String!
  payload: JSON
  priority: Priority!
  key: String
  headers: JSON!
  publishedAt: String!
  publisher: String!
  position: String!
}

type Event {
  "Null when events were asked for by topic; data.messageId names the message."
  id: ID
  stream: String!
  "Null when events were asked for by topic."
  revision: Int
  position: String!
  type: String!
  data: JSON
  recordedAt: String!
  actor: String!
  "Null when events were asked for by topic."
  metadata: JSON
}

type Topic {
  topic: String!
  messages: Int!
  firstAt: String!
  lastAt: String!
  revision: Int!
  position: String!
}

"The limits of each topic that the pattern matches; null is none of that kind."
type Retention {
  topic: String!
  maxAgeSec: Float
  maxMessages: Float
  maxBytes: Float
}

type Health {
  "ok, degraded or down."
  status: String!
  version: String!
  uptimeSec: Float!
  node: String!
  log: LogHealth!
  projections: [ProjectionHealth!]!
}

type LogHealth {
  kind: String!
  reachable: Boolean!
  position: String
  durable: Boolean!
  durabilityNote: String!
}

type ProjectionHealth {
  name: String!
  position: String
  lagEvents: Int!
}

${serviceTypes}
${stateTypes}
${statePolicyTypes}
${credentialTypes}
${pluginTypes}
${transactionTypes}
${subscriptionTypes}
${replayTypes}
type Query {
${serviceQueryFields}${stateQueryFields}  "In log order. topic: a pattern, with no other filter beside it. after: a position, exclusive. first: 100 unless given, at most 1,000."
  events(topic: String, category: String, type: String, stream: String, correlationId: String, after: String, first: Int): [Event!]!
  topics: [Topic!]!
  "Durable subscriptions whose topics the token may read."
  subscriptions: [DurableSubscription!]!
  "Null when there is none."
  subscription(name: String!): DurableSubscription
  "In the order in which the messages were published. after: a position, exclusive. first: 100 unless given, at most 1,000. errorLike: a part of the last error."
  deadLetters(subscription: String!, first: Int, after: String, errorLike: String, messageId: ID): [DeadLetter!]!
  "All policies, or the one of exactly this pattern."
  retention(topic: String): [Retention!]!
${statePolicyQueryFields}  "Replays to a durable subscription that are not over, in the order in which they are carried out."
  replays(subscription: String!): [Replay!]!
${credentialQueryFields}${pluginQueryFields}  health: Health!
}

type PublishEventResult {
  success: Boolean!
  messageId: ID!
  topic: String!
  position: String!
}

type SetRetentionResult {
  success: Boolean!
  topic: String!
  maxAgeSec: Float
  maxMessages: Float
  maxBytes: Float
  position: String!
}

type RemoveRetentionResult {
  success: Boolean!
  topic: String!
  position: String!
}

type RequestResult {
  success: Boolean!
  "The request's messageId."
  requestId: ID!
  payload: JSON
  headers: JSON!
  "Who replied."
  publisher: String!
  "Of the reply."
  position: String!
  durationMs: Float!
}

type ReplyResult {
  success: Boolean!
  messageId: ID!
  requestId: ID!
  position: String!
}

type Mutation {
${serviceMutationFields}${stateMutationFields}${transactionMutationFields}  "payload: JSON text."
  publishEvent(topic: String!, payload: String!, priority: Priority, key: String): PublishEventResult!
  "Publishes and waits for the reply. payload: JSON text. timeoutMs: 30,000 unless given, at most 300,000."
  request(topic: String!, payload: String!, timeoutMs: Int, priority: Priority, key: String): RequestResult!
  "replyTo: the header nexus-reply-to of a request. payload: JSON text."
  reply(replyTo: String!, payload: String!): ReplyResult!
  "Makes it, or gives the one that is there these settings. from, for a new one: start, now, a position or a time."
  createSubscription(name: String!, topic: String!, from: String, ackWaitMs: Int, maxDeliver: Int, backoffMs: [Int!], maxInFlight: Int, order: String): DurableSubscriptionResult!
  deleteSubscription(name: String!, reason: String): DeleteSubscriptionResult!
  pauseSubscription(name: String!, reason: String): DurableSubscriptionResult!
  resumeSubscription(name: String!, reason: String): DurableSubscriptionResult!
  "to: start, now, a position or a time."
  resetSubscription(name: String!, to: String!): DurableSubscriptionResult!
  "One of messageIds, errorLike and all. payload: JSON text, in place of the messages' own."
  redriveDeadLetters(subscription: String!, messageIds: [ID!], all: Boolean, errorLike: String, payload: String): RemovedDeadLettersResult!
  "One of messageIds, errorLike and all."
  discardDeadLetters(subscription: String!, messageIds: [ID!], all: Boolean, errorLike: String): RemovedDeadLettersResult!
  "Replaces the limits of the pattern; at least one."
  setRetention(topic: String!, maxAgeSec: Float, maxMessages: Float, maxBytes: Float): SetRetentionResult!
  removeRetention(topic: String!): RemoveRetentionResult!
${statePolicyMutationFields}  "from and to: start, now, a position or an RFC 3339 time; to is now unless given. speed: 0 (unless given) as fast as it is taken, 1 the original pace."
  replay(subscription: String!, topic: String, from: String!, to: String, speed: Float): ReplayResult!
  "All of them unless replayId says which."
  stopReplays(subscription: String!, replayId: ID): StopReplaysResult!
${credentialMutationFields}${pluginMutationFields}}

type Subscription {
  "after: a position, exclusive, or \\"start\\"; only what is new unless given. This holds for each subscription."
  messages(topic: String!, after: String): Message!
${stateSubscriptionFields}  serviceChanged(name: String, after: String): ServiceChange!
  "All events unless a category is given."
  events(category: String, after: String): Event!
}
`;
