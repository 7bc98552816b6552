import { structuredClone } from './clone.ts';
import { TextDecoder, TextEncoder } from './text.ts';
import type { Timers } from './timers.ts';
import { type AskUrl, urlClasses } from './url.ts';

/** What the globals of a plugin stand on. */
export type GlobalsBridge = {
  /** Waits for the child: no isolate has randomness of that kind, or a parser of URLs. */
  ask(what: 'random' | 'uuid' | 'url', text: string): string;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void;
  readonly timers: Timers;
};

const maxRandomBytes = 65_536;
const hexDigits = '0123456789abcdef';

/** They bypass the limit of memory, or are machine code made from data. */
const withoutDangers = (): void => {
  for (const name of ['WebAssembly', 'SharedArrayBuffer', 'Atomics'])
    Reflect.deleteProperty(globalThis, name);
  for (const name of ['resize', 'transfer', 'transferToFixedLength']) {
    Reflect.deleteProperty(ArrayBuffer.prototype, name);
  }
  // V8 calls what stands there with the frames of whoever made the error, the runtime's own among them.
  Object.defineProperty(Error, 'prepareStackTrace', { get: () => undefined, set: () => {} });
};

const shown = (value: unknown): string => {
  if (typeof value === 'string') return value;
  try {
    if (value instanceof Error) return `${value.name}: ${value.message}`;
    return (typeof value === 'object' ? JSON.stringify(value) : undefined) ?? String(value);
  } catch {
    return '[something that cannot be shown]';
  }
};

const consoleOf = (log: GlobalsBridge['log']) => {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (...values: unknown[]) =>
      log(level, values.map(shown).join(' '));
  const nothing = () => {};
  return Object.freeze({
    debug: at('debug'),
    log: at('info'),
    info: at('info'),
    dir: at('info'),
    table: at('info'),
    warn: at('warn'),
    error: at('error'),
    trace: at('debug'),
    assert: (holds: unknown, ...values: unknown[]) => {
      if (!holds) log('error', ['Assertion failed', ...values].map(shown).join(' '));
    },
    group: nothing,
    groupCollapsed: nothing,
    groupEnd: nothing,
    time: nothing,
    timeEnd: nothing,
    timeLog: nothing,
    count: nothing,
    countReset: nothing,
  });
};

const cryptoOf = (ask: GlobalsBridge['ask']) =>
  Object.freeze({
    randomUUID: () => ask('uuid', ''),
    getRandomValues: <View extends ArrayBufferView>(view: View): View => {
      const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
      if (bytes.length > maxRandomBytes) throw new RangeError(`${maxRandomBytes} bytes at most`);
      const hex = ask('random', `${bytes.length}`);
      for (let index = 0; index < bytes.length; index++) {
        bytes[index] =
          hexDigits.indexOf(hex[2 * index] ?? '0') * 16 + hexDigits.indexOf(hex[2 * index + 1] ?? '0');
      }
      return view;
    },
  });

const timerFunctions = ({ start, end }: Timers) => {
  const starting =
    (again: boolean) =>
    (run: (...args: unknown[]) => unknown, ms?: unknown, ...args: unknown[]) =>
      start(ms, again, args.length === 0 ? run : () => run(...args));
  return {
    setTimeout: starting(false),
    setInterval: starting(true),
    setImmediate: (run: (...args: unknown[]) => unknown, ...args: unknown[]) =>
      starting(false)(run, 0, ...args),
    clearTimeout: end,
    clearInterval: end,
    clearImmediate: end,
  };
};

/** Makes the realm what docs/adr/0047-sandbox-process.md says a plugin finds. */
export const installGlobals = (bridge: GlobalsBridge): void => {
  withoutDangers();
  const began = Date.now();
  const askUrl: AskUrl = (question) => bridge.ask('url', question);
  const globals: Readonly<Record<string, unknown>> = {
    ...timerFunctions(bridge.timers),
    ...urlClasses(askUrl),
    console: consoleOf(bridge.log),
    crypto: cryptoOf(bridge.ask),
    performance: Object.freeze({ now: () => Date.now() - began, timeOrigin: began }),
    queueMicrotask: (run: () => void) => {
      if (typeof run !== 'function') throw new TypeError('queueMicrotask needs a function');
      void Promise.resolve()
        .then(run)
        .catch((error: unknown) => bridge.log('error', `a microtask threw: ${shown(error)}`));
    },
    structuredClone,
    TextEncoder,
    TextDecoder,
  };
  for (const name of Object.keys(globals)) {
    Object.defineProperty(globalThis, name, {
      value: globals[name],
      writable: true,
      enumerable: false,
      configurable: true,
    });
  }
};
