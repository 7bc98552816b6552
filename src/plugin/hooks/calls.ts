import type { Json } from '../../../domain/event.ts';
import type { HookName } from '../../../domain/plugin/manifest.ts';
import type { CallAnswer } from '../sandbox/sandbox.ts';
import type { Flights } from './flights.ts';
import type { HookEntry } from './hooks.ts';

/** What is called. Whatever it does, it is held to its time. */
export type Target = { call(input: Json, timeoutMs: number): Promise<CallAnswer> };

/** What came of a call, and whose answer it is. */
export type Called<Asked> = { readonly entry: Asked; readonly answer: CallAnswer };

/** Asks one plugin, the version of it that is in force. Undefined when it was taken away meanwhile. Never rejects. */
export type Call = (entry: HookEntry, input: Json, hops: number) => Promise<Called<HookEntry> | undefined>;

export type CallsOptions = {
  readonly flights: Flights;
  /** The one that is in force now. */
  entryOf(plugin: string, hook: HookName): HookEntry | undefined;
};

const timedOut: CallAnswer = { ok: false, fault: 'timeout', message: 'no answer in time' };
export const tooMany: CallAnswer = {
  ok: false,
  fault: 'overloaded',
  message: 'too many calls are under way',
};

/** What it throws at once is a rejection too. */
const begin = async (target: Target, input: Json, timeoutMs: number): Promise<CallAnswer> =>
  target.call(input, timeoutMs);

const inTime = (target: Target, input: Json, timeoutMs: number): Promise<CallAnswer> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve(timedOut), timeoutMs);
    begin(target, input, timeoutMs).then(
      (answer) => {
        clearTimeout(timer);
        resolve(answer);
      },
      (error: unknown) => {
        clearTimeout(timer);
        resolve({ ok: false, fault: 'threw', message: String(error).slice(0, 512) });
      },
    );
  });

/**
 * Calls what is in force. One that is gone because another one took its place has its call put to that, in what is left of the
 * time. Undefined when there is none any more. Never rejects.
 */
export const callInForce = async <Asked extends Target>(
  inForce: () => Asked | undefined,
  input: Json,
  timeoutMs: number,
): Promise<Called<Asked> | undefined> => {
  const untilMs = performance.now() + timeoutMs;
  let entry = inForce();
  let leftMs = timeoutMs;
  while (entry !== undefined) {
    const answer = await inTime(entry, input, leftMs);
    const next = inForce();
    leftMs = Math.ceil(untilMs - performance.now());
    const isReplaced = !answer.ok && answer.fault === 'gone' && next !== entry;
    if (!isReplaced || (next !== undefined && leftMs <= 0)) return { entry, answer };
    entry = next;
  }
  return undefined;
};

export const createCalls =
  ({ flights, entryOf }: CallsOptions): Call =>
  async (entry, input, hops) => {
    const { plugin, hook, declaration } = entry;
    const end = flights.begin(plugin, hops);
    if (end === undefined) return { entry, answer: tooMany };
    try {
      return await callInForce(() => entryOf(plugin, hook), input, declaration.timeoutMs);
    } finally {
      end();
    }
  };
