import * as z from 'zod';
import { commandSchemas } from '../../../command/catalog.ts';
import { stateKeySchema } from '../../../command/state-schemas.ts';
import {
  loaded,
  lock,
  lockTaken,
  stateChange,
  stateDifference,
  stateEntry,
  stateHistory,
  stateList,
  statePolicies,
  statePolicy,
  statePolicySet,
  stateWritten,
  transacted,
} from '../answers/state.ts';
import {
  type Answer,
  answer,
  eventStreamType,
  jsonType,
  nothing,
  type Parameter,
  type Section,
} from '../describe.ts';
import { after, asOf, cursor, limit } from './parameters.ts';

const key: Parameter = {
  schema: stateKeySchema,
  about: 'The key, percent-encoded; its slashes may stand as they are.',
  example: 'app_config',
};
const version: Parameter = {
  schema: z.number().int().min(1),
  about: 'This version of it.',
  example: 1,
};
const resolver: Parameter = {
  schema: z.string(),
  about: 'What settles a conflict of writers (docs/state.md).',
};
const tailAfter: Parameter = { schema: after.schema, about: `Of a live tail. ${after.about}` };
const moment = 'A version, a position or an RFC 3339 time';
const written = {
  201: answer('The key was made.', stateWritten, 'ETag'),
  200: answer('The key has a new version.', stateWritten, 'ETag'),
};
const writing = ['version_conflict', 'lock_held', 'quota_exceeded', 'forbidden'] as const;
const [mergePatch, jsonPatch] = commandSchemas.PatchState.options;
const tail = (about: string, json: z.ZodType): Answer => ({
  about: `${about} As \`${eventStreamType}\`: each change as it comes, its position as the id; \`caughtUp\` and \`gap\` are events of their own.`,
  content: { [jsonType]: json, [eventStreamType]: stateChange },
});

