import { LogError, type LogErrorCode } from '../event-log.ts';

/**
 * What went wrong at the server or on the way to it:
 * `unavailable` the call may or may not have had an effect; `busy` it had none, and it is worth trying again
 * (starting, overloaded, no leader); the others are final for this call.
 */
export type FaultKind = 'unavailable' | 'busy' | 'denied' | 'too_large' | 'deleted' | 'invalid';

export class Fault extends Error {
  override readonly name = 'Fault';
  readonly kind: FaultKind;

  constructor(kind: FaultKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}

// The client types some of its errors and passes others on as gRPC made them: both the name and the number count.
const kindOfType: Readonly<Record<string, FaultKind>> = {
  'access-denied': 'denied',
  'maximum-append-size-exceeded': 'too_large',
  'stream-deleted': 'deleted',
  'invalid-argument': 'invalid',
  'not-leader': 'busy',
};
const kindOfCode: Readonly<Record<number, FaultKind>> = { 3: 'invalid', 7: 'denied', 16: 'denied' };
const notHandled = /Server Is Not Ready|Server Is Busy|No leader info/i;

/** Any error of the client as a `Fault`; what is not recognised is `unavailable`, so that it is never taken for final. */
export const faultOf = (error: unknown): Fault => {
  if (error instanceof Fault) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (notHandled.test(message)) return new Fault('busy', message, error);
  const type = error instanceof Error && 'type' in error ? error.type : undefined;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const kind =
    (typeof type === 'string' ? kindOfType[type] : undefined) ??
    (typeof code === 'number' ? kindOfCode[code] : undefined) ??
    (message.includes('is deleted') ? 'deleted' : 'unavailable');
  return new Fault(kind, message === '' ? `the call failed (${String(type ?? code)})` : message, error);
};

export const isPassing = (fault: Fault): boolean => fault.kind === 'unavailable' || fault.kind === 'busy';

const logCodes: Readonly<Record<FaultKind, LogErrorCode>> = {
  unavailable: 'log_unavailable',
  busy: 'log_unavailable',
  // An operator can grant the access while the process runs; nothing was written, and trying again is safe.
  denied: 'log_unavailable',
  too_large: 'too_large',
  deleted: 'invalid',
  invalid: 'invalid',
};

/** The port's error for a fault that is told to the caller. `doing` says what was tried, e.g. `append to a-1`. */
export const logErrorOf = (fault: Fault, doing: string): LogError =>
  new LogError(
    logCodes[fault.kind],
    `EventStoreDB: ${doing}: ${fault.message}`,
    { reason: fault.kind },
    fault,
  );

export const closedError = (): LogError => new LogError('log_closed', 'the event log is closed');
