import pino from 'pino';
import { withoutCredentials } from './config/values.ts';
import type { Config } from './config.ts';

/** What every module logs with: facts first, then the message. Never the caller's secrets on purpose. */
export type Logger = {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
};

const secretNames = [
  'jwtSecret',
  'token',
  'authorization',
  'password',
  'secret',
  'cookie',
  'zmqCurveSecretKey',
];

/** No longer text is looked through or written. */
const maxText = 16_384;

/** API keys, and what stands behind `Bearer`: told by their form, in whatever text they come. */
const secretForms = /\bnxk_[\w-]+|(?<=\bbearer[ .])[\w.~+/=-]{16,}/gi;
/** The first part of a token (JWT), which two more follow. */
const tokenStart = /\beyJ[\w-]/i;

/**
 * The same text without tokens: `eyJ….….…`. Part by part, and not by one pattern, which would look at the whole rest of the
 * text from each `eyJ` on: plugins and clients have their texts in it.
 */
const withoutTokens = (text: string): string =>
  text.replace(/[\w.-]+/g, (run) => {
    const parts = run.split('.');
    for (let index = 0; index + 2 < parts.length; index++) {
      const start = parts[index]?.search(tokenStart) ?? -1;
      if (start < 0 || parts[index + 1] === '') continue;
      parts.splice(index, 3, `${parts[index]?.slice(0, start)}***`);
    }
    return parts.join('.');
  });

const clean = (text: string): string =>
  withoutTokens(
    withoutCredentials(text.length > maxText ? `${text.slice(0, maxText)}…` : text).replace(
      secretForms,
      '***',
    ),
  );

const cleanError = (error: unknown): unknown => {
  if (!(error instanceof Error)) return error;
  const { type, message, stack, ...rest } = pino.stdSerializers.err(error);
  return { type, message: clean(message), stack: clean(stack), ...rest };
};

const cleanText = (facts: Record<string, unknown>): Record<string, unknown> => {
  const cleaned: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(facts)) {
    cleaned[name] =
      typeof value === 'string'
        ? clean(value)
        : Array.isArray(value)
          ? value.map((item) => (typeof item === 'string' ? clean(item) : item))
          : value;
  }
  return cleaned;
};

/**
 * JSON lines on stderr (`stream` instead, when given), written before the call returns, so that the last line of a dying
 * process is there. Users and passwords of URLs, API keys, tokens and the values of secret-sounding names are replaced.
 */
export const createLogger = (
  level: Config['logLevel'],
  stream: pino.DestinationStream = pino.destination({ dest: 2, sync: true }),
): Logger =>
  pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: cleanError, error: cleanError },
      formatters: { level: (label) => ({ level: label }), log: cleanText },
      redact: {
        paths: secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
        censor: '***',
      },
    },
    stream,
  );
