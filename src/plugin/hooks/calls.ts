import type { Json } from '../../../domain/event.ts';
import type { HookName } from '../../../domain/plugin/manifest.ts';
import type { CallAnswer } from '../sandbox/sandbox.ts';
import type { Flights } from './flights.ts';
import type { HookEntry } from './hooks.ts';

export type CallsOptions = {
  readonly flights: Flights;
  /** The one that is in force now. */
  entryOf(plugin: string, hook: HookName): HookEntry | undefined;
};

/** What came of it, and whose answer it is. */
export type Called = { readonly entry: HookEntry; readonly answer: CallAnswer };

/** Asks one plugin, the version of it that is in force. Undefined when it was taken away meanwhile. Never rejects. */
export type Call = (entry: HookEntry, input: Json, hops: number) => Promise<Called | undefined>;

const timedOut: CallAnswer = { ok: false, fault: 'timeout', message: 'no answer in time' };
const tooMany: CallAnswer = { ok: false, fault: 'overloaded', message: 'too many calls are under way' };

/** What an entry throws at once is a rejection too. */
const begin = async (entry: HookEntry, input: Json, timeoutMs: number): Promise<CallAnswer> =>
  entry.call(input, timeoutMs);

/** As the entry answers, and in time, whatever the entry does. */
const inTime = (entry: HookEntry, input: Json, timeoutMs: number): Promise<CallAnswer> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve(timedOut), timeoutMs);
    begin(entry, input, timeoutMs).then(
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

export const createCalls = ({ flights, entryOf }: CallsOptions): Call => {
  const callInForce = async (asked: HookEntry, input: Json): Promise<Called | undefined> => {
    const { plugin, hook, declaration } = asked;
    const untilMs = performance.now() + declaration.timeoutMs;
    let entry = entryOf(plugin, hook);
    let leftMs = declaration.timeoutMs;
    while (entry !== undefined) {
      const answer = await inTime(entry, input, leftMs);
      const next = entryOf(plugin, hook);
      leftMs = Math.ceil(untilMs - performance.now());
      const isReplaced = !answer.ok && answer.fault === 'gone' && next !== entry;
      if (!isReplaced || (next !== undefined && leftMs <= 0)) return { entry, answer };
      entry = next;
    }
    return undefined;
  };

  return async (entry, input, hops) => {
    const end = flights.begin(entry.plugin, hops);
    if (end === undefined) return { entry, answer: tooMany };
    try {
      return await callInForce(entry, input);
    } finally {
      end();
    }
  };
};
