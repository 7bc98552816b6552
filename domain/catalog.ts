import { type AccessDeniedEvent, auditShapes } from './audit/denied.ts';
import type { Category, LogEvent, RecordedEvent } from './event.ts';
import type { InterfaceEvent } from './interface/interface.ts';
import { interfaceShapes } from './interface/shapes.ts';
import { type MessageEvent, priorities } from './message/message.ts';
import type { NodeEvent } from './node/node.ts';
import type { PluginEvent } from './plugin/plugin.ts';
import { pluginShapes } from './plugin/shapes.ts';
import { isLimit } from './policies.ts';
import type { RetentionEvent } from './retention/retention.ts';
import { trimShapes } from './retention/shapes.ts';
import type { TrimmedEvent } from './retention/trims.ts';
import type { ServiceEvent } from './service/service.ts';
import { serviceShapes } from './service/shapes.ts';
import type { StateEvent } from './state/state.ts';
import type { StatePolicyEvent } from './state-policy/policy.ts';
import { statePolicyShapes } from './state-policy/shapes.ts';
import { subscriptionShapes } from './subscription/shapes.ts';
import type { CheckpointEvent, SubscriptionEvent } from './subscription/subscription.ts';

/** The first event of the log, in the stream `nexus-log`: the log's identity. */
export type LogCreatedEvent = { readonly type: 'LogCreated'; readonly data: { readonly logId: string } };

/** Every event that this version knows. */
export type AnyEvent =
  | ServiceEvent
  | InterfaceEvent
  | StateEvent
  | MessageEvent
  | SubscriptionEvent
  | CheckpointEvent
  | NodeEvent
  | RetentionEvent
  | TrimmedEvent
  | StatePolicyEvent
  | PluginEvent
  | AccessDeniedEvent
  | LogCreatedEvent;
export type EventType = AnyEvent['type'];

/**
 * `known: false`: a type that this version does not know (a newer node may have written it); not a fault.
 * `ok: false`: a type that it knows, in a shape, stream or schema that it cannot read.
 */
export type Decoded =
  | { readonly ok: true; readonly known: true; readonly event: RecordedEvent<AnyEvent> }
  | { readonly ok: true; readonly known: false; readonly event: LogEvent }
  | { readonly ok: false; readonly reason: string };

type Data = Readonly<Record<string, unknown>>;

export type EventShape = {
  /** The category of the streams in which the type may stand. */
  readonly category: Category;
  /** The name of the first property whose shape is wrong, or undefined. */
  fault(data: Data, event: LogEvent): string | undefined;
  /** The n-th turns data of schema n into data of schema n + 1. Total: it never throws, whatever the data. */
  readonly upcasts?: readonly ((data: Data) => Data)[];
};

const isData = (value: unknown): value is Data =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string';
const isOptionalText = (value: unknown): boolean => value === undefined || typeof value === 'string';
const isTextMap = (value: unknown): boolean => isData(value) && Object.values(value).every(isText);

const priorityNames: ReadonlySet<unknown> = new Set(priorities);

/** True when `stream` is `{category}-{id}`, told without making a string. */
const streamEndsWith = (event: LogEvent, id: string, category: string): boolean =>
  event.stream.length === category.length + 1 + id.length && event.stream.endsWith(id);

const reasonFault = (data: Data): string | undefined => (isText(data.reason) ? undefined : 'reason');

const stateSetFault = ({ value, resolution, expiresAt, lock }: Data): string | undefined => {
  if (value === undefined) return 'value';
  if (!isOptionalText(expiresAt)) return 'expiresAt';
  if (lock !== undefined && !(isData(lock) && isText(lock.holder) && Number.isSafeInteger(lock.token)))
    return 'lock';
  if (resolution === undefined) return undefined;
  if (!isData(resolution) || !isText(resolution.resolver)) return 'resolution';
  const { base, current, incoming } = resolution;
  return base === undefined || current === undefined || incoming === undefined ? 'resolution' : undefined;
};

