import type { Json } from '../../../domain/event.ts';
import { binaryOf, isBinaryMode, parseBinary } from '../../bus/cloudevents/binary.ts';
import type { CloudEvent } from '../../bus/cloudevents/event.ts';
import { cloudEventOf, messageInputOf } from '../../bus/cloudevents/message.ts';
import {
  batchType,
  parseBatch,
  parseStructured,
  structuredOf,
  structuredType,
} from '../../bus/cloudevents/structured.ts';
import { type Problem, ProblemError, problem, type Result, within } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { mediaTypeOf } from '../../media-type.ts';
import type { CommandInput, Message, NexusCore } from '../../nexus-core.ts';
import type { Delivery } from '../../nexus-subscriptions.ts';
import { readBytes, readJson, unsupported } from '../body.ts';
import { contextOf } from '../context.ts';
import { problemBody, problemOf, statusOf } from '../problem.ts';
import { createFrames } from '../tails.ts';
import { type RestContext, sendJson, unwrap } from './answer.ts';
import { commandIdOf } from './idempotency.ts';

/** How the body of a request is one CloudEvent or several (HTTP protocol binding, section 3); undefined: it is none. */
export type ContentMode = 'structured' | 'batched' | 'binary' | undefined;

/** @throws {ProblemError} `unsupported_media_type` for a format that the hub does not read. */
export const contentModeOf = ({ req }: RestContext): ContentMode => {
  const contentType = req.headers['content-type'] ?? '';
  const type = contentType === 'application/json' ? contentType : mediaTypeOf(contentType).type;
  if (!type.startsWith('application/cloudevents')) return isBinaryMode(req.headers) ? 'binary' : undefined;
  if (type === structuredType) return 'structured';
  if (type === batchType) return 'batched';
  throw unsupported('The format of the CloudEvent is unknown', { contentType: type }, [
    structuredType,
    batchType,
  ]);
};

/** The input of PublishMessage for the one event that a request carries. */
export const readCloudEvent = async (
  ctx: RestContext,
  mode: 'structured' | 'binary',
  topic: string,
): Promise<CommandInput> => {
  const event =
    mode === 'structured'
      ? parseStructured(await readJson(ctx.req, [structuredType]))
      : await readBinary(ctx);
  return publishOf(unwrap(event), topic);
};

const readBinary = async ({ req }: RestContext): Promise<Result<CloudEvent>> => {
  const body = await readBytes(req);
  const contentType = req.headers['content-type'];
  if (body !== undefined && contentType === undefined) throw unsupported('The body needs a Content-Type', {});
  return parseBinary(req.headersDistinct, contentType, body);
};

const publishOf = (event: CloudEvent, topic: string): CommandInput => ({
  type: 'PublishMessage',
  data: { topic, ...messageInputOf(event) },
});

type Entry = Readonly<Record<string, unknown>> & { readonly status: number };

/**
 * Publishes each event of a batch by itself, in the order of the batch, and answers for each. When one was not
 * published the answer is its fault, so that nobody takes a part for the whole; the batch may be sent again, as what is
 * there already is not published twice.
 */
