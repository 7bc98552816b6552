import type { PluginModule } from '../../../plugin.ts';
import { createPlugin, type Plugin, type PluginFacts } from './context.ts';
import { installGlobals } from './globals.ts';
import { createTimers } from './timers.ts';

/**
 * The guest's side of the pipe, inside the isolate: bundled, and run before the plugin's code is. It has three functions of
 * the child's, plain ones, none of which the plugin gets; what a plugin could say with them is no more than the child lets
 * it say, so that nothing but the plugin's own work depends on what stands here.
 */

/** `tell` says it and goes on; `tellAndWait` waits until the child has it. */
export type Tell = (kind: GuestSays, id: number, head: string, text: string) => void;
export type Ask = (what: 'random' | 'uuid' | 'url', text: string) => string;
export type GuestSays =
  | 'answer'
  | 'fault'
  | 'wish'
  | 'hmac'
  | 'log'
  | 'timer'
  | 'begun'
  | 'failed'
  | 'stopped';

/** What the child calls. */
export type Entrances = {
  begin(module: PluginModule): void;
  call(id: number, target: string, text: string): void;
  /** @param code empty: it went well. */
  done(id: number, code: string, text: string): void;
  timer(id: number): void;
  stop(): void;
};

// Taken before the plugin's code can put its own in their place.
const { parse, stringify } = JSON;
const { freeze, defineProperty, create } = Object;

/** Said without waiting in one entry; what goes beyond waits, so that the child holds little of what a guest says. */
const quickSayings = 32;
const quickChars = 131_072;
const maxOpenWishes = 1_024;
const maxMessageChars = 1_000;
const maxLogChars = 8_192;

const textOf = (error: unknown): string => {
  try {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : `${error}`;
    return text.slice(0, maxMessageChars);
  } catch {
    return 'something was thrown that has no text';
  }
};

const callError = (code: string, message: string): Error => {
  const error = new Error(message);
  error.name = 'PluginCallError';
  return defineProperty(error, 'code', { value: code, enumerable: true });
};

type OpenWish = { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void };

/** The replies to what the plugin asks, by number; of all kinds that are answered. */
const createWishes = (say: Tell, maxChars: number) => {
  const open: Record<number, OpenWish> = create(null);
  let count = 0;
  let lastId = 0;
  return {
    ask: (kind: 'wish' | 'hmac', head: string, data: unknown): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const text = stringify(data) ?? 'null';
        if (text.length > maxChars) throw callError('limit_exceeded', `more than ${maxChars} bytes`);
        if (count >= maxOpenWishes) throw callError('limit_exceeded', `${maxOpenWishes} are open already`);
        const id = ++lastId;
        open[id] = { resolve, reject };
        count++;
        say(kind, id, head, text);
      }),
    done(id: number, code: string, text: string): void {
      const wish = open[id];
      if (wish === undefined) return;
      delete open[id];
      count--;
      if (code === '') wish.resolve(parse(text));
      else wish.reject(callError(code, text));
    },
  };
};

type Talk = { readonly say: Tell; entered(): void };

const createTalk = (tell: Tell, tellAndWait: Tell): Talk => {
  let sayings = 0;
  let chars = 0;
  return {
    say(kind, id, head, text) {
      sayings++;
      chars += text.length;
      if (sayings > quickSayings || chars > quickChars) tellAndWait(kind, id, head, text);
      else tell(kind, id, head, text);
    },
    entered() {
      sayings = 0;
      chars = 0;
    },
  };
};

type Facts = PluginFacts & { readonly messageBytes: number };

const boot = (tell: Tell, tellAndWait: Tell, ask: Ask, factsText: string): Entrances => {
  const facts: Facts = parse(factsText);
  const { say, entered } = createTalk(tell, tellAndWait);
  const log = (level: string, message: unknown, fields: unknown): void => {
    let text = '{}';
    try {
      text = stringify(fields) ?? '{}';
    } catch {}
    const shown = `${message}`.slice(0, maxLogChars);
    say(
      'log',
      0,
      level,
      `{"message":${stringify(shown)},"fields":${text.length > maxLogChars ? '{}' : text}}`,
    );
  };
  const failed = (what: string) => (error: unknown) => log('error', `${what} threw: ${textOf(error)}`, {});
  const timers = createTimers((id, ms, again) => say('timer', id, again ? 'again' : 'once', `${ms}`));
  const guarded = (run: () => unknown) => {
    if (typeof run !== 'function') throw new TypeError('a timer needs a function');
    return (): void => {
      try {
        Promise.resolve(run()).catch(failed('a timer'));
      } catch (error) {
        failed('a timer')(error);
      }
    };
  };
  installGlobals({
    ask,
    log: (level, message) => log(level, message, {}),
    timers: { ...timers, start: (ms, again, run) => timers.start(ms, again, guarded(run)) },
  });
  const wishes = createWishes(say, facts.messageBytes);
  const plugin: Plugin = createPlugin(facts, {
    wish: (operation, data) => wishes.ask('wish', operation, data),
    log,
    hmacSha256: async (key, text) => `${await wishes.ask('hmac', '', [key, text])}`,
    randomId: () => ask('uuid', ''),
    timer(ms, again, run) {
      const id = timers.start(ms, again, guarded(run));
      return () => timers.end(id);
    },
  });

  const answer = (id: number, value: unknown): void => {
    const text = stringify(value) ?? 'null';
    if (text.length > facts.messageBytes) say('fault', id, 'too_large', `${text.length} characters`);
    else say('answer', id, '', text);
  };

  return freeze({
    begin(module) {
      entered();
      plugin
        .initialize(module)
        .then(() => say('begun', 0, '', stringify(plugin.registered())))
        .catch((error: unknown) => say('failed', 0, '', textOf(error)));
    },
    call(id, target, text) {
      entered();
      const handler = plugin.handlerOf(target);
      if (handler === undefined) {
        say('fault', id, 'no_handler', target);
        return;
      }
      const run = async () => answer(id, await handler(parse(text)));
      run().catch((error: unknown) => say('fault', id, 'threw', textOf(error)));
    },
    done(id, code, text) {
      entered();
      wishes.done(id, code, text);
    },
    timer(id) {
      entered();
      timers.fire(id);
    },
    stop() {
      entered();
      timers.endAll();
      plugin
        .shutdown()
        .catch(failed('shutdown'))
        .then(() => say('stopped', 0, '', ''));
    },
  });
};

defineProperty(globalThis, 'bootNexusGuest', { value: boot, configurable: true });
