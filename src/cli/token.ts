import { randomUUID } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { isScope } from '../../domain/access.ts';
import { scopesOf, subjectNameFault } from '../../domain/subject-name.ts';
import { readText } from '../config/read-text.ts';
import { type Config, parseConfig } from '../config.ts';
import { type Action, type Actions, CallFailed, type Invocation, textOf, UsageError } from './command.ts';

const unitSec = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;
const ttlForm = /^(\d{1,8})([smhd])$/;
const maxTtlSec = 366 * 86_400;

/** The configuration as the hub would have it here: environment over nexus.config.json. */
const configOf = ({ env }: Invocation): Config => {
  const parsed = parseConfig([], { ...env }, readText);
  if (!parsed.ok) throw new CallFailed(parsed.message);
  return parsed.config;
};

const scopeOf = (invocation: Invocation): string => {
  const scopes = scopesOf(textOf(invocation, 'scope') ?? '');
  if (scopes.length === 0) throw new UsageError('--scope is needed: scopes with spaces between them');
  const wrong = scopes.find((scope) => !isScope(scope));
  if (wrong !== undefined) throw new UsageError(`--scope: ${JSON.stringify(wrong)} is no scope`);
  return scopes.join(' ');
};

const subjectOf = (invocation: Invocation): string => {
  const name = textOf(invocation, 'sub') ?? 'cli';
  const wrong = subjectNameFault(name);
  if (wrong !== undefined) throw new UsageError(`--sub ${wrong}`);
  return name;
};

const ttlSecOf = (invocation: Invocation): number => {
  const text = textOf(invocation, 'ttl') ?? '1h';
  const [, count, unit] = ttlForm.exec(text) ?? [];
  const ttlSec =
    unit === 's' || unit === 'm' || unit === 'h' || unit === 'd' ? Number(count) * unitSec[unit] : 0;
  if (ttlSec < 1 || ttlSec > maxTtlSec) {
    throw new UsageError(
      `--ttl must be such as 30s, 15m, 1h or 7d, at most 366d, not ${JSON.stringify(text)}`,
    );
  }
  return ttlSec;
};

const make: Action = {
  usage: '--scope SCOPES [--sub NAME] [--ttl 1h] [--issuer TEXT] [--audience TEXT]',
  summary:
    "makes a token, signed with the hub's jwtSecret (NEXUS_JWT_SECRET or nexus.config.json), for SCOPES with spaces between them",
  words: [0, 0],
  options: {
    scope: { type: 'string' },
    sub: { type: 'string' },
    ttl: { type: 'string' },
    issuer: { type: 'string' },
    audience: { type: 'string' },
  },
  run: async (invocation) => {
    const asked = { sub: subjectOf(invocation), scope: scopeOf(invocation), ttlSec: ttlSecOf(invocation) };
    const { jwtSecret, jwtIssuer, jwtAudience } = configOf(invocation);
    if (jwtSecret === null) {
      throw new CallFailed(
        'there is no jwtSecret: set NEXUS_JWT_SECRET to that of the hub, or jwtSecret in nexus.config.json',
      );
    }
    const iss = textOf(invocation, 'issuer') ?? jwtIssuer;
    const aud = textOf(invocation, 'audience') ?? jwtAudience;
    const iat = Math.floor(Date.now() / 1_000);
    const claims = {
      sub: asked.sub,
      scope: asked.scope,
      jti: randomUUID(),
      iat,
      exp: iat + asked.ttlSec,
      ...(iss === null ? {} : { iss }),
      ...(aud === null ? {} : { aud }),
    };
    const token = jwt.sign(claims, jwtSecret, { algorithm: 'HS256' });
    const expiresAt = new Date(claims.exp * 1_000).toISOString();
    await invocation.output.line(invocation.json ? JSON.stringify({ token, ...claims, expiresAt }) : token);
  },
};

export const tokenActions: Actions = { '': make };
