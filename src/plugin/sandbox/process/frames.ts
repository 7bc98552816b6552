import type { PluginLimits } from '../../../../domain/plugin/manifest.ts';
import type { Death, LimitName } from '../sandbox.ts';

/** Of one message from the child: a guest's longest answer, and room for the head. */
export const maxChildFrameBytes = 1_114_112;
/** Of one message to the child: a plugin's code. */
export const maxParentFrameBytes = 33_554_432;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type ChildCause = Exclude<Death['cause'], 'sibling'>;
export type FatalCause = Exclude<ChildCause, 'initialize'>;

/** `guest` is a number of the parent's, never used twice in one process. */
export type ParentHead =
  /** Body: `{ code, config }`. */
  | {
      readonly type: 'load';
      readonly guest: number;
      readonly name: string;
      readonly version: string;
      readonly limits: PluginLimits;
    }
  /** Body: the input. */
  | { readonly type: 'call'; readonly guest: number; readonly id: number; readonly target: string }
  /** Body: the answer to a wish, or with a code the message. */
  | { readonly type: 'done'; readonly guest: number; readonly id: number; readonly code: string }
  /** Calls are over: `shutdown()`, then the isolate goes. */
  | { readonly type: 'stop'; readonly guest: number }
  /** The isolate goes at once. */
  | { readonly type: 'drop'; readonly guest: number }
  | { readonly type: 'ping'; readonly id: number };

/** Heap in bytes and processor time in ms of a guest, in this order. */
export type GuestFigures = readonly [guest: number, heapBytes: number, cpuMs: number];

export type ChildHead =
  | { readonly type: 'up' }
  | {
      readonly type: 'loaded';
      readonly guest: number;
      readonly hooks: readonly string[];
      readonly resolvers: readonly string[];
    }
  /** The guest is gone: it was not to be loaded, or met a limit that ends it. */
  | { readonly type: 'dead'; readonly guest: number; readonly cause: ChildCause; readonly reason: string }
  | { readonly type: 'stopped'; readonly guest: number }
  /** Body: the answer. */
  | { readonly type: 'answer'; readonly guest: number; readonly id: number }
  /** Body: the message. */
  | { readonly type: 'fault'; readonly guest: number; readonly id: number; readonly fault: GuestFault }
  /** Body: the data. */
  | { readonly type: 'wish'; readonly guest: number; readonly id: number; readonly operation: string }
  /** Body: `{ message, fields }`. */
  | { readonly type: 'log'; readonly guest: number; readonly level: LogLevel }
  /** Body: the detail. */
  | { readonly type: 'limited'; readonly guest: number; readonly limit: LimitName }
  /** Of the parent's messages for the guest `done` are dealt with; `busy`: its own timers run. */
  | { readonly type: 'progress'; readonly guest: number; readonly done: number; readonly busy: boolean }
  /** The process is about to end. */
  | { readonly type: 'fatal'; readonly guest: number; readonly cause: FatalCause; readonly reason: string }
  | { readonly type: 'pong'; readonly id: number; readonly figures: readonly GuestFigures[] };

export const guestFaults = ['threw', 'cpu', 'too_large', 'no_handler', 'gone', 'overloaded'] as const;
export type GuestFault = (typeof guestFaults)[number];

const causes: readonly string[] = ['crash', 'memory', 'cpu', 'hang', 'flood', 'initialize'];
const levels: readonly string[] = ['debug', 'info', 'warn', 'error'];
const limits: readonly string[] = ['memoryMb', 'cpuMsPerCall', 'timeoutMs', 'callsPerSec', 'messageBytes'];

type Fields = Readonly<Record<string, unknown>>;
type Check = (fields: Fields) => boolean;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
const isShort = (value: unknown, max: number): boolean => typeof value === 'string' && value.length <= max;
const areNames = (value: unknown): boolean =>
  Array.isArray(value) && value.length <= 256 && value.every((name) => isShort(name, 256));
const isFigures = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 3 && value.every((item) => Number.isFinite(item) && item >= 0);
const guested =
  (check: Check = () => true): Check =>
  (fields) =>
    isCount(fields.guest) && check(fields);
const death: Check = ({ cause, reason }) => causes.includes(`${cause}`) && isShort(reason, 2_000);

const checks: Readonly<Record<ChildHead['type'], Check>> = {
  up: () => true,
  loaded: guested(({ hooks, resolvers }) => areNames(hooks) && areNames(resolvers)),
  dead: guested(death),
  stopped: guested(),
  answer: guested(({ id }) => isCount(id)),
  fault: guested(({ id, fault }) => isCount(id) && guestFaults.some((known) => known === fault)),
  wish: guested(({ id, operation }) => isCount(id) && isShort(operation, 64)),
  log: guested(({ level }) => levels.includes(`${level}`)),
  limited: guested(({ limit }) => limits.includes(`${limit}`)),
  progress: guested(({ done, busy }) => isCount(done) && typeof busy === 'boolean'),
  fatal: guested((fields) => death(fields) && fields.cause !== 'initialize'),
  pong: ({ id, figures }) =>
    isCount(id) && Array.isArray(figures) && figures.length <= 256 && figures.every(isFigures),
};

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;
const isKnown = (type: unknown): type is ChildHead['type'] =>
  typeof type === 'string' && Object.hasOwn(checks, type);

/** What a child says, or undefined when it is nothing that one says. */
export const parseChildHead = (head: unknown): ChildHead | undefined => {
  if (!isFields(head)) return undefined;
  const { type } = head;
  return isKnown(type) && checks[type](head) ? (head as ChildHead) : undefined;
};
