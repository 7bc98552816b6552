import * as z from 'zod';
import type { Json } from '../../../domain/event.ts';
import { serviceIdSchema } from '../../command/service-schemas.ts';
import { subscriptionNameSchema } from '../../command/subscription-schemas.ts';
import type { Result } from '../../errors.ts';

/**
 * What nodes of one log say to each other on a WebSocket at /node (docs/protocol.md): JSON text frames. Each request has
 * an id and one answer; deliveries for a member come as they are ready.
 */
export const nodePath = '/node';
export const nodeProtocol = 'nexus-node.v1';

const id = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const name = subscriptionNameSchema;
const deliveries = z.array(z.string().min(1).max(128)).min(1).max(1_000);
const max = z.number().int().min(1).max(1_000);

const beat = z.strictObject({
  service: serviceIdSchema,
  load: z.number().min(0).max(1).optional(),
  status: z.enum(['healthy', 'degraded', 'unhealthy']).optional(),
  metrics: z.record(z.string().max(128), z.number()).optional(),
});
/** What a heartbeat said, as one node tells it to another. */
export type Beat = z.output<typeof beat>;
export const maxBeats = 1_000;

export const requestSchema = z.discriminatedUnion('op', [
  z.strictObject({ id, op: z.literal('pull'), name, max, waitMs: z.number().int().min(0).max(60_000) }),
  /** Of a pull or a call: its asker is gone. */
  z.strictObject({ id, op: z.literal('cancel'), request: id }),
  z.strictObject({
    id,
    op: z.literal('settle'),
    name,
    how: z.enum(['ack', 'nak', 'term', 'extend']),
    deliveries,
    delayMs: z.number().int().min(0).optional(),
    reason: z.string().max(512).optional(),
    durable: z.boolean(),
  }),
  z.strictObject({ id, op: z.literal('giveBack'), name, deliveries }),
  /** Joins the group as a consumer that is known by `member` on this connection. */
  z.strictObject({ id, op: z.literal('join'), name, max, member: id }),
  z.strictObject({ id, op: z.literal('leave'), member: id, blameless: z.boolean() }),
  z.strictObject({ id, op: z.literal('live'), name }),
  z.strictObject({ id, op: z.literal('position'), name }),
  /** Heartbeats that the asking node has heard. */
  z.strictObject({ id, op: z.literal('beats'), beats: z.array(beat).max(maxBeats) }),
  /** A call of an instance whose WebSocket is open to the asked node; ended by a cancel too. */
  z.strictObject({
    id,
    op: z.literal('call'),
    service: serviceIdSchema,
    method: z.string().min(1).max(1_024),
    data: z.custom<Json>((value) => value !== undefined),
    headers: z.record(z.string().max(64), z.string().max(1_024)),
  }),
]);
export type NodeRequest = z.output<typeof requestSchema>;

/** A request without the id that the connection gives it. */
export type NodeCall = NodeRequest extends infer Request
  ? Request extends NodeRequest
    ? Omit<Request, 'id'>
    : never
  : never;

/** Asks another node. @param onSent is told the request's id before it leaves; never called for what was not sent. */
export type AskNode = (
  url: string,
  request: NodeCall,
  options?: { readonly onSent?: (id: number) => void; readonly answerMs?: number },
) => Promise<Result<unknown>>;

/** Which code of src/errors.ts a refusal has is told as text. */
const refusal = z.object({ code: z.string(), detail: z.string() });
export const answerSchema = z.union([
  z.object({ id, ok: z.literal(true), value: z.unknown() }),
  z.object({ id, ok: z.literal(false), problem: refusal }),
  z.object({ member: id, deliveries: z.array(z.unknown()) }),
  /** The group is not served there any more. */
  z.object({ member: id, ended: z.literal(true) }),
]);
export type NodeAnswer = z.output<typeof answerSchema>;

/** Deliveries that fit into a frame of 1 MiB are sent together; a larger message makes a frame of its own. */
export const maxNodeFrameBytes = 4 * 1_048_576;
