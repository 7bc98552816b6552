import type { Json } from '../../../../domain/event.ts';
import { parseJson } from '../../../gateway/json.ts';
import type { Loaded, ProcessGuest, ProcessHost } from '../process.ts';
import type { CallAnswer, CallFault, Death, Program, WishAnswer } from '../sandbox.ts';
import { createBudget, type Spent } from './budget.ts';
import { bytesPerValue, valuesOf } from './density.ts';
import type { ChildHead, LogLevel, ParentHead } from './frames.ts';

/** The hub's side of one guest in a process. What comes from there is believed as far as it fits what was asked. */
export type HostedGuest = {
  readonly guest: ProcessGuest;
  readonly loaded: Promise<Loaded>;
  /** @returns why the process has to go, when what it says is nothing that one says. */
  take(head: GuestHead, body: string): string | undefined;
  figures(heapBytes: number, cpuMs: number): void;
  /** With a call open, or doing something of its own, as far as the child has told. */
  isRunning(): boolean;
  /** Ms since something of it was last known to move on while it runs. */
  stalledMs(now: number): number;
  /** Answers each open call with `gone`. */
  answerAll(reason: string): void;
  /** It is gone, with its process or alone. */
  end(death: Death | null): void;
};

export type GuestHead = Exclude<ChildHead, { readonly type: 'up' | 'pong' | 'fatal' }>;

/** What a guest's side needs of the process. */
export type Line = {
  send(head: ParentHead, body?: string): void;
  /** Bytes that the child has not taken. */
  pendingBytes(): number;
  readonly pid: number;
  /** The guest is not in the process any more. */
  left(): void;
};

const maxOpenCalls = 1_000;
const maxOpenWishes = 1_100;
const maxPendingBytes = 8_388_608;
const shutdownMs = 3_000;
/** What the child lets through, and what came of two of its seconds in one of ours. */
const budgetSlack = 2;

type OpenCall = { readonly settle: (answer: CallAnswer) => void; readonly timer: NodeJS.Timeout };

const failed = (fault: CallFault, message: string): CallAnswer => ({ ok: false, fault, message });
const textOf = (body: string): string => {
  const parsed = parseJson(body);
  return parsed.ok && typeof parsed.value === 'string' ? parsed.value.slice(0, 2_000) : '';
};