const publishedFault = (data: Data, event: LogEvent): string | undefined => {
  if (!isText(data.messageId)) return 'messageId';
  if (!isText(data.topic) || !streamEndsWith(event, data.topic, 'topic')) return 'topic';
  if (data.payload === undefined) return 'payload';
  if (!priorityNames.has(data.priority)) return 'priority';
  if (!isOptionalText(data.key)) return 'key';
  if (data.headers !== undefined && !isTextMap(data.headers)) return 'headers';
  if (!isOptionalText(data.deliverAt)) return 'deliverAt';
  return isOptionalText(data.expiresAt) ? undefined : 'expiresAt';
};

const retentionSetFault = (data: Data): string | undefined => {
  if (!isText(data.topic)) return 'topic';
  return (['maxAgeSec', 'maxMessages', 'maxBytes'] as const).find((name) => !isLimit(data[name]));
};

const shapes: { readonly [Type in EventType]: EventShape } = {
  ...serviceShapes,
  ...interfaceShapes,
  StateSet: { category: 'state', fault: stateSetFault },
  StateDeleted: { category: 'state', fault: ({ reason }) => (isOptionalText(reason) ? undefined : 'reason') },
  MessagePublished: { category: 'topic', fault: publishedFault },
  ...subscriptionShapes,
  LeaseTaken: {
    category: 'node',
    fault: ({ epoch, ttlMs, url }) => {
      if (!isText(epoch)) return 'epoch';
      if (!Number.isSafeInteger(ttlMs)) return 'ttlMs';
      return url === null || isText(url) ? undefined : 'url';
    },
  },
  LeaseReleased: {
    category: 'node',
    fault: (data) => (!isText(data.epoch) ? 'epoch' : !isText(data.by) ? 'by' : reasonFault(data)),
  },
  RetentionSet: { category: 'nexus', fault: retentionSetFault },
  RetentionRemoved: { category: 'nexus', fault: (data) => (isText(data.topic) ? undefined : 'topic') },
  ...trimShapes,
  ...statePolicyShapes,
  ...pluginShapes,
  ...auditShapes,
  LogCreated: { category: 'nexus', fault: (data) => (isText(data.logId) ? undefined : 'logId') },
};

const schemaOfShape = (shape: EventShape): number => (shape.upcasts?.length ?? 0) + 1;

/** The schema that is written today: `metadata.schema` of a new event of that type. */
export const schemaOf = (type: EventType): number => schemaOfShape(shapes[type]);

const malformed = (event: LogEvent, what: string): Decoded => ({
  ok: false,
  reason: `${event.type} ${event.id} (${event.stream}, revision ${event.revision}): ${what}`,
});

/**
 * Makes the decode step of a catalog: the one place where `unknown` data becomes an event's.
 *
 * The event of the log is handed on as it is when its schema is today's; an older one is upcast into a copy. Never throws.
 */
export const createDecoder = (catalog: Readonly<Record<string, EventShape>>) => {
  const byType = new Map(Object.entries(catalog));
  return (event: LogEvent): Decoded => {
    const shape = byType.get(event.type);
    if (shape === undefined) return { ok: true, known: false, event };
    const { category } = shape;
    if (!event.stream.startsWith(category) || event.stream.charCodeAt(category.length) !== 45)
      return malformed(event, `it does not belong in this stream, but in ${category}-…`);
    if (!isData(event.data)) return malformed(event, 'its data is not an object');
    const { schema } = event.metadata;
    const newest = schemaOfShape(shape);
    if (!Number.isInteger(schema) || schema < 1 || schema > newest)
      return malformed(event, `its schema is ${schema}, and this version reads 1 to ${newest}`);
    let data: Data = event.data;
    if (schema < newest) for (const upcast of shape.upcasts?.slice(schema - 1) ?? []) data = upcast(data);
    const wrong = shape.fault(data, event);
    if (wrong !== undefined) return malformed(event, `data/${wrong} has the wrong shape`);
    const decoded = data === event.data ? event : { ...event, data };
    return { ok: true, known: true, event: decoded as RecordedEvent<AnyEvent> };
  };
};

/** Decodes an event of the log to the shape that its type promises; see `Decoded`. */
export const decodeEvent = createDecoder(shapes);
