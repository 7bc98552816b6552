import { randomBytes } from 'node:crypto';
import {
  type ApiKeyRecord,
  apiKeysPrefix,
  apiKeyText,
  isRevocableJti,
  keyCredential,
  parseApiKeyRecord,
  revokedTokensPrefix,
  tokenLeewaySec,
} from '../../domain/credentials.ts';
import { accept, type Decider } from '../../domain/decider.ts';
import { asRevision, type Json, type StreamId, streamId } from '../../domain/event.ts';
import type { StateCommand, StateEvent, StateRejection, StateState } from '../../domain/state/state.ts';
import type { StateDocument } from '../../projections/documents.ts';
import type { Command, CommandData } from '../command/catalog.ts';
import type { Handler } from '../command/handle.ts';
import { invalid, ok, type Problem, problem, type Result } from '../errors.ts';
import { digestOf, idOf } from '../ids.ts';
import { type Call, type Done, notShown, optionsOf, ownReadModelsMs } from './command-call.ts';
import type { Deciders } from './deciders.ts';
import type { Parts } from './parts.ts';
import { explainState, mismatchOf, refusalOf, writtenBy } from './refusals.ts';

export type CredentialInput = Extract<
  Command,
  { readonly type: 'CreateApiKey' | 'RevokeApiKey' | 'RevokeToken' }
>;

type StateDecider = Decider<StateState, StateCommand, StateEvent, StateRejection>;

const idBytes = 12;
const secretBytes = 32;
/** A token whose end nobody told is taken to have expired by then. */
const revokedForMs = 365 * 86_400_000;
/** The last time that a year of four digits can tell. */
const latestMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** The same command names the same key. */
const newKeyId = ({ commandId, context }: Call): string =>
  commandId === undefined
    ? randomBytes(idBytes).toString('hex')
    : idOf('api-key', context.subject.id, commandId)
        .replaceAll('-', '')
        .slice(0, idBytes * 2);

/** The claims of a token, whoever signed it: an operator may revoke any `jti`. */
const claimsOf = (token: string): { readonly jti?: unknown; readonly exp?: unknown } => {
  const [, payload = ''] = token.split('.');
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
    return typeof claims === 'object' && claims !== null ? claims : {};
  } catch {
    return {};
  }
};

/** What is revoked, and until when: ms since 1970. */
const revocationOf = (
  { jti, expiresAt, token }: CommandData<'RevokeToken'>,
  nowMs: number,
): Result<{ readonly jti: string; readonly untilMs: number }> => {
  if (token === undefined) {
    const untilMs =
      expiresAt === undefined ? nowMs + revokedForMs : Date.parse(expiresAt) + tokenLeewaySec * 1_000;
    if (untilMs <= nowMs) return invalid('/expiresAt', 'has passed: the token has expired');
    return ok({ jti: jti ?? '', untilMs });
  }
  const claims = claimsOf(token);
  if (typeof claims.jti !== 'string' || !isRevocableJti(claims.jti))
    return invalid('/token', 'must have a jti: without one a token cannot be revoked');
  if (typeof claims.exp !== 'number') return invalid('/token', 'must have an exp');
  const untilMs = Math.min((claims.exp + tokenLeewaySec) * 1_000, latestMs);
  return untilMs <= nowMs
    ? invalid('/token', 'has expired')
    : ok({ jti: claims.jti, untilMs: Math.floor(untilMs) });
};

/** A revocation that lasts as long already is left as it is: none becomes shorter. */
const prolonging = (decider: StateDecider): StateDecider => ({
  ...decider,
  decide: (command, state) =>
    command.type === 'SetState' &&
    state.exists &&
    (state.expiresAt === undefined || state.expiresAt >= (command.expiresAt ?? ''))
      ? accept()
      : decider.decide(command, state),
});

/** A key as its maker is told of it: never with the hash. */
const toldOf = (id: string, { hash: _hash, scopes, ...rest }: ApiKeyRecord) => ({
  id,
  ...rest,
  scopes: [...scopes],
});

