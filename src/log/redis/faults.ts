import { LogError } from '../event-log.ts';

/**
 * What a failed call tells:
 * `lost` no answer came, it may have run or not; `again` it did not run, another connection or moment may do;
 * `refused` it did not run, and the caller is to be told; `odd` the server stopped it half way or for an unknown reason.
 */
export type Fault =
  | { readonly type: 'lost'; readonly reason: string }
  | { readonly type: 'again'; readonly reason: string }
  | { readonly type: 'refused'; readonly error: LogError }
  | { readonly type: 'odd'; readonly error: LogError };

/** Codes that pass by themselves, or on a new connection (which loads the scripts and looks the name up again). */
const passing = ['NOSCRIPT', 'LOADING', 'BUSY', 'TRYAGAIN', 'MASTERDOWN', 'CLUSTERDOWN', 'NOREPLICAS'];

const historyMessage = (message: string, server: string): string => {
  if (message.includes('emptied'))
    return `the Redis at ${server} was emptied: the history that this process knows is gone`;
  if (message.includes('behind'))
    return `the Redis at ${server} has lost events that it had acknowledged: its log is behind what this process knows`;
  return `the Redis at ${server} holds another history than the one that this process knows`;
};

const refusalOf = (code: string, message: string, server: string, cause: unknown): LogError | undefined => {
  const error = (kind: 'log_full' | 'log_unavailable' | 'log_corrupt', text: string) =>
    new LogError(kind, text, { server, reply: message.slice(0, 200) }, cause);
  switch (code) {
    case 'OOM':
      return error('log_full', `the Redis at ${server} has reached its maxmemory`);
    case 'MISCONF':
      return error('log_full', `the Redis at ${server} cannot write to its disk and refuses writes`);
    case 'READONLY':
      return error('log_unavailable', `the Redis at ${server} is a read-only replica`);
    case 'NOAUTH':
    case 'WRONGPASS':
      return error('log_unavailable', `the Redis at ${server} refuses the user or password`);
    case 'NOPERM':
      return error('log_unavailable', `the user at the Redis at ${server} lacks a permission: ${message}`);
    case 'NEXUSHISTORY':
      return error('log_unavailable', historyMessage(message, server));
    case 'NEXUSCORRUPT':
    case 'WRONGTYPE':
      return error('log_corrupt', `the log in the Redis at ${server} is damaged: ${message}`);
    default:
      // The first write of a script: another program has added entries, and its ids are ahead of the log's own.
      return /XADD is equal or smaller/.test(message)
        ? error(
            'log_corrupt',
            `the log in the Redis at ${server} is damaged: something else has written to it`,
          )
        : undefined;
  }
};

/** Error code of a reply; before Redis 7 a script's error stands behind a hyphen inside another one. */
const codeOf = (message: string): string =>
  /(?:^|[:\s]-)((?!ERR\b)[A-Z]{3,}) /.exec(message)?.[1] ?? /^[A-Z]+/.exec(message)?.[0] ?? '';

/** Sorts what ioredis rejected with. `server` is host and port, for the message. */
export const faultOf = (cause: unknown, server: string): Fault => {
  if (cause instanceof LogError) return { type: 'refused', error: cause };
  const message = cause instanceof Error ? cause.message : String(cause);
  if (!(cause instanceof Error) || cause.name !== 'ReplyError') return { type: 'lost', reason: message };
  const code = codeOf(message);
  if (passing.includes(code)) return { type: 'again', reason: message };
  const error = refusalOf(code, message, server, cause);
  if (error !== undefined) return { type: 'refused', error };
  const text = /can't run this command/.test(message)
    ? `the user at the Redis at ${server} lacks a permission: ${message}`
    : `the Redis at ${server} answered: ${message}`;
  return { type: 'odd', error: new LogError('log_unavailable', text, { server }, cause) };
};
