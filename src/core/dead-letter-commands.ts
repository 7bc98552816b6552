import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LogEvent, Position, StreamId } from '../../domain/event.ts';
import type { LetterRef, SubscriptionCommand } from '../../domain/subscription/subscription.ts';
import { letterIdPrefix, letterKey, lettersOf } from '../../projections/dead-letters.ts';
import type {
  DeadLetterDocument,
  DeadLetterIdDocument,
  RemovalDocument,
  SubscriptionDocument,
} from '../../projections/documents.ts';
import { removalKey } from '../../projections/removals.ts';
import type { Command } from '../command/catalog.ts';
import type { Handler } from '../command/handle.ts';
import { fault, ok, problem, type Result } from '../errors.ts';
import type { EventReceipt } from '../nexus-core.ts';
import type { Runner } from '../projection/runner.ts';
import { type Call, type Done, optionsOf, ownReadModelsMs } from './command-call.ts';
import type { Deciders } from './deciders.ts';
import { demand } from './demand.ts';
import type { Parts } from './parts.ts';
import { explainSubscription, mismatchOf, receiptsOf, receiptsOfRecorded, refusalOf } from './refusals.ts';

type Input = Extract<Command, { readonly type: 'RedriveDeadLetters' | 'DiscardDeadLetters' }>;

/** Letters of one event, and documents that one look goes through without awaiting. */
const chunkLetters = 500;
const lookLetters = 2_000;
const maxStale = 32;

/** Letters picked from a list, and the key behind which the list goes on; undefined at its end. */
type Pick = { readonly letters: readonly LetterRef[]; readonly next: string | undefined };

const refOf = ({ messageId, messagePosition, letter }: DeadLetterDocument): LetterRef => ({
  messageId,
  position: messagePosition,
  letter: Number(letter),
});

/** What a command means: letters of the subscription as it is now, dead at or before `through`. */
type Meant = { readonly input: Input; readonly created: number; readonly through: string };

const isMeant = ({ created, through }: Meant, { letter, position }: DeadLetterDocument): boolean =>
  letter >= created && position <= through;

const pickById = ({ store }: Runner, meant: Meant, ids: readonly string[]): Pick => {
  const { name } = meant.input.data;
  const letters: LetterRef[] = [];
  for (const messageId of new Set(ids)) {
    const prefix = letterIdPrefix(name, messageId);
    for (const [, { messagePosition }] of store.range<DeadLetterIdDocument>('dead-letter-ids', { prefix })) {
      const document = store.read<DeadLetterDocument>('dead-letters', letterKey(name, messagePosition));
      if (document !== undefined && isMeant(meant, document)) letters.push(refOf(document));
      if (letters.length === chunkLetters) return { letters, next: undefined };
    }
  }
  return { letters, next: undefined };
};

/** Up to 500 of those that are meant, behind the list's key `after`. */
const pick = (runner: Runner, meant: Meant, after: string | undefined): Pick => {
  const { name, messageIds, errorLike } = meant.input.data;
  if (messageIds !== undefined) return pickById(runner, meant, messageIds);
  const letters: LetterRef[] = [];
  let looked = 0;
  const range = { prefix: lettersOf(name), ...(after === undefined ? {} : { after }) };
  for (const [key, document] of runner.store.range<DeadLetterDocument>('dead-letters', range)) {
    looked++;
    const isLike = errorLike === undefined || document.error.includes(errorLike);
    if (isLike && isMeant(meant, document)) letters.push(refOf(document));
    if (letters.length === chunkLetters || looked === lookLetters) return { letters, next: key };
  }
  return { letters, next: undefined };
};

const lettersIn = (event: LogEvent | undefined): number => {
  const data: unknown = event?.data;
  return typeof data === 'object' && data !== null && 'letters' in data && Array.isArray(data.letters)
    ? data.letters.length
    : 0;
};
const throughIn = (event: LogEvent | undefined): string | undefined => {
  const data: unknown = event?.data;
  return typeof data === 'object' && data !== null && 'through' in data && typeof data.through === 'string'
    ? data.through
    : undefined;
};

/**
 * Redrives or discards dead letters, 500 to an event, until none is left of those that are meant and stood there when the
 * command came. Which ones an event names is decided on the number of such events before it, so two commands at once
 * never take the same letter; what dies meanwhile is left alone.
 */
