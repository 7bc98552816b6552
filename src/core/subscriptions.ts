import { allows } from '../../domain/access.ts';
import { asPosition, parsePosition } from '../../domain/event.ts';
import { isSubscriptionName } from '../../domain/names.ts';
import { settingsOf } from '../../domain/subscription/settings.ts';
import { letterIdPrefix, letterKey, lettersOf } from '../../projections/dead-letters.ts';
import type {
  DeadLetterDocument,
  DeadLetterIdDocument,
  SubscriptionDocument,
} from '../../projections/documents.ts';
import { pullSchema, settleSchema } from '../command/subscription-schemas.ts';
import { fault, invalid, ok, type Result } from '../errors.ts';
import type { Context } from '../nexus-core.ts';
import type {
  Consumption,
  DeadLetterQuery,
  DeadLetterView,
  Delivery,
  Subscription,
  SubscriptionApi,
} from '../nexus-subscriptions.ts';
import { markDelivered } from '../tracing/deliveries.ts';
import { demand } from './demand.ts';
import { maxPageBytes, weigh } from './pages.ts';
import type { Parts } from './parts.ts';
import { clampLimit, maxLimit, type Reads } from './reads.ts';
import { explainSubscription } from './refusals.ts';
import { validate } from './validate.ts';

const model = 'subscriptions';
const defaultMax = 100;
const maxHeld = 1_000;
/** As long as a publisher may make it. */
const maxMessageId = 128;
/** Dead letters that one page looks at: a page is bounded however few of them match. */
const maxScanned = 20_000;

/** A subscription as clients see it: the document, and what the node that serves it knows. */
export const viewOf = async (
  { subscriptions }: Pick<Parts, 'subscriptions'>,
  document: SubscriptionDocument,
): Promise<Subscription> => {
  const server = await subscriptions.server(document.name);
  const live = server.ok ? await server.value.live() : undefined;
  return {
    name: document.name,
    ...settingsOf(document),
    status: document.status === 'paused' ? 'paused' : 'active',
    createdAt: document.createdAt,
    createdBy: document.createdBy,
    owner: document.owner?.node ?? null,
    position: live?.position ?? asPosition(document.from),
    lagEvents: live?.lagEvents ?? null,
    inFlight: live?.inFlight ?? null,
    gap: live?.gap ?? null,
    deadLetters: document.deadLetters,
  };
};

const letterView = (document: DeadLetterDocument): DeadLetterView => ({
  messageId: document.messageId,
  message: document.message,
  attempts: document.attempts,
  errors: document.errors,
  redrives: document.redrives,
  ...(document.replay === undefined ? {} : { replay: document.replay }),
  deadLetteredAt: document.deadLetteredAt,
  position: document.messagePosition,
});

/** A cursor is the position of the last dead letter of the page. */
const cursorOf = (position: string): string => Buffer.from(position).toString('base64url');
/** Takes the position of a dead letter too, which each of them tells. */
const parseCursor = (text: string): string | undefined =>
  parsePosition(text) ?? parsePosition(Buffer.from(text, 'base64url').toString());

/** The subscription that a subject may use: its topics are what it needs the scope for. */
export const findSubscription = (
  { runner }: Pick<Parts, 'runner'>,
  name: string,
  context: Context,
): Result<SubscriptionDocument> => {
  const document = isSubscriptionName(name)
    ? runner.store.read<SubscriptionDocument>(model, name)
    : undefined;
  if (document === undefined || document.status === 'deleted') {
    return fault(explainSubscription(name)({ code: 'not_found' }));
  }
  return demand(context, { scope: 'events:read', topic: document.topic }) ?? ok(document);
};

/** The same batches; `tell` is called with each as it is taken. */
async function* told(
  batches: AsyncIterable<readonly Delivery[]>,
  tell: (batch: readonly Delivery[]) => void,
): AsyncGenerator<readonly Delivery[], void, undefined> {
  for await (const batch of batches) {
    tell(batch);
    yield batch;
  }
}

