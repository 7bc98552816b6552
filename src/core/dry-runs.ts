import { setImmediate as nextTurn } from 'node:timers/promises';
import { allows } from '../../domain/access.ts';
import { streamId } from '../../domain/event.ts';
import { differenceOf } from '../bus/replay/difference.ts';
import { type Effect, effectOfCommand } from '../bus/replay/effects.ts';
import { findFormerEffects, type ScanLimits } from '../bus/replay/former-effects.ts';
import { decodeAddress } from '../bus/requests/address.ts';
import { replySchema, requestSchema } from '../bus/requests/schemas.ts';
import { replyTopicOf } from '../bus/requests.ts';
import type { Command } from '../command/catalog.ts';
import { fault, ok, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import { newId } from '../ids.ts';
import { encodeEvents } from '../log/encode.ts';
import type { CommandInput, Context } from '../nexus-core.ts';
import type {
  Cut,
  DryRun,
  DryRunReport,
  Pretended,
  Replay,
  ReplayApi,
  ReplayStep,
} from '../nexus-replays.ts';
import { roughBytes } from '../rough-bytes.ts';
import { streamRequirement } from './logs.ts';
import type { Parts } from './parts.ts';
import { validate } from './validate.ts';

export type DryRunLimits = ScanLimits & {
  readonly maxMessages: number;
  readonly maxReportBytes: number;
  /** That one hub, and one subject, may have at a time: each holds what it took down. */
  readonly maxRuns: number;
  readonly maxRunsOfSubject: number;
};

export const dryRunLimits: DryRunLimits = {
  maxMessages: 10_000,
  maxEffects: 10_000,
  maxEffectBytes: 16 * 1_048_576,
  maxScanned: 1_000_000,
  maxScanMs: 20_000,
  maxReportBytes: 8 * 1_048_576,
  maxRuns: 8,
  maxRunsOfSubject: 2,
};

export type DryRunsOptions = {
  readonly parts: Pick<Parts, 'log'>;
  readonly replay: ReplayApi['replay'];
  readonly check: (input: CommandInput, context: Context) => Promise<Result<Command>>;
  readonly limits?: DryRunLimits;
};

const causesPerTurn = 64;
/** What came before the first message was caused by none. */
const noCause = '';
const nobodyAsked = problem('not_found', 'the text is not the address of a request');

/** @throws {LogError} `too_large` for what the log would not take. */
const weighWrite = (command: Command): void => {
  const event = { id: newId(), type: command.type, data: command.data };
  const metadata = { actor: '', correlationId: '', causationId: null, node: '', schema: 1 };
  encodeEvents(streamId('topic', 'a'), [{ ...event, metadata }]);
};

/** As much of a command's own result as its input tells. */
const resultOf = ({ type, data }: Command, messageId: string): Pretended['result'] => {
  switch (type) {
    case 'PublishMessage':
      return { messageId, topic: data.topic, position: null };
    case 'SetState':
      return { key: data.key, value: data.value, version: null, position: null };
    case 'DeleteState':
      return { key: data.key, version: null, position: null };
    default:
      return null;
  }
};

/** Dry runs (docs/adr/0022-replay.md): a subscriber at work on history, with nothing written. */
export const createDryRuns = (options: DryRunsOptions): Pick<ReplayApi, 'dryRun'> => {
  const { parts, replay, check, limits = dryRunLimits } = options;
  /** By subject. */
  const running = new Map<string, number>();
  let runs = 0;

  /** How to give it back; undefined when there are too many already. */
  const take = (subject: string): (() => void) | undefined => {
    const own = running.get(subject) ?? 0;
    if (runs >= limits.maxRuns || own >= limits.maxRunsOfSubject) return undefined;
    runs++;
    running.set(subject, own + 1);
    let taken = true;
    return () => {
      if (!taken) return;
      taken = false;
      runs--;
      const left = (running.get(subject) ?? 1) - 1;
      if (left === 0) running.delete(subject);
      else running.set(subject, left);
    };
  };

  const open = (found: Replay, actor: string, stop: () => void, giveBack: () => void): DryRun => {
    /** Their ids, in the order in which they came. */
    const messages = new Set<string>();
    const captured = new Map<string, Effect[]>();
    const cut = new Set<Cut>();
    let [pulled, count, kept, bytes] = [0, 0, 0, 0];
    let last = noCause;

    async function* watched(): AsyncGenerator<ReplayStep, void, undefined> {
      for await (const step of found.steps) {
        if (step.type === 'gap') {
          yield step;
          continue;
        }
        const items = step.items.slice(0, limits.maxMessages - pulled);
        pulled += items.length;
        for (const { messageId } of items) messages.add(messageId);
        last = items.at(-1)?.messageId ?? last;
        if (items.length === step.items.length) {
          yield step;
          continue;
        }
        cut.add('messages');
        const position = items.at(-1)?.position;
        if (position !== undefined) yield { type: 'items', items, position };
        return;
      }
    }

    const capture = (cause: string, effect: Effect): void => {
      count++;
      bytes += roughBytes(effect, limits.maxEffectBytes);
      if (kept >= limits.maxEffects || bytes > limits.maxEffectBytes) {
        cut.add('captured');
        return;
      }
      kept++;
      const effects = captured.get(cause);
      if (effects === undefined) captured.set(cause, [effect]);
      else effects.push(effect);
    };

    const pretend = (command: Command, cause: string, commandId = newId()): Pretended => {
      weighWrite(command);
      capture(cause, effectOfCommand(command));
      const isMessage = command.type === 'PublishMessage';
      const messageId = (isMessage ? command.data.messageId : undefined) ?? newId();
      return {
        commandId,
        result: resultOf(command, messageId),
        ...(isMessage ? { messageId } : {}),
      };
    };

    /** In several turns: all of it may be megabytes. */
    const differences = async (
      former: ReadonlyMap<string, readonly Effect[]>,
    ): Promise<DryRunReport['differences']> => {
      const told: DryRunReport['differences'][number][] = [];
      let size = 0;
      let compared = 0;
      for (const cause of new Set([noCause, ...messages, ...captured.keys()])) {
        if (++compared % causesPerTurn === 0) await nextTurn();
        const difference = differenceOf(former.get(cause) ?? [], captured.get(cause) ?? []);
        if (difference === undefined) continue;
        size += roughBytes(difference, limits.maxReportBytes);
        if (size > limits.maxReportBytes) {
          cut.add('report');
          break;
        }
        told.push({ cause: cause === noCause ? null : cause, ...difference });
      }
      return told;
    };

    return {
      replay: { ...found, steps: watched() },

      async execute(input, context) {
        const cause = context.causationId ?? last;
        const command = await check(input, context);
        return command.ok ? ok(pretend(command.value, cause, input.commandId)) : command;
      },

      async request(topic, data, context) {
        const cause = context.causationId ?? last;
        const checked = validate(requestSchema, data);
        if (!checked.ok) return checked;
        const { timeoutMs: _timeoutMs, ...message } = checked.value;
        const input = { type: 'PublishMessage', data: { ...given(message), topic } };
        const command = await check(input, context);
        if (!command.ok) return command;
        const pretended = pretend(command.value, cause);
        return ok({ ...pretended, ...given({ requestId: pretended.messageId }) });
      },

      async reply(data) {
        const checked = validate(replySchema, data);
        if (!checked.ok) return checked;
        const { replyTo, payload, error } = checked.value;
        const address = decodeAddress(replyTo)?.address;
        if (address === undefined) return fault(nobodyAsked);
        const { requestId } = address;
        const topic = replyTopicOf(address.node);
        const written = error === undefined ? (payload ?? null) : given(error);
        const command: Command = {
          type: 'PublishMessage',
          data: { topic, payload: written, priority: 'NORMAL' },
        };
        // A reply is caused by its request.
        return ok({ ...pretend(command, requestId), requestId });
      },

      async finish(signal, { subject }) {
        stop();
        const former = await findFormerEffects({
          log: parts.log,
          after: found.from,
          actor,
          isCause: (messageId) => messages.has(messageId),
          mayRead: (stream) =>
            allows(subject, { scope: 'log:read' }) || allows(subject, streamRequirement(stream)),
          limits,
          signal,
        });
        giveBack();
        for (const one of former.cut) cut.add(one);
        const report = {
          messages: pulled,
          captured: count,
          // biome-ignore lint/suspicious/noThenProperty: a number, and the name on the wire
          then: former.count,
          ...(former.hidden === 0 ? {} : { hidden: former.hidden }),
          differences: await differences(former.byCause),
        };
        return cut.size === 0 ? report : { ...report, truncated: [...cut] };
      },

      release() {
        stop();
        giveBack();
      },
    };
  };

  return {
    async dryRun(data, actor, signal, context) {
      const { id } = context.subject;
      const giveBack = take(id);
      if (giveBack === undefined) {
        const detail = `${limits.maxRuns} dry runs may be under way, ${limits.maxRunsOfSubject} of one subject`;
        return fault(problem('overloaded', detail));
      }
      const ending = new AbortController();
      const stop = (): void => ending.abort();
      try {
        const found = await replay(data, AbortSignal.any([signal, ending.signal]), context);
        if (found.ok) return ok(open(found.value, actor ?? id, stop, giveBack));
        giveBack();
        return found;
      } catch (error) {
        giveBack();
        throw error;
      }
    },
  };
};