export const createHostedGuest = (
  number: number,
  program: Program,
  host: ProcessHost,
  line: Line,
): HostedGuest => {
  const { limits } = program;
  const maxValues = Math.floor(limits.messageBytes / bytesPerValue);
  const calls = new Map<number, OpenCall>();
  const budget = createBudget(limits, () => performance.now(), budgetSlack);
  const loading = Promise.withResolvers<Loaded>();
  const ended = Promise.withResolvers<Death | null>();
  const counts = { calls: 0, wishes: 0, open: 0, heapBytes: 0, cpuMs: 0 };
  let state: 'loading' | 'running' | 'stopping' | 'gone' = 'loading';
  let registered: ProcessGuest['registered'] = { hooks: [], resolvers: [] };
  let lastCall = 0;
  let sent = 1;
  let done = 0;
  let busy = true;
  let movedAt = performance.now();
  let idle: (() => void) | undefined;

  const send = (head: ParentHead, body?: string): void => {
    if (sent++ === done) movedAt = performance.now();
    line.send(head, body);
  };
  const settle = (id: number, answer: CallAnswer): void => {
    const call = calls.get(id);
    if (call === undefined) return;
    calls.delete(id);
    clearTimeout(call.timer);
    call.settle(answer);
    if (calls.size === 0) idle?.();
  };
  const answerAll = (reason: string): void => {
    for (const id of [...calls.keys()]) settle(id, failed('gone', reason));
  };
  const end = (death: Death | null): void => {
    if (state === 'gone') return;
    state = 'gone';
    answerAll(death?.reason ?? 'the plugin was stopped');
    // Nobody waits for that any more where it was loaded.
    loading.resolve({
      ok: false,
      death: death ?? { cause: 'initialize', reason: 'it was stopped', culprit: false },
    });
    line.left();
    ended.resolve(death);
  };

  const call: ProcessGuest['call'] = (target, input, timeoutMs) => {
    if (state === 'gone' || state === 'stopping') return Promise.resolve(failed('gone', 'it is not there'));
    // Before the work: who is refused for this comes again.
    if (calls.size >= maxOpenCalls || line.pendingBytes() > maxPendingBytes) {
      return Promise.resolve(failed('overloaded', `${calls.size} calls are open`));
    }
    const body = JSON.stringify(input) ?? 'null';
    if (Buffer.byteLength(body) > limits.messageBytes) {
      return Promise.resolve(failed('too_large', `the input has more than ${limits.messageBytes} bytes`));
    }
    counts.calls++;
    const id = ++lastCall;
    return new Promise((resolve) => {
      const late = () => {
        host.limited('timeoutMs', `${target} had no answer after ${timeoutMs} ms`);
        settle(id, failed('timeout', `no answer after ${timeoutMs} ms`));
      };
      calls.set(id, { settle: resolve, timer: setTimeout(late, timeoutMs) });
      send({ type: 'call', guest: number, id, target }, body);
    });
  };

  const answerWish = (id: number, answer: WishAnswer): void => {
    counts.open--;
    if (state === 'gone') return;
    if (!answer.ok) {
      send({ type: 'done', guest: number, id, code: answer.code.slice(0, 64) || 'internal' }, answer.message);
      return;
    }
    const body = JSON.stringify(answer.value) ?? 'null';
    const bytes = Buffer.byteLength(body);
    budget.answered(Math.max(bytes, valuesOf(answer.value, maxValues) * bytesPerValue));
    if (bytes > limits.messageBytes) {
      const message = `the answer has more than ${limits.messageBytes} bytes`;
      host.limited('messageBytes', message);
      send({ type: 'done', guest: number, id, code: 'limit_exceeded' }, message);
      return;
    }
    send({ type: 'done', guest: number, id, code: '' }, body);
  };
  const tooDense = (what: string) =>
    tooMuch(
      'messageBytes',
      `${what} has more than ${maxValues} values, one for ${bytesPerValue} bytes of messageBytes`,
    );
  const tooMuch = (limit: 'callsPerSec' | 'messageBytes', message: string) => {
    host.limited(limit, message);
    return { ok: false, code: 'limit_exceeded', message } as const;
  };
  const beyondBudget = (): WishAnswer =>
    tooMuch(
      'callsPerSec',
      'more calls, or more in them and their answers, than the limits allow in a second',
    );
  /** Values that take two bytes each cost the hub far more time than their bytes say. */
  const densityFault = (body: string, value: Json): WishAnswer | undefined => {
    const values = valuesOf(value, maxValues + 1);
    if (values > maxValues) return tooDense('a call');
    const beyond = values * bytesPerValue - body.length;
    return beyond <= 0 || budget.weigh(beyond) === 'ok' ? undefined : beyondBudget();
  };
  const wish = async (spent: Spent, id: number, operation: string, body: string): Promise<void> => {
    counts.open++;
    counts.wishes++;
    if (spent !== 'ok' || counts.open > maxOpenWishes) return answerWish(id, beyondBudget());
    if (Buffer.byteLength(body) > limits.messageBytes) {
      const detail = `a call is larger than ${limits.messageBytes} bytes`;
      return answerWish(id, tooMuch('messageBytes', detail));
    }
    const data = parseJson(body);
    if (!data.ok) return answerWish(id, { ok: false, code: 'bad_json', message: data.problem.detail });
    const tooDense = densityFault(body, data.value);
    if (tooDense !== undefined) return answerWish(id, tooDense);
    const answer = await host
      .wish({ operation, data: data.value })
      .catch((): WishAnswer => ({ ok: false, code: 'internal', message: 'the hub failed' }));
    answerWish(id, answer);
  };
  const log = (level: LogLevel, body: string): void => {
    const line = parseJson(body);
    if (!line.ok || typeof line.value !== 'object' || line.value === null || !('message' in line.value))
      return;
    const { message, fields } = line.value;
    if (typeof message === 'string') host.log(level, message, fields ?? {});
  };
  const answer = (id: number, body: string): CallAnswer => {
    if (Buffer.byteLength(body) > limits.messageBytes) return failed('too_large', 'a long answer');
    const parsed = parseJson(body);
    if (parsed.ok) {
      if (valuesOf(parsed.value, maxValues + 1) <= maxValues) return { ok: true, value: parsed.value };
      const { message } = tooDense('an answer');
      return failed('too_large', message);
    }
    return failed('threw', `its answer ${id} is not acceptable: ${parsed.problem.detail}`);
  };

  const said = (tooMuch: string): string | undefined => (budget.other(0) === 'flood' ? tooMuch : undefined);
  const wished = (id: number, operation: string, body: string): string | undefined => {
    const spent = budget.wish(body.length);
    if (spent === 'flood') return 'it asks for more than its guest may';
    void wish(spent, id, operation, body);
    return undefined;
  };
  const logged = (level: LogLevel, body: string): string | undefined => {
    const spent = budget.log(body.length);
    if (spent === 'ok') log(level, body);
    return spent === 'flood' ? 'it logs more than its guest may' : undefined;
  };

  const take: HostedGuest['take'] = (head, body) => {
    if (state === 'gone') return undefined;
    switch (head.type) {
      case 'loaded':
        if (state !== 'loading') return 'it said twice that a plugin is loaded';
        state = 'running';
        registered = { hooks: head.hooks, resolvers: head.resolvers };
        loading.resolve({ ok: true, guest });
        return undefined;
      case 'dead':
        end({ cause: head.cause, reason: head.reason, culprit: true });
        return undefined;
      case 'stopped':
        if (state !== 'stopping') return 'it stopped a plugin that nobody had stopped';
        end(null);
        return undefined;
      case 'answer':
      case 'fault':
        if (head.id > lastCall || head.id === 0) return `it answered call ${head.id}, which nobody has made`;
        if (!calls.has(head.id)) return said('it answers one call again and again');
        settle(head.id, head.type === 'answer' ? answer(head.id, body) : failed(head.fault, textOf(body)));
        return undefined;
      case 'wish':
        return wished(head.id, head.operation, body);
      case 'log':
        return logged(head.level, body);
      case 'limited':
        if (budget.other(body.length) === 'ok') host.limited(head.limit, textOf(body));
        return undefined;
      case 'progress':
        if (head.done > sent) return 'it is done with what was not begun';
        if (head.done > done || !head.busy) movedAt = performance.now();
        done = head.done;
        busy = head.busy;
        return said('it tells again and again how far it is');
    }
  };

  const guest: ProcessGuest = {
    program,
    get registered() {
      return registered;
    },
    call,
    metrics: () => ({
      heapBytes: counts.heapBytes,
      cpuMs: counts.cpuMs,
      calls: counts.calls,
      wishes: counts.wishes,
      pid: line.pid,
    }),
    async stop(graceMs) {
      if (state === 'gone' || state === 'stopping') return void (await ended.promise);
      state = 'stopping';
      if (calls.size > 0) {
        const quiet = Promise.withResolvers<void>();
        const timer = setTimeout(quiet.resolve, graceMs);
        idle = quiet.resolve;
        await Promise.race([quiet.promise, ended.promise]);
        clearTimeout(timer);
      }
      send({ type: 'stop', guest: number });
      const timer = setTimeout(() => {
        send({ type: 'drop', guest: number });
        end(null);
      }, shutdownMs);
      await ended.promise;
      clearTimeout(timer);
    },
    ended: ended.promise,
  };

  const { code, config } = program;
  line.send(
    { type: 'load', guest: number, name: program.name, version: program.version, limits },
    JSON.stringify({ code, config } satisfies Record<string, Json>),
  );
  return {
    guest,
    loaded: loading.promise,
    take,
    figures(heapBytes, cpuMs) {
      counts.heapBytes = heapBytes;
      counts.cpuMs = cpuMs;
    },
    isRunning: () => state !== 'gone' && (busy || done < sent),
    stalledMs: (now) => (state !== 'gone' && (busy || done < sent) ? now - movedAt : 0),
    answerAll,
    end,
  };
};
