import type { Json } from '../../../domain/event.ts';
import {
  isServiceName,
  isStateKey,
  isStatePrefix,
  isSubscriptionName,
  isTopicPattern,
} from '../../../domain/names.ts';
import { ok, type Result } from '../../errors.ts';
import { given } from '../../given.ts';
import type { Settlement } from '../../nexus-subscriptions.ts';
import { type Fields, invalid, isFields } from './fields.ts';
import { refuseFrameKey } from './idempotency.ts';
import { commandFrame, type MutationFrame, publishFrame, type Trace, traceOf } from './mutation-frames.ts';
import { type ServiceFrame, serviceFrame } from './service-frames.ts';

/** What a client may send to have its answer told from others: at most `maxIdLength` characters, or a finite number. */
export type FrameId = string | number;

export const maxIdLength = 128;

/** Which of the hub's four watches a subscription follows. */
export type WatchSelector =
  | { readonly kind: 'messages'; readonly topic: string }
  | { readonly kind: 'state'; readonly by: { readonly key: string } | { readonly prefix: string } }
  | {
      readonly kind: 'events';
      readonly by: { readonly stream: string } | { readonly category: string } | { readonly all: true };
    }
  | { readonly kind: 'services'; readonly name: string | undefined };

/** A durable subscription, followed as one of its consumers; `max` deliveries unsettled at most, as the hub thinks fit when it is undefined. */
export type GroupSelector = {
  readonly kind: 'group';
  readonly group: string;
  readonly max: number | undefined;
};
/** History, for this socket alone; `data` is left to the hub's schema. */
export type ReplaySelector = {
  readonly kind: 'replay';
  readonly data: Json;
  /** What the client sends from then on is taken down and not done, until it has finished. */
  readonly dryRun: boolean;
  /** Of a dry run: whose former effects it is compared with; the client's own when undefined. */
  readonly actor: string | undefined;
};

export type Selector = WatchSelector | GroupSelector | ReplaySelector;

export type FollowFrame = {
  readonly type: 'follow';
  readonly selector: Selector;
  /** A position or `start`, checked by the hub; undefined for only what is new. */
  readonly after: string | undefined;
  /** The client's own name for it; the hub makes one when it is undefined. */
  readonly subscription: string | undefined;
};

/** `ack`, `nak`, `term` and `extend`. */
export type SettleFrame = {
  readonly type: 'settle';
  readonly how: Settlement;
  /** 1 to 1,000. */
  readonly deliveries: readonly string[];
  readonly delayMs: number | undefined;
  readonly reason: string | undefined;
  /** The answer waits until what was settled cannot be delivered again. */
  readonly durable: boolean;
};

/** `data` is the body of POST /requests/{topic}. */
export type RequestFrame = {
  readonly type: 'request';
  readonly topic: string;
  readonly data: Json;
  readonly trace: Trace;
};

/** `data` is the body of POST /replies. */
export type ReplyFrame = { readonly type: 'reply'; readonly data: Json };

export type Frame =
  | FollowFrame
  | SettleFrame
  | MutationFrame
  | RequestFrame
  | ReplyFrame
  | { readonly type: 'unsubscribe' | 'finish'; readonly subscription: string }
  | { readonly type: 'auth'; readonly token: string }
  | { readonly type: 'ping' }
  | ServiceFrame;

type WritingFrame = MutationFrame | RequestFrame | ReplyFrame;

/** Which types of frames write; each is named, so that a new one is thought of. Settling is its consumer's matter. */
const writing: { readonly [Type in Frame['type']]: Type extends WritingFrame['type'] ? true : false } = {
  publish: true,
  command: true,
  request: true,
  reply: true,
  follow: false,
  settle: false,
  unsubscribe: false,
  finish: false,
  auth: false,
  ping: false,
  // What dry run a service is in says nothing of whether it lives.
  heartbeat: false,
  serve: false,
  stopServing: false,
  answerCall: false,
};

export const isWriting = (frame: Frame): frame is WritingFrame => writing[frame.type];

/** A frame as it was understood. `id` is set whenever the frame had a usable one, so that a fault can name it too. */
export type ParsedFrame = { readonly id: FrameId | undefined; readonly frame: Result<Frame> };

