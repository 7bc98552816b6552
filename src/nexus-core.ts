import type { Subject } from '../domain/access.ts';
import type { Json, LogEvent, Position } from '../domain/event.ts';
import type { RetentionPolicy } from '../domain/retention/retention.ts';
import type { InterfaceVersion, ServiceDocument, TopicDocument } from '../projections/documents.ts';
import type { MessageView, StateEntryView, StateVersionView } from '../projections/views.ts';
import type { Beat } from './bus/remote/protocol.ts';
import type { CommandType } from './command/catalog.ts';
import type { Config } from './config.ts';
import type { Result } from './errors.ts';
import type { Durability, LogKind } from './log/event-log.ts';
import type { PartApis } from './nexus-parts.ts';
import type { ToldAttempt, ToldCall } from './registry/nodes/remote-calls.ts';
import type { CallAnswer, Channel } from './registry/socket/channel.ts';
import type { MaintenanceFacts } from './retention/maintenance.ts';

/** Who asks, and what the answer is traced by. Every protocol makes one per request or frame. */
export type Context = {
  readonly subject: Subject;
  readonly correlationId: string;
  readonly causationId?: string;
  readonly traceparent?: string;
  /** Reads wait until the read models have reached it (5 s at most, then `not_caught_up`). */
  readonly minPosition?: Position;
  /** `strong`: reads show at least what the log has when they are asked, on a log of several nodes too. */
  readonly consistency?: 'strong';
  /** The asker asks again by another way when this is refused: a refusal counts there. */
  readonly tentative?: true;
  /** The context is of one request and its reads belong together: they ask once between them where the log is. */
  readonly together?: true;
  /** Aborts when the asker is gone, or with the `ProblemError` that what waits is to answer. */
  readonly signal?: AbortSignal;
};

export type CommandInput = {
  readonly type: string;
  /** Unchecked: the command's schema decides (`invalid` with a JSON pointer per fault). */
  readonly data: unknown;
  readonly commandId?: string;
  /** Of the request that the command is a part of: by the same `commandId` it is another command if this is another. */
  readonly requestHash?: string;
  /** The stream's newest revision that the caller believes in; another one is `revision_conflict`. */
  readonly expectedRevision?: number;
};

export type EventReceipt = {
  readonly id: string;
  readonly type: string;
  readonly stream: string;
  readonly revision: number;
  readonly position: Position;
};

export type CommandDone = {
  readonly commandId: string;
  readonly type: CommandType;
  readonly events: readonly EventReceipt[];
  /** Of the last event; the stream's newest when the command changed nothing. */
  readonly position: Position;
  /** What the command's REST route answers with; see command/catalog.ts. */
  readonly result: Json;
  /** True when the thing was made by this command (REST answers 201 instead of 200). */
  readonly created: boolean;
  /** True when the log had the events already and nothing was written. */
  readonly duplicate: boolean;
};

/** A service as clients see it: the document and what the registry knows of it at this moment. */
export type Service = Omit<
  ServiceDocument,
  'owner' | 'deregistered' | 'updatedAt' | 'position' | 'falls' | 'servedBy' | 'fieldsAt'
> & {
  readonly load: number | null;
  readonly inFlight: number;
  readonly lastSeenAt: string;
};

/** What is declared under a service's name: the newest interface of each major version. */
export type ServiceInterface = { readonly name: string; readonly interfaces: readonly InterfaceVersion[] };

/** By name; `cursor`: the name behind which the next page begins. */
export type InterfaceList = Page<'interfaces', ServiceInterface> & { readonly cursor?: string };

export type StateEntry = StateEntryView;

export type StateVersion = StateVersionView;

export type Message = MessageView;

/**
 * Newest first. `more`: older versions stand behind the last one; a page of large values is shorter than its limit.
 * `oldestVersion`: what was before it was removed; 1 while nothing was.
 */
export type StateHistory = {
  readonly key: string;
  readonly history: readonly StateVersion[];
  readonly more: boolean;
  readonly oldestVersion: number;
};

/** Text of a position or an RFC 3339 time; undefined is the newest state. Anything else is `invalid`. */
export type AsOf = string | undefined;

export type ServiceFilter = {
  readonly name?: string;
  /** An instance must have all of them. */
  readonly capabilities?: readonly string[];
  readonly status?: string;
  /** A semver range. */
  readonly version?: string;
  readonly tag?: string;
  readonly reach?: string;
  readonly asOf?: AsOf;
  /** With it or a cursor the list comes in pages: 100 unless given, 1 … 1,000. Without both it is whole. */
  readonly limit?: number;
  /** An id: go on behind it, on the list as it is now (or at `asOf`). */
  readonly cursor?: string;
};

/** By id; `cursor` when a page ends before the list does. */
export type ServiceList = Page<'services', Service> & { readonly cursor?: string };

