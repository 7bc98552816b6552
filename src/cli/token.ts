import { randomUUID } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { subjectNameFault } from '../../domain/subject-name.ts';
import { readText } from '../config/read-text.ts';
import { type Config, parseConfig } from '../config.ts';
import { type Action, type Actions, CallFailed, type Invocation, textOf, UsageError } from './command.ts';
import { scopesIn, ttlSecIn } from './grant.ts';

const defaultTtlSec = 3_600;
const maxTtlSec = 366 * 86_400;

/** The configuration as the hub would have it here: environment over nexus.config.json. */
const configOf = ({ env }: Invocation): Config => {
  const parsed = parseConfig([], { ...env }, readText);
  if (!parsed.ok) throw new CallFailed(parsed.message);
  return parsed.config;
};

const subjectOf = (invocation: Invocation): string => {
  const name = textOf(invocation, 'sub') ?? 'cli';
  const wrong = subjectNameFault(name);
  if (wrong !== undefined) throw new UsageError(`--sub ${wrong}`);
  return name;
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
    const asked = {
      sub: subjectOf(invocation),
      scope: scopesIn(invocation).join(' '),
      ttlSec: ttlSecIn(invocation, maxTtlSec) ?? defaultTtlSec,
    };
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