/** Understands the JSON of one frame. What a command's `data` holds is left to the command's own schema. */
export const parseFrame = (value: Json): ParsedFrame => {
  if (!isFields(value)) return { id: undefined, frame: invalid('', 'must be a JSON object') };
  const { id } = value;
  if (id === undefined) return { id, frame: understand(value) };
  if (typeof id === 'string' && id.length <= maxIdLength) return { id, frame: understand(value) };
  if (typeof id === 'number') return { id, frame: understand(value) };
  return {
    id: undefined,
    frame: invalid('/id', `must be a number or a string of at most ${maxIdLength} characters`),
  };
};

const understand = (fields: Fields): Result<Frame> => {
  switch (fields.type) {
    case 'publish':
      return publishFrame(fields);
    case 'command':
      return commandFrame(fields);
    default:
      return fields.idempotencyKey === undefined || typeof fields.type !== 'string'
        ? understandOther(fields)
        : refuseFrameKey(fields.type);
  }
};

/** Frames that are no command. */
const understandOther = (fields: Fields): Result<Frame> => {
  switch (fields.type) {
    case 'request':
      return requestFrame(fields);
    case 'reply':
      return replyFrame(fields);
    case 'subscribe':
      return subscribeFrame(fields);
    case 'watch':
      return watchFrame(fields);
    case 'tail':
      return tailFrame(fields);
    case 'watchServices':
      return watchServicesFrame(fields);
    case 'replay':
      return replayFrame(fields);
    case 'unsubscribe':
    case 'finish':
      return isLocalName(fields.subscription)
        ? ok({ type: fields.type, subscription: fields.subscription })
        : invalid('/subscription', subscriptionRule);
    case 'auth':
      return typeof fields.token === 'string'
        ? ok({ type: 'auth', token: fields.token })
        : invalid('/token', 'must be a string');
    case 'ping':
      return ok({ type: 'ping' });
    case 'ack':
    case 'nak':
    case 'term':
    case 'extend':
      return settleFrame(fields.type, fields);
    case undefined:
      return invalid('/type', 'is required');
    default:
      return serviceFrame(fields) ?? invalid('/type', 'is not a type of frame that a client sends');
  }
};

const requestFrame = (fields: Fields): Result<Frame> => {
  const { type: _type, id: _id, causationId, correlationId, topic, ...data } = fields;
  if (typeof topic !== 'string') return invalid('/topic', 'must be a string');
  const trace = traceOf(causationId, correlationId);
  return trace.ok ? ok({ type: 'request', topic, data, trace: trace.value }) : trace;
};

const replyFrame = ({ type: _type, id: _id, ...data }: Fields): Result<Frame> => ok({ type: 'reply', data });

const subscribeFrame = (fields: Fields): Result<Frame> => {
  if (fields.group !== undefined) return groupFrame(fields.group, fields);
  const { topic } = fields;
  return typeof topic === 'string' && isTopicPattern(topic)
    ? follow(fields, { kind: 'messages', topic })
    : invalid('/topic', 'must be a topic, in which a segment may be * and the last one >');
};

/** What a durable subscription brings, and from where on, is its own matter. */
const groupFrame = (group: Json, fields: Fields): Result<Frame> => {
  const { max } = fields;
  if (typeof group !== 'string' || !isSubscriptionName(group))
    return invalid('/group', 'must match [A-Za-z0-9._-]{1,128}');
  if (max !== undefined && !isWithin(max, 1, maxSettled))
    return invalid('/max', `must be a whole number from 1 to ${maxSettled}`);
  for (const other of ['topic', 'after']) {
    if (fields[other] !== undefined)
      return invalid(`/${other}`, 'is not for a group, which goes on where it stands');
  }
  return follow(fields, { kind: 'group', group, max });
};

const maxActorLength = 256;

const replayFrame = (fields: Fields): Result<Frame> => {
  const { type: _type, id: _id, subscription, dryRun, actor, ...data } = fields;
  if (dryRun !== undefined && typeof dryRun !== 'boolean') return invalid('/dryRun', 'must be true or false');
  if (actor !== undefined && !isName(actor, maxActorLength))
    return invalid('/actor', `must be a string of 1 to ${maxActorLength} characters`);
  if (actor !== undefined && dryRun !== true) return invalid('/actor', 'is for a dry run alone');
  return follow(given({ subscription }), { kind: 'replay', data, dryRun: dryRun === true, actor });
};