export const publishBatch = async (
  ctx: RestContext,
  core: NexusCore,
  topic: string,
  logger: Logger,
): Promise<void> => {
  const events = unwrap(parseBatch(await readJson(ctx.req, [batchType])));
  const context = contextOf(ctx);
  const faults: Problem[] = [];
  let position = '';
  let replayed = 0;
  let created = false;

  const refused = (fault: Problem): Entry => {
    faults.push(fault);
    return { ...problemBody(fault), status: statusOf(fault) };
  };
  const publish = async (event: Result<CloudEvent>, index: number): Promise<Entry> => {
    if (!event.ok) return refused(within(`/${index}`, event.problem));
    const commandId = commandIdOf(ctx, index);
    const command = publishOf(event.value, topic);
    try {
      const done = await core.execute(commandId === undefined ? command : { ...command, commandId }, context);
      if (!done.ok) return refused(done.problem);
      const { value } = done;
      if (value.position > position) position = value.position;
      if (value.duplicate && commandId !== undefined) replayed++;
      const isNew = value.created || commandId !== undefined;
      created ||= isNew;
      return { status: isNew ? 201 : 200, ...resultOf(value.result) };
    } catch (error) {
      return refused(problemOf(error, logger));
    }
  };
  // Handed to the log one after another, without waiting: they are in its order, and share its sync.
  const results = await Promise.all(events.map(publish));

  if (position !== '') ctx.res.setHeader('X-Nexus-Position', position);
  const worst = faults.find((fault) => statusOf(fault) >= 500) ?? faults[0];
  if (worst === undefined) {
    if (replayed > 0 && replayed === results.length) ctx.res.setHeader('Idempotent-Replayed', 'true');
    sendJson(ctx, created ? 201 : 200, { results });
    return;
  }
  const errors = faults.flatMap(errorsOf).slice(0, 20);
  const detail = `${faults.length} of ${results.length} events were not published: ${worst.detail}`;
  const facts = { ...worst.facts, ...(errors.length > 0 ? { errors } : {}), results };
  throw new ProblemError(problem(worst.code, detail, facts));
};

const resultOf = (result: Json): object => (typeof result === 'object' && result !== null ? result : {});

const errorsOf = ({ facts }: Problem): readonly unknown[] =>
  Array.isArray(facts?.errors) ? facts.errors : [];

const structured = (message: Message): Readonly<Record<string, Json>> => structuredOf(cloudEventOf(message));

/** A live tail's events, each in the JSON format. */
export const cloudEventFrames = createFrames(structured);

/** A page in the batch format, which has no place for where the next one begins: `Link` says that. */
export const sendBatch = (
  ctx: RestContext,
  page: { readonly events: readonly Message[]; readonly position: string; readonly more: boolean },
  query: { readonly topic?: string; readonly limit?: number },
): void => {
  ctx.res.setHeader('X-Nexus-Position', page.position);
  if (page.more) {
    const next = new URLSearchParams({ after: page.position });
    if (query.topic !== undefined) next.set('topic', query.topic);
    if (query.limit !== undefined) next.set('limit', String(query.limit));
    ctx.res.setHeader('Link', `</events?${next}>; rel="next"`);
  }
  send(ctx, batchType, page.events.map(structured));
};

/**
 * Deliveries in the batch format: what settles one, and its attempt, are extension attributes of the event
 * (`nexusdelivery`, `nexusattempt`).
 */
export const sendDeliveries = (ctx: RestContext, deliveries: readonly Delivery[]): void => {
  const events = deliveries.map(({ delivery, attempt, message }) => ({
    ...structured(message),
    nexusdelivery: delivery,
    nexusattempt: attempt,
  }));
  send(ctx, batchType, events);
};

/** One message as an event. What binary mode cannot hold is sent structured: the reader tells by Content-Type. */
export const sendCloudEvent = (ctx: RestContext, message: Message, mode: 'structured' | 'binary'): void => {
  const event = cloudEventOf(message);
  const binary = mode === 'binary' ? binaryOf(event) : undefined;
  if (binary === undefined) {
    send(ctx, structuredType, structuredOf(event));
    return;
  }
  for (const [name, value] of Object.entries(binary.headers)) ctx.res.setHeader(name, value);
  // The publisher has chosen the type and the bytes: no browser shall show them as a page of this host.
  ctx.res.setHeader('Content-Disposition', 'attachment');
  ctx.status = 200;
  ctx.body = binary.body;
  // Koa names a type where there is none, which would be an attribute of the event.
  if (binary.headers['content-type'] === undefined) ctx.res.removeHeader('Content-Type');
};

const send = (ctx: RestContext, type: string, value: unknown): void => {
  ctx.res.setHeader('Content-Type', type);
  ctx.status = 200;
  ctx.body = JSON.stringify(value);
};