export const state: Section = {
  name: 'State',
  about: 'Versioned keys: optimistic concurrency, history, time travel, transactions, and live changes.',
  operations: {
    'PUT /state/{key}': {
      id: 'setState',
      summary: 'Set the value of a key',
      notes:
        'On the condition that the header or the body says: a stale header is 412, a stale `expectedVersion` 409. Version 0, or `If-None-Match: *`: the key must not exist.',
      path: { key },
      headers: ['If-Match', 'If-None-Match'],
      bodies: [
        {
          examples: {
            plain: { value: { theme: 'dark', size: 12 } },
            expecting: { value: { theme: 'light', size: 12 }, expectedVersion: 1 },
            expiring: { value: { theme: 'dim', size: 12 }, ttlMs: 3600000 },
          },
        },
      ],
      answers: written,
      codes: writing,
    },
    'GET /state/{key}': {
      id: 'readState',
      summary: 'Read a key, or follow it',
      path: { key },
      query: {
        version,
        asOf,
        after: tailAfter,
      },
      headers: ['If-None-Match', 'Last-Event-ID'],
      answers: {
        200: { ...tail('The key.', stateEntry), headers: ['ETag'] },
        304: { about: 'The client has this version.', headers: ['ETag'] },
      },
      codes: ['not_found', 'gap'],
    },
    'PATCH /state/{key}': {
      id: 'patchState',
      summary: 'Change a part of a value',
      path: { key },
      query: { resolver },
      headers: ['If-Match', 'If-None-Match'],
      bodies: [
        {
          type: 'application/merge-patch+json',
          schema: mergePatch.shape.patch,
          examples: { merge: { theme: 'dark' } },
        },
        {
          type: 'application/json-patch+json',
          schema: jsonPatch.shape.patch,
          examples: { json: [{ op: 'replace', path: '/theme', value: 'light' }] },
        },
      ],
      answers: written,
      codes: [...writing, 'patch_failed'],
    },
    'POST /state/{key}/increment': {
      id: 'incrementState',
      summary: 'Add to a number',
      path: { key: { ...key, example: 'visits' } },
      headers: ['If-Match', 'If-None-Match'],
      bodies: [{ required: false, examples: { one: { by: 1 } } }],
      answers: written,
      codes: [...writing, 'not_a_number'],
    },
    'POST /state': {
      id: 'transactState',
      summary: 'Write several keys in one transaction',
      notes: 'If all of `compare` holds, `then` is done, else `else`; nobody sees a part of it.',
      bodies: [
        {
          examples: {
            booking: {
              compare: [{ key: 'visits', atLeast: 1 }],
              // biome-ignore lint/suspicious/noThenProperty: the name on the wire
              then: [
                { op: 'increment', key: 'visits', by: -1 },
                { op: 'set', key: 'visitors/ann', value: { seat: 17 } },
              ],
              else: [{ op: 'get', key: 'visits' }],
            },
          },
        },
      ],
      answers: { 200: answer('What was done.', transacted) },
      codes: [...writing, 'patch_failed', 'not_a_number', 'not_supported'],
    },
    'GET /state': {
      id: 'listState',
      summary: 'List keys, or follow them',
      notes: 'In key order. All pages of one list show the same position.',
      query: {
        prefix: { schema: z.string(), about: 'Keys that begin so.', example: 'app' },
        limit,
        cursor,
        asOf,
        after: tailAfter,
      },
      headers: ['Last-Event-ID'],
      answers: { 200: tail('The keys and their values.', stateList) },
      codes: ['gap'],
    },
    'GET /state/{key}/history': {
      id: 'readStateHistory',
      summary: 'Read the versions of a key',
      path: { key },
      query: {
        limit,
        before: { ...version, about: 'Versions before this one.', example: 3 },
      },
      answers: { 200: answer('Newest first.', stateHistory) },
      codes: ['not_found', 'gap'],
    },
    'GET /state/{key}/diff': {
      id: 'readStateDifference',
      summary: 'Compare a key at two moments',
      path: { key },
      query: {
        from: { schema: z.string(), about: `${moment}.`, required: true, example: '1' },
        to: { schema: z.string(), about: `${moment}; now unless given.`, example: '2' },
      },
      answers: { 200: answer('A JSON patch.', stateDifference) },
      codes: ['not_found', 'gap'],
    },
    'DELETE /state/{key}': {
      id: 'deleteState',
      summary: 'Delete a key',
      notes: 'Its history stays, and its versions go on.',
      path: { key: { ...key, example: 'visitors/ann' } },
      headers: ['If-Match', 'If-None-Match'],
      bodies: [{ required: false, examples: { expecting: { expectedVersion: 1 } } }],
      answers: { 204: nothing },
      codes: [...writing, 'not_found'],
    },
    'POST /locks/{key}': {
      id: 'acquireLock',
      summary: 'Take a lock',
      notes:
        'A key that one holder has for a time. `token` fences: it grows with each time the lock is taken.',
      path: { key: { ...key, example: 'nightly' } },
      bodies: [{ examples: { taken: { holder: 'worker-1', ttlMs: 30000, waitMs: 1000 } } }],
      answers: { 201: answer('Taken.', lockTaken) },
      codes: ['lock_held', 'not_a_lock', 'rate_limited', 'quota_exceeded', 'lock_lost'],
    },
    'GET /locks/{key}': {
      id: 'readLock',
      summary: 'Read who holds a lock',
      path: { key: { ...key, example: 'nightly' } },
      answers: { 200: answer('Who holds it, and until when.', lock) },
      codes: ['not_found'],
    },
    'PUT /locks/{key}': {
      id: 'renewLock',
      summary: 'Keep a lock for longer',
      path: { key: { ...key, example: 'nightly' } },
      bodies: [{ examples: { renewed: { token: 1, ttlMs: 60000 } } }],
      answers: { 200: answer('Kept.', lockTaken) },
      codes: ['lock_lost', 'not_a_lock'],
    },
    'DELETE /locks/{key}': {
      id: 'releaseLock',
      summary: 'Give a lock back',
      notes: 'Without a token, for `admin`: whoever holds it. The token stands in the body or in the query.',
      path: { key: { ...key, example: 'nightly' } },
      query: { token: { schema: z.number().int().min(1), about: 'The token by which it was taken.' } },
      bodies: [{ required: false, examples: { released: { token: 1 } } }],
      answers: { 204: nothing },
      codes: ['lock_lost', 'not_a_lock', 'not_found'],
    },
    'GET /snapshot': {
      id: 'readSnapshot',
      summary: 'Save the state as a file',
      query: {
        prefix: { schema: z.string(), about: 'Keys that begin so; all unless given.', example: 'app' },
        asOf,
      },
      answers: {
        200: answer('A snapshot (docs/state.md); without its last line it is none.', z.looseObject({})),
      },
      codes: ['gap'],
    },
    'POST /snapshot': {
      id: 'loadSnapshot',
      summary: 'Load a snapshot, or a plain JSON object of keys',
      notes: 'All of it is checked before anything is written. It may be larger than other bodies.',
      idempotencyKey: false,
      query: {
        mode: {
          schema: z.enum(['merge', 'replace']).default('merge'),
          about: '`replace` also deletes the keys that the file lacks.',
          example: 'merge',
        },
        prefix: { schema: z.string(), about: 'All keys of the file must begin with it.', example: 'app' },
        dryRun: { schema: z.enum(['true', 'false']), about: 'Only tell what would change.', example: 'true' },
      },
      bodies: [{ schema: z.looseObject({}), examples: { plain: { 'app/a': 1, 'app/b': { c: 2 } } } }],
      answers: {
        200: {
          about: 'What was done. As NDJSON: how far it is, then the result or the error.',
          content: { [jsonType]: loaded, 'application/x-ndjson': z.looseObject({}) },
        },
      },
      codes: ['bad_snapshot', 'busy', 'quota_exceeded'],
    },
    'PUT /state-policies/{pattern}': {
      id: 'setStatePolicy',
      summary: 'Say what holds for the keys of a pattern',
      path: { pattern: pattern() },
      bodies: [
        {
          examples: {
            quota: { maxKeys: 1000, maxBytes: 1000000, maxVersions: 50 },
            resolver: { resolver: 'three-way-merge', maxKeys: 1000 },
          },
        },
      ],
      answers: {
        201: answer('The pattern has a policy now.', statePolicySet),
        200: answer('It has another one now.', statePolicySet),
      },
    },
    'GET /state-policies': {
      id: 'listStatePolicies',
      summary: 'List the policies of state keys',
      answers: { 200: answer('Policies, and what their keys take up.', statePolicies) },
    },
    'GET /state-policies/{pattern}': {
      id: 'readStatePolicy',
      summary: 'Read the policy of exactly this pattern',
      path: { pattern: pattern() },
      answers: { 200: answer('The policy.', statePolicy) },
      codes: ['not_found'],
    },
    'DELETE /state-policies/{pattern}': {
      id: 'removeStatePolicy',
      summary: 'Remove a policy of state keys',
      path: { pattern: pattern() },
      answers: { 204: nothing },
      codes: ['not_found'],
    },
  },
};

function pattern(): Parameter {
  return {
    schema: commandSchemas.RemoveStatePolicy.shape.pattern,
    about: 'A key, or a prefix of keys and `*` behind it.',
    example: 'drafts/*',
  };
}