export const createSubscriptionApi = (parts: Parts, reads: Reads): SubscriptionApi => {
  const { runner, subscriptions, meters, tracing } = parts;

  const took = (name: string, deliveries: readonly Delivery[]): void => {
    if (tracing !== undefined) markDelivered(tracing, name, deliveries);
    for (const { attempt } of deliveries) meters.deliveries.add(attempt === 1 ? 'first' : 'again');
  };

  const find = (name: string, context: Context): Result<SubscriptionDocument> =>
    findSubscription(parts, name, context);

  const read = async (name: string, context: Context): Promise<Result<SubscriptionDocument>> => {
    const at = await reads.ready(context);
    return at.ok ? find(name, context) : at;
  };

  const lettersOfMessage = (
    { name, created }: SubscriptionDocument,
    messageId: string,
  ): readonly DeadLetterView[] => {
    const letters: DeadLetterView[] = [];
    if (messageId.length > maxMessageId) return letters;
    const prefix = letterIdPrefix(name, messageId);
    for (const [, { messagePosition }] of runner.store.range<DeadLetterIdDocument>('dead-letter-ids', {
      prefix,
    })) {
      const key = letterKey(name, messagePosition);
      const document = runner.store.read<DeadLetterDocument>('dead-letters', key);
      if (document !== undefined && document.letter >= created) letters.push(letterView(document));
      if (letters.length === maxLimit) break;
    }
    return letters;
  };

  return {
    async subscription(name, context) {
      const found = await read(name, context);
      return found.ok ? ok(await viewOf(parts, found.value)) : found;
    },

    async subscriptions(context) {
      const at = await reads.ready(context);
      if (!at.ok) return at;
      const documents: SubscriptionDocument[] = [];
      for (const [, document] of at.value.store.range<SubscriptionDocument>(model)) {
        if (document.status === 'deleted') continue;
        if (allows(context.subject, { scope: 'events:read', topic: document.topic }))
          documents.push(document);
      }
      const views = await Promise.all(documents.map((document) => viewOf(parts, document)));
      return ok({ subscriptions: views, position: at.value.position });
    },

    async pull(name, data, context, signal = new AbortController().signal) {
      const found = find(name, context);
      if (!found.ok) return found;
      const input = validate(pullSchema, data ?? {});
      if (!input.ok) return input;
      const server = await subscriptions.server(name);
      if (!server.ok) return server;
      const { max, waitMs } = input.value;
      const pulled = await server.value.pull(max, waitMs, signal);
      if (!pulled.ok) return pulled;
      took(name, pulled.value);
      return ok({ deliveries: pulled.value });
    },

    async settle(how, name, data, context) {
      const found = find(name, context);
      if (!found.ok) return found;
      const input = validate(settleSchema, data);
      if (!input.ok) return input;
      const { deliveries, ...options } = input.value;
      if (options.delayMs !== undefined && how !== 'nak') return invalid('/delayMs', 'is for nak alone');
      const server = await subscriptions.server(name);
      return server.ok ? server.value.settle(how, deliveries, options) : server;
    },

    async giveBack(name, deliveries, context) {
      if (!find(name, context).ok) return;
      const server = await subscriptions.server(name);
      if (server.ok) await server.value.giveBack(deliveries);
    },

    async consume(name, { max = defaultMax, signal }, context): Promise<Result<Consumption>> {
      const found = find(name, context);
      if (!found.ok) return found;
      if (!Number.isInteger(max) || max < 1 || max > maxHeld) {
        return invalid('/max', `must be a whole number from 1 to ${maxHeld}`);
      }
      const consuming = await subscriptions.consume(name, max, signal);
      if (!consuming.ok) return consuming;
      const { topic, from } = found.value;
      const { position = asPosition(from), deliveries } = consuming.value;
      return ok({
        subscription: name,
        topic,
        position,
        deliveries: told(deliveries, (batch) => took(name, batch)),
      });
    },

    served: (name) => subscriptions.own(name),

    async deadLetters(name: string, query: DeadLetterQuery, context: Context) {
      const found = await read(name, context);
      if (!found.ok) return found;
      const from = query.cursor === undefined ? undefined : parseCursor(query.cursor);
      if (query.cursor !== undefined && from === undefined) {
        return invalid('/cursor', 'must be one that a page of this list has given');
      }
      const limit = clampLimit(query.limit);
      const { errorLike, messageId } = query;
      if (messageId !== undefined) return ok({ deadLetters: lettersOfMessage(found.value, messageId) });
      const prefix = lettersOf(name);
      const range = from === undefined ? { prefix } : { prefix, after: `${prefix}${from}` };
      const letters: DeadLetterView[] = [];
      let last: string | undefined;
      let scanned = 0;
      let bytes = 0;
      for (const [, document] of runner.store.range<DeadLetterDocument>('dead-letters', range)) {
        if (letters.length === limit || scanned === maxScanned || bytes >= maxPageBytes) {
          return ok({ deadLetters: letters, ...(last === undefined ? {} : { cursor: cursorOf(last) }) });
        }
        scanned++;
        last = document.messagePosition;
        // Of a subscription of this name that was deleted.
        if (document.letter < found.value.created) continue;
        if (errorLike !== undefined && !document.error.includes(errorLike)) continue;
        letters.push(letterView(document));
        bytes += weigh(document.message.payload);
      }
      return ok({ deadLetters: letters });
    },
  };
};
