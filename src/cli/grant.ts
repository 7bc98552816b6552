import { isScope } from '../../domain/access.ts';
import { scopesOf } from '../../domain/subject-name.ts';
import { type Invocation, textOf, UsageError } from './command.ts';

/** The options of what gives somebody a credential: a token, or an API key. */

const unitSec = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;
const ttlForm = /^(\d{1,8})([smhd])$/;

/** The scopes of `--scope`, of which there is one at least. @throws {UsageError} */
export const scopesIn = (invocation: Pick<Invocation, 'options'>): readonly string[] => {
  const scopes = scopesOf(textOf(invocation, 'scope') ?? '');
  if (scopes.length === 0) throw new UsageError('--scope is needed: scopes with spaces between them');
  const wrong = scopes.find((scope) => !isScope(scope));
  if (wrong !== undefined) throw new UsageError(`--scope: ${JSON.stringify(wrong)} is no scope`);
  return scopes;
};

/** The seconds of `--ttl`, 1 … `maxSec`; undefined where it is not given. @throws {UsageError} */
export const ttlSecIn = (invocation: Pick<Invocation, 'options'>, maxSec: number): number | undefined => {
  const text = textOf(invocation, 'ttl');
  if (text === undefined) return undefined;
  const [, count, unit] = ttlForm.exec(text) ?? [];
  const ttlSec =
    unit === 's' || unit === 'm' || unit === 'h' || unit === 'd' ? Number(count) * unitSec[unit] : 0;
  if (ttlSec >= 1 && ttlSec <= maxSec) return ttlSec;
  const most = Math.floor(maxSec / unitSec.d);
  throw new UsageError(
    `--ttl must be such as 30s, 15m, 1h or 7d, at most ${most}d, not ${JSON.stringify(text)}`,
  );
};
