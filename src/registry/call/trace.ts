import { randomFillSync } from 'node:crypto';

/** What a call is traced by: the instance gets it as header fields. */
export type Trace = {
  readonly correlationId?: string;
  /** W3C Trace Context, as the caller sent it. */
  readonly traceparent?: string;
  readonly tracestate?: string;
  /** `traceparent` is a span that was begun for this very call: it is told as it is. */
  readonly isSpan?: true;
};

// W3C Trace Context, section 3.2.2: no version ff, neither id of zeros alone.
const form = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/;
/** Section 3.3.1.1: at least so much has to be passed on. */
const maxStateChars = 512;
const stateForm = /^[\x20-\x7e\t]+$/;

const pool = Buffer.alloc(24 * 128);
let used = pool.length;

const randomHex = (bytes: number): string => {
  for (;;) {
    if (used + bytes > pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    used += bytes;
    const text = pool.toString('hex', used - bytes, used);
    if (/[^0]/.test(text)) return text;
  }
};

/**
 * The header fields of a call: the caller's trace goes on under a new parent id; where there is none a trace begins here.
 * Its state goes along only with a trace that was sound.
 */
export const traceHeaders = ({
  correlationId,
  traceparent,
  tracestate,
  isSpan,
}: Trace): Record<string, string> => {
  const parent = traceparent === undefined ? null : form.exec(traceparent);
  const headers: Record<string, string> = {
    traceparent:
      isSpan === true && traceparent !== undefined && parent !== null
        ? traceparent
        : `00-${parent?.[1] ?? randomHex(16)}-${randomHex(8)}-${parent?.[2] ?? '01'}`,
  };
  if (correlationId !== undefined) headers['x-correlation-id'] = correlationId;
  if (parent !== null && tracestate !== undefined) {
    if (tracestate.length <= maxStateChars && stateForm.test(tracestate)) headers.tracestate = tracestate;
  }
  return headers;
};