export const createLetterCommands = (
  { log, runner }: Parts,
  handler: Handler,
  decider: Deciders['subscription'],
) => {
  const commandOf = (
    input: Input,
    letters: readonly LetterRef[],
    through: string,
    removals: number,
  ): SubscriptionCommand => {
    if (input.type === 'DiscardDeadLetters') return { type: input.type, letters, through, removals };
    const { payload } = input.data;
    return payload === undefined
      ? { type: input.type, letters, through, removals }
      : { type: input.type, letters, through, removals, payload };
  };

  return async (input: Input, stream: StreamId, call: Call): Promise<Result<Done>> => {
    const { name } = input.data;
    const documentOf = (): SubscriptionDocument | undefined =>
      runner.store.read<SubscriptionDocument>('subscriptions', name);
    const first = documentOf();
    if (first === undefined) return fault(explainSubscription(name)({ code: 'not_found' }));
    if (input.type === 'RedriveDeadLetters' && input.data.payload !== undefined) {
      // Another payload is as good as a message of one's own.
      const denied = demand(call.context, { scope: 'events:publish', topic: first.topic });
      if (denied !== undefined) return denied;
    }

    let through: string = runner.position;
    let position: Position = first.position;
    let done = 0;
    let chunk = 0;
    const events: EventReceipt[] = [];
    const options = () => optionsOf(call, stream, 'chunk', String(chunk));
    const write = (letters: readonly LetterRef[]) =>
      handler.handle(
        decider,
        stream,
        commandOf(input, letters, through, documentOf()?.removals ?? 0),
        options(),
      );
    /** What the same command has written before under the number of this chunk. */
    const before = async (): Promise<readonly LogEvent[]> => {
      const { eventId } = options();
      if (eventId === undefined) return [];
      const key = removalKey(name, eventId(0));
      const document = runner.store.read<RemovalDocument>('removals', key);
      if (document !== undefined) return log.readStream(stream, { from: document.revision, limit: 1 });
      const outcome = await write([]);
      return outcome.outcome === 'repeated' ? outcome.recorded : [];
    };
    const repeat = (recorded: readonly LogEvent[]): ReturnType<typeof mismatchOf> => {
      const [event] = recorded;
      const refused = mismatchOf(event, call.metadata);
      if (refused !== undefined) return refused;
      through = throughIn(event) ?? through;
      written(receiptsOfRecorded(recorded), lettersIn(event));
      return undefined;
    };
    const written = (receipts: readonly EventReceipt[], letters: number): void => {
      events.push(...receipts);
      position = events.at(-1)?.position ?? position;
      done += letters;
      chunk++;
    };

    // What the same command has written before, if it came before; it goes on where that ended.
    for (let recorded = await before(); recorded.length > 0; recorded = await before()) {
      const refused = repeat(recorded);
      if (refused !== undefined) return refused;
    }
    const repeated = chunk > 0;

    let after: string | undefined;
    for (let stale = 0; ; ) {
      const { letters, next } = pick(runner, { input, created: Number(first.created), through }, after);
      if (letters.length === 0) {
        if (next === undefined) break;
        after = next;
        await nextTurn();
        continue;
      }
      const outcome = await write(letters);
      const isStale = outcome.outcome === 'rejected' && outcome.rejection.code === 'stale_list';
      if (outcome.outcome === 'done') {
        stale = 0;
        written(receiptsOf(stream, outcome.events, outcome.appended.events), letters.length);
      } else if (outcome.outcome === 'repeated') {
        // The same command runs twice at once.
        const refused = repeat(outcome.recorded);
        if (refused !== undefined) return refused;
      } else if (outcome.outcome === 'unchanged') break;
      else if (!isStale || ++stale > maxStale) {
        return refusalOf(outcome, stream, explainSubscription(name));
      }
      // The next look must not find what was taken.
      const seen = isStale ? await log.position() : position;
      if (!(await runner.reached(seen, ownReadModelsMs))) {
        const detail = 'the command is recorded, but the read models of this node are behind it';
        return fault(problem('not_caught_up', detail, { position, done }));
      }
    }
    return ok({ events, position, result: { done }, created: false, duplicate: repeated });
  };
};