/** The commands on API keys and tokens: each writes one state key that is reserved to the hub. */
export const createCredentialCommands = (
  { log, runner, clock }: Pick<Parts, 'log' | 'runner' | 'clock'>,
  handler: Handler,
  { state }: Pick<Deciders, 'state'>,
) => {
  const write = async (
    decider: StateDecider,
    key: string,
    command: StateCommand,
    call: Call,
    explain: (rejection: StateRejection) => Problem,
  ): Promise<Result<Omit<Done, 'result'>>> => {
    const stream = streamId('state', key);
    const outcome = await handler.handle({ ...state, decider }, stream, command, optionsOf(call, stream));
    if (outcome.outcome === 'repeated') {
      const refused = mismatchOf(outcome.recorded[0], call.metadata);
      if (refused !== undefined) return refused;
    } else if (outcome.outcome !== 'done' && outcome.outcome !== 'unchanged') {
      return refusalOf(outcome, stream, explain);
    }
    const { events, duplicate } = writtenBy(stream, outcome);
    const position = events.at(-1)?.position ?? (await log.position());
    const created = duplicate
      ? events[0]?.revision === 0
      : outcome.outcome === 'done' && !outcome.before.exists;
    return ok({ events, position, created, duplicate });
  };

  const shown = async (done: Omit<Done, 'result'>, result: Json): Promise<Result<Done>> =>
    (await runner.reached(done.position, ownReadModelsMs))
      ? ok({ ...done, result })
      : notShown(done.position);

  const expiryOf = ({ expiresAt, ttlSec }: CommandData<'CreateApiKey'>): Result<string | null> => {
    if (ttlSec !== undefined) return ok(new Date(clock() + ttlSec * 1_000).toISOString());
    if (expiresAt === undefined) return ok(null);
    const atMs = Date.parse(expiresAt);
    return atMs > clock() ? ok(new Date(atMs).toISOString()) : invalid('/expiresAt', 'must be in the future');
  };

  const recordedAt = async (
    stream: StreamId,
    [receipt]: Done['events'],
  ): Promise<ApiKeyRecord | undefined> => {
    if (receipt === undefined) return undefined;
    const [event] = await log.readStream(stream, { from: asRevision(receipt.revision), limit: 1 });
    const decoded = event && state.decode(event);
    return decoded?.type === 'StateSet' ? parseApiKeyRecord(decoded.data.value) : undefined;
  };

  const create = async (data: CommandData<'CreateApiKey'>, call: Call): Promise<Result<Done>> => {
    const expiry = expiryOf(data);
    if (!expiry.ok) return expiry;
    const id = newKeyId(call);
    const secret = randomBytes(secretBytes).toString('base64url');
    const record: ApiKeyRecord = {
      name: data.name,
      subject: data.subject ?? keyCredential(id),
      scopes: data.scopes,
      hash: digestOf(secret),
      createdAt: new Date(clock()).toISOString(),
      createdBy: call.context.subject.id,
      expiresAt: expiry.value,
    };
    const command: StateCommand = {
      type: 'SetState',
      value: record,
      expectedVersion: 0,
      ...(expiry.value === null ? {} : { expiresAt: expiry.value }),
    };
    const key = apiKeysPrefix + id;
    const done = await write(state.decider, key, command, call, explainState(key));
    if (!done.ok) return done;
    const { position, duplicate } = done.value;
    const isShown = await runner.reached(position, ownReadModelsMs);
    if (!duplicate) {
      // Also where the read models are late: the secret cannot be told again.
      const key = { key: apiKeyText(id, secret), keyShown: true };
      return ok({ ...done.value, result: { ...toldOf(id, record), ...key, position } });
    }
    if (!isShown) return notShown(position);
    const first = (await recordedAt(streamId('state', key), done.value.events)) ?? record;
    return ok({ ...done.value, result: { ...toldOf(id, first), keyShown: false, position } });
  };

  const revokeKey = async ({ id }: CommandData<'RevokeApiKey'>, call: Call): Promise<Result<Done>> => {
    const key = apiKeysPrefix + id;
    const explain = (rejection: StateRejection): Problem =>
      rejection.code === 'not_found'
        ? problem('not_found', `there is no API key ${id}`, { id })
        : explainState(key)(rejection);
    const done = await write(state.decider, key, { type: 'DeleteState' }, call, explain);
    return done.ok ? shown({ ...done.value, created: false }, { id, position: done.value.position }) : done;
  };

  const revokeToken = async (data: CommandData<'RevokeToken'>, call: Call): Promise<Result<Done>> => {
    const revocation = revocationOf(data, clock());
    if (!revocation.ok) return revocation;
    const { jti, untilMs } = revocation.value;
    const key = revokedTokensPrefix + jti;
    const expiresAt = new Date(untilMs).toISOString();
    const command: StateCommand = { type: 'SetState', value: { jti, expiresAt }, expiresAt };
    const done = await write(prolonging(state.decider), key, command, call, explainState(key));
    if (!done.ok) return done;
    const { position } = done.value;
    const result = await shown(done.value, { jti, expiresAt, position });
    if (!result.ok) return result;
    // One that was made before may last longer.
    const stands = runner.store.read<StateDocument>('state', key)?.expiresAt ?? expiresAt;
    return ok({ ...result.value, result: { jti, expiresAt: stands, position } });
  };

  return (input: CredentialInput, call: Call): Promise<Result<Done>> => {
    switch (input.type) {
      case 'CreateApiKey':
        return create(input.data, call);
      case 'RevokeApiKey':
        return revokeKey(input.data, call);
      case 'RevokeToken':
        return revokeToken(input.data, call);
    }
  };
};
