/**
 * Every error that a client can meet: one row each. REST, GraphQL, WebSocket and ZeroMQ map from here, and a test
 * holds docs/errors.md to it.
 */
export const errorTable = {
  bad_json: { status: 400, title: 'The body is not acceptable JSON' },
  bad_request: { status: 400, title: 'The request is malformed' },
  unauthorized: { status: 401, title: 'A valid bearer token is needed' },
  forbidden: { status: 403, title: 'The token lacks the scope' },
  protected_mode: { status: 403, title: 'Only loopback clients are served without authentication' },
  not_found: { status: 404, title: 'There is nothing here' },
  service_not_found: { status: 404, title: 'No such service is registered' },
  method_not_allowed: { status: 405, title: 'The path does not take this method' },
  not_acceptable: { status: 406, title: 'No media type that the request accepts can be produced' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  version_conflict: { status: 409, title: 'The version is not the expected one' },
  patch_failed: { status: 409, title: 'The patch does not fit the value' },
  not_a_number: { status: 409, title: 'The value cannot be incremented' },
  lock_held: { status: 409, title: 'The key is held as a lock' },
  lock_lost: { status: 409, title: 'The lock is no longer the holder’s' },
  not_a_lock: { status: 409, title: 'The key has a value and is no lock' },
  id_taken: { status: 409, title: 'The id belongs to another subject' },
  breaking_change: { status: 409, title: 'The methods break those who rely on the same major version' },
  interface_in_use: { status: 409, title: 'Instances have methods of this major version' },
  already_replied: { status: 409, title: 'The request has been replied to' },
  plugin_rejected: { status: 409, title: 'The plugin is not one that may run' },
  plugin_in_use: { status: 409, title: 'Other plugins depend on the plugin' },
  revision_conflict: { status: 409, title: 'The stream is not at the expected revision' },
  stale_delivery: { status: 409, title: 'The delivery is no longer the consumer’s' },
  stale_call: { status: 409, title: 'Nobody waits for the answer to the call any more' },
  gap: { status: 410, title: 'What stood there was removed by retention' },
  precondition_failed: { status: 412, title: 'The precondition does not hold' },
  too_large: { status: 413, title: 'The body or the events are too large' },
  uri_too_long: { status: 414, title: 'The URL is too long' },
  unsupported_media_type: { status: 415, title: 'The media type is not supported' },
  invalid: { status: 422, title: 'The input has the wrong shape' },
  bad_snapshot: { status: 422, title: 'The file is neither a sound snapshot nor a JSON object' },
  plugin_refused: { status: 422, title: 'A plugin refused it' },
  idempotency_mismatch: { status: 422, title: 'The idempotency key was used with another body' },
  rate_limited: { status: 429, title: 'Too many requests' },
  headers_too_large: { status: 431, title: 'The header fields are too large' },
  internal: { status: 500, title: 'The hub failed' },
  not_supported: { status: 501, title: 'The back end cannot do this' },
  upstream_failed: { status: 502, title: 'The service answered with a failure' },
  target_refused: { status: 502, title: 'The address of the instance is not allowed' },
  log_unavailable: { status: 503, title: 'The event log cannot be reached' },
  no_healthy_instance: { status: 503, title: 'No instance of the service is healthy' },
  keys_unavailable: { status: 503, title: 'The keys that tokens are verified with cannot be had' },
  plugin_failed: { status: 503, title: 'A plugin that has to be asked did not answer' },
  not_ready: { status: 503, title: 'The read models are being rebuilt' },
  shutting_down: { status: 503, title: 'The hub is shutting down' },
  not_owner: { status: 503, title: 'No node serves the subscription at this moment' },
  busy: { status: 503, title: 'Too many writers on one stream; try again' },
  overloaded: { status: 503, title: 'The hub is overloaded' },
  not_caught_up: { status: 504, title: 'The read model has not reached the position' },
  no_reply: { status: 504, title: 'Nobody replied to the request in time' },
  upstream_timeout: { status: 504, title: 'The service did not answer in time' },
  quota_exceeded: { status: 507, title: 'The quota of the keys is used up' },
  log_full: { status: 507, title: 'The event log or its disk is full' },
} as const;

export type ErrorCode = keyof typeof errorTable;

/** A fault as a value: every protocol renders it in its own way. `facts` stand beside `code` in the answer. */
export type Problem = {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly facts?: Readonly<Record<string, unknown>>;
};

export const problem = (code: ErrorCode, detail: string, facts?: Record<string, unknown>): Problem =>
  facts === undefined ? { code, detail } : { code, detail, facts };

/** Something is wrong at one place of the input. @param pointer JSON pointer (RFC 6901); empty for the whole. */
export const invalidAt = (pointer: string, detail: string): Problem =>
  problem('invalid', `${pointer === '' ? 'the input' : pointer.slice(1)} ${detail}`, {
    errors: [{ pointer, detail }],
  });

/** The same fault of an input that stands at `base` in a larger one: its pointers begin there. */
export const within = (base: string, found: Problem): Problem => {
  const errors = found.facts?.errors;
  if (found.code !== 'invalid' || !Array.isArray(errors)) return found;
  const moved = errors.map((error: { readonly pointer: string }) => ({
    ...error,
    pointer: `${base}${error.pointer}`,
  }));
  return { ...found, facts: { ...found.facts, errors: moved } };
};

/** A `Problem` that has to cross code which knows only exceptions (Koa, graphql-js). */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly problem: Problem;

  constructor(fault: Problem, cause?: unknown) {
    super(fault.detail, cause === undefined ? undefined : { cause });
    this.problem = fault;
  }
}

export type Result<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: Problem };

export const ok = <Value>(value: Value): Result<Value> => ({ ok: true, value });
export const fault = (value: Problem): { readonly ok: false; readonly problem: Problem } => ({
  ok: false,
  problem: value,
});
/** `invalidAt` as a result. */
export const invalid = (pointer: string, detail: string) => fault(invalidAt(pointer, detail));