/** The limits are those of the body of POST /subscriptions/{name}/ack: src/command/subscription-schemas.ts. */
const maxSettled = 1_000;
const maxDelayMs = 86_400_000;
const maxReasonLength = 512;

const isWithin = (value: Json, min: number, max: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;

const settleFrame = (how: Settlement, fields: Fields): Result<Frame> => {
  const { delivery, deliveries, delayMs, reason, durable } = fields;
  if ((delivery === undefined) === (deliveries === undefined))
    return invalid('', 'needs either delivery or deliveries');
  const named: Json = delivery === undefined ? (deliveries ?? null) : [delivery];
  const pointer = delivery === undefined ? '/deliveries' : '/delivery';
  if (!isList(named) || named.length === 0 || named.length > maxSettled)
    return invalid(pointer, `must be a list of 1 to ${maxSettled} deliveries`);
  const texts = named.filter(isLocalName);
  if (texts.length < named.length)
    return invalid(pointer, `must be what a message named, ${subscriptionRule}`);
  if (delayMs !== undefined && how !== 'nak') return invalid('/delayMs', 'is for nak alone');
  if (delayMs !== undefined && !isWithin(delayMs, 0, maxDelayMs))
    return invalid('/delayMs', `must be a whole number from 0 to ${maxDelayMs}`);
  if (reason !== undefined && !isName(reason, maxReasonLength))
    return invalid('/reason', `must be a string of 1 to ${maxReasonLength} characters`);
  if (durable !== undefined && typeof durable !== 'boolean')
    return invalid('/durable', 'must be true or false');
  return ok({ type: 'settle', how, deliveries: texts, delayMs, reason, durable: durable === true });
};

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);

const watchFrame = (fields: Fields): Result<Frame> => {
  const { key, prefix } = fields;
  if ((key === undefined) === (prefix === undefined)) return invalid('', 'needs either key or prefix');
  if (key !== undefined) {
    return typeof key === 'string' && isStateKey(key)
      ? follow(fields, { kind: 'state', by: { key } })
      : invalid('/key', 'must be 1 to 512 bytes of UTF-8 without control characters');
  }
  return typeof prefix === 'string' && isStatePrefix(prefix)
    ? follow(fields, { kind: 'state', by: { prefix } })
    : invalid('/prefix', 'must be at most 512 bytes of UTF-8 without control characters');
};

const tailFrame = (fields: Fields): Result<Frame> => {
  const { stream, category, all } = fields;
  if (Number(stream !== undefined) + Number(category !== undefined) + Number(all !== undefined) !== 1) {
    return invalid('', 'needs one of stream, category and all');
  }
  if (stream !== undefined) {
    return isName(stream, 600)
      ? follow(fields, { kind: 'events', by: { stream } })
      : invalid('/stream', nameRule);
  }
  if (category !== undefined) {
    return isName(category, 64)
      ? follow(fields, { kind: 'events', by: { category } })
      : invalid('/category', nameRule);
  }
  return all === true ? follow(fields, { kind: 'events', by: { all } }) : invalid('/all', 'must be true');
};

const nameRule = 'must be the name of one';
const isName = (value: Json, max: number): value is string =>
  typeof value === 'string' && value !== '' && value.length <= max;

const watchServicesFrame = (fields: Fields): Result<Frame> => {
  const { name } = fields;
  if (name === undefined) return follow(fields, { kind: 'services', name });
  return typeof name === 'string' && isServiceName(name)
    ? follow(fields, { kind: 'services', name })
    : invalid('/name', 'must match [a-z0-9][a-z0-9._-]{0,63}');
};

const subscriptionRule = `must be a string of 1 to ${maxIdLength} characters`;
const isLocalName = (value: Json | undefined): value is string =>
  typeof value === 'string' && value !== '' && value.length <= maxIdLength;

const follow = (fields: Fields, selector: Selector): Result<Frame> => {
  const { after, subscription } = fields;
  if (after !== undefined && !isName(after, 64)) return invalid('/after', 'must be a position or "start"');
  if (subscription !== undefined && !isLocalName(subscription))
    return invalid('/subscription', subscriptionRule);
  return ok({ type: 'follow', selector, after, subscription });
};