export type Page<Name extends string, Item> = { readonly [name in Name]: readonly Item[] } & {
  readonly position: Position;
};

/** What retention has removed behind `from`: `to` is the newest message of it. What is left before `to` is still there. */
export type Gap = { readonly from: Position; readonly to: Position };

export type Retentions = Page<'policies', RetentionPolicy> & {
  /** What this node has done for them. */
  readonly maintenance: MaintenanceFacts;
};

export type LogQuery = {
  readonly after?: string;
  readonly limit?: number;
  readonly type?: string;
  readonly category?: string;
  readonly stream?: string;
  readonly correlationId?: string;
  readonly from?: string;
  readonly to?: string;
};

export type InvokeInput = {
  readonly method: string;
  readonly data?: Json;
  readonly timeoutMs?: number;
  readonly capability?: string;
};

/** What of the caller's request bears on a call of a service. */
export type CallOptions = {
  /** Aborted when the caller is gone: the request at the instance is cancelled. */
  readonly signal?: AbortSignal;
  /** What is left to the caller by its own account. */
  readonly leftMs?: number;
  /** W3C Trace Context, beside the context's `traceparent`. */
  readonly tracestate?: string;
};

export type Invoked = {
  readonly result: Json;
  readonly instance: string;
  readonly attempts: number;
  readonly durationMs: number;
};

/** One connection over which services are called (docs/protocol.md). */
export type Serving = {
  /** @param data `{ service, max? }`. Resolves once the service is healthy, or that could not be written. */
  serve(data: unknown, context: Context): Promise<Result<{ readonly service: string; readonly max: number }>>;
  /** Its calls that are under way may still be answered. */
  stop(service: string): Result<undefined>;
  /** `stale_call` when nobody waits for it any more, `not_found` when there never was such a call. */
  answer(call: number, answer: CallAnswer): Result<undefined>;
  /** The subject's scopes are others now: what it may no longer serve ends. */
  authorise(context: Context): void;
  /** No further call comes; resolves once the last one was answered, or given up. */
  drain(): Promise<void>;
  /** The connection is closed: what is under way is broken. */
  close(): void;
};

export type FromNodes = {
  /** Heartbeats that another node has heard. */
  beats(beats: readonly Beat[]): void;
  /** A call of an instance whose WebSocket is open to this node. Never rejects. */
  call(call: ToldCall, signal: AbortSignal): Promise<ToldAttempt>;
};

export type RequestOptions = {
  /** Ends the wait: with the problem of a `ProblemError` that it aborts with, else with `no_reply`. */
  readonly signal?: AbortSignal;
  /** Called once the request is durable, before its reply is waited for; never for one that is refused. */
  readonly onPublished?: () => void;
};

/** The reply to a request, without the headers that are the hub's own. */
export type Replied = {
  /** The request's messageId. */
  readonly requestId: string;
  readonly payload: Json;
  readonly headers: Readonly<Record<string, string>>;
  /** Who replied. */
  readonly publisher: string;
  /** Of the reply. */
  readonly position: Position;
  readonly durationMs: number;
};

export type ReplyReceipt = {
  readonly messageId: string;
  readonly requestId: string;
  readonly position: Position;
  /** True when this very reply stood in the log already. */
  readonly duplicate: boolean;
};

export type Health = {
  readonly status: 'ok' | 'degraded' | 'down';
  readonly version: string;
  readonly uptimeSec: number;
  readonly node: string;
  readonly log: {
    readonly kind: LogKind;
    readonly reachable: boolean;
    readonly position: Position | null;
    readonly durability: Durability;
  };
  readonly projections: readonly {
    readonly name: string;
    readonly position: Position | null;
    readonly lagEvents: number;
  }[];
};

/** What a watcher hands out: batches in log order, each item once. */
export type Watched<Item> =
  | { readonly type: 'items'; readonly items: readonly Item[]; readonly position: Position }
  /** Once: what stood in the log when the watch began has been handed out. */
  | { readonly type: 'caughtUp'; readonly position: Position }
  /** What stood between was truncated and cannot be had: said, never skipped in silence. */
  | { readonly type: 'gap'; readonly from: Position; readonly to: Position };

/**
 * `after` is the text of a position, `start`, or absent for only what is new. The iterable is pull-based: whoever
 * stops pulling is fed from the log later, at its own pace. Return or abort `signal` to release it.
 */
export type WatchInput = { readonly after?: string | undefined; readonly signal: AbortSignal };

export type Watch<Item> = {
  /** From where on items come: what `subscribed`, `watching`, `tailing` tell the client. */
  readonly position: Position;
  readonly items: AsyncIterable<Watched<Item>>;
};

export type StateChange = {
  readonly key: string;
  readonly value: Json;
  /** Null when there was none, or when it is no longer kept. */
  readonly oldValue: Json;
  readonly version: number;
  readonly deleted: boolean;
  readonly position: Position;
};

