import type { EventShape } from '../catalog.ts';

/** Why somebody was not let in, or not let do something; error codes of the hub. */
export const deniedCodes = ['unauthorized', 'forbidden', 'protected_mode'] as const;
export type DeniedCode = (typeof deniedCodes)[number];

/** Refusals of one kind within one minute, in the stream `access-{day}` of that minute, e.g. `access-2026-01-31`. */
export type AccessDeniedEvent = {
  readonly type: 'AccessDenied';
  readonly data: {
    /** Null where nobody is known; null with the address too for what was counted together. */
    readonly subject: string | null;
    /** Of the peer, or of the client behind trusted proxies; null where the subject is known. */
    readonly address: string | null;
    readonly code: DeniedCode;
    /** The scope that was missing, or what was wrong. */
    readonly requirement: string;
    /** Its beginning, RFC 3339 UTC. */
    readonly minute: string;
    /** At least 1. */
    readonly count: number;
  };
};

const codes: ReadonlySet<unknown> = new Set(deniedCodes);
const isTextOrNull = (value: unknown): boolean => value === null || typeof value === 'string';

/** The day of a minute, as its stream is named by it. */
export const dayOf = (minute: string): string => minute.slice(0, 10);

export const auditShapes: { readonly AccessDenied: EventShape } = {
  AccessDenied: {
    category: 'access',
    fault: ({ subject, address, code, requirement, minute, count }, { stream }) => {
      if (!isTextOrNull(subject)) return 'subject';
      if (!isTextOrNull(address)) return 'address';
      if (!codes.has(code)) return 'code';
      if (typeof requirement !== 'string') return 'requirement';
      if (typeof minute !== 'string' || stream !== `access-${dayOf(minute)}`) return 'minute';
      return typeof count === 'number' && Number.isSafeInteger(count) && count > 0 ? undefined : 'count';
    },
  },
};