export type ServiceChange = {
  readonly change: 'registered' | 'updated' | 'status' | 'circuit' | 'deregistered';
  readonly service: Service;
  readonly position: Position;
};

/**
 * The hub, without any protocol: what REST, GraphQL, WebSocket and ZeroMQ are thin hosts over, and what a Node
 * program embeds. Each operation checks the subject's scopes first (`forbidden` names the missing one), then its
 * input, and answers a `Problem` as a value. Only broken infrastructure throws (`LogError`).
 */
export type NexusCore = PartApis & {
  readonly config: Config;
  readonly node: string;

  execute(command: CommandInput, context: Context): Promise<Result<CommandDone>>;
  heartbeat(
    id: string,
    data: unknown,
    context: Context,
  ): Promise<Result<{ readonly ttlSec: number | null; readonly status: string }>>;
  invoke(service: string, data: unknown, context: Context, options?: CallOptions): Promise<Result<Invoked>>;
  /** What other nodes of the log ask for, and tell. */
  readonly fromNodes: FromNodes;
  /** Services that have no address are called over connections that they open. */
  openServing(channel: Channel): Serving;
  /**
   * Publishes a message and waits for the reply to it (`no_reply` when none comes in time, `upstream_failed` when the
   * reply says that the request failed). It is handed to the log before this returns for the first time.
   *
   * @param data the body of `POST /requests/{topic}`.
   */
  request(topic: string, data: unknown, context: Context, options?: RequestOptions): Promise<Result<Replied>>;
  /**
   * Replies to a request, once for each: whoever holds its address may, whatever their scopes are.
   *
   * @param data the body of `POST /replies`.
   */
  reply(data: unknown, context: Context): Promise<Result<ReplyReceipt>>;

  state(
    key: string,
    options: { readonly version?: number; readonly asOf?: AsOf },
    context: Context,
  ): Result<StateEntry> | Promise<Result<StateEntry>>;
  stateHistory(
    key: string,
    options: { readonly limit?: number; readonly before?: number },
    context: Context,
  ): Promise<Result<StateHistory>>;
  service(id: string, options: { readonly asOf?: AsOf }, context: Context): Promise<Result<Service>>;
  services(filter: ServiceFilter, context: Context): Promise<Result<ServiceList>>;
  serviceInterface(name: string, context: Context): Promise<Result<ServiceInterface>>;
  serviceInterfaces(
    options: { readonly limit?: number; readonly cursor?: string },
    context: Context,
  ): Promise<Result<InterfaceList>>;
  topics(context: Context): Promise<Result<Page<'topics', TopicDocument>>>;
  messages(
    options: {
      readonly topic?: string;
      readonly after?: string;
      readonly from?: string;
      readonly limit?: number;
    },
    context: Context,
  ): Promise<Result<Page<'events', Message> & { readonly more: boolean; readonly gap?: Gap }>>;
  /** The message at `position`; `not_found` when none stands there. */
  message(position: string, context: Context): Promise<Result<Message>>;
  /** The limits that were set for exactly this pattern. */
  retention(topic: string, context: Context): Promise<Result<RetentionPolicy>>;
  retentions(context: Context): Promise<Result<Retentions>>;
  stream(
    stream: string,
    options: {
      readonly from?: number;
      readonly limit?: number;
      readonly direction?: 'forwards' | 'backwards';
    },
    context: Context,
  ): Promise<
    Result<{ readonly stream: string; readonly events: readonly LogEvent[]; readonly more: boolean }>
  >;
  log(
    query: LogQuery,
    context: Context,
  ): Promise<Result<Page<'events', LogEvent> & { readonly more: boolean }>>;

  watchMessages(topic: string, input: WatchInput, context: Context): Promise<Result<Watch<Message>>>;
  watchState(
    selector: { readonly key: string } | { readonly prefix: string },
    input: WatchInput,
    context: Context,
  ): Promise<Result<Watch<StateChange>>>;
  watchServices(
    name: string | undefined,
    input: WatchInput,
    context: Context,
  ): Promise<Result<Watch<ServiceChange>>>;
  watchEvents(
    selector: { readonly stream: string } | { readonly category: string } | { readonly all: true },
    input: WatchInput,
    context: Context,
  ): Promise<Result<Watch<LogEvent>>>;

  health(): Promise<Health>;
  /**
   * Tells the core which ports its hosts listen on, as they are never the target of a call or a probe, and where the other
   * nodes of a shared log reach its gateway.
   */
  listensOn(ports: readonly number[], url?: string): void;
  /** Consumers of durable subscriptions that leave from now on do so because the hub goes away: nothing has failed. */
  quiesce(): void;
  /** True once the read models serve. */
  readonly ready: boolean;
  close(): Promise<void>;
};
