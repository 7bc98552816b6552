import * as z from 'zod';
import { component } from '../json-schema.ts';
import { count, cursor, json, more, position, time } from './common.ts';

const version = z.number().int().min(1);
const expiresAt = time.describe('When the key is deleted unless it is set again.').optional();

export const stateEntry = component(
  'StateEntry',
  z.object({
    key: z.string(),
    value: json,
    version,
    updatedAt: time,
    updatedBy: z.string(),
    position,
    expiresAt,
  }),
);
export const stateWritten = component(
  'StateWritten',
  z.object({
    key: z.string(),
    value: json
      .describe('Left out for whoever may write the key and not read it, and has not sent it.')
      .optional(),
    version,
    position,
    expiresAt,
    resolution: z
      .object({ resolver: z.string() })
      .describe('The resolver that settled a conflict.')
      .optional(),
  }),
);
export const stateList = component(
  'StateList',
  z.object({
    entries: z.array(z.object({ key: z.string(), value: json, version })),
    position,
    cursor,
  }),
);
export const stateHistory = component(
  'StateHistory',
  z.object({
    key: z.string(),
    history: z
      .array(
        z.object({
          version,
          value: json,
          deleted: z.boolean(),
          updatedAt: time,
          updatedBy: z.string(),
          eventId: z.string(),
          position,
          expiresAt,
          resolvedBy: z.string().optional(),
        }),
      )
      .describe('Newest first.'),
    more,
    oldestVersion: version.describe('What was before it was removed; 1 while nothing was.'),
  }),
);
const moment = z.object({ version: count, position });
export const stateDifference = component(
  'StateDifference',
  z.object({
    key: z.string(),
    from: moment,
    to: moment,
    patch: z
      .array(z.object({ op: z.enum(['add', 'replace', 'remove']), path: z.string(), value: json.optional() }))
      .describe('RFC 6902: makes of the value at `from` the one at `to`.'),
  }),
);
export const stateChange = component(
  'StateChange',
  z.object({
    key: z.string(),
    value: json,
    oldValue: json.describe('Null when there was none, or when it is no longer kept.'),
    version,
    deleted: z.boolean(),
    position,
  }),
);
export const transacted = component(
  'Transacted',
  z.object({
    succeeded: z.boolean().describe('Whether all of `compare` held: then `then` was done, else `else`.'),
    results: z
      .array(z.looseObject({ op: z.string(), key: z.string() }))
      .describe('Of each operation of the branch that was done, in its order.'),
    position,
  }),
);

const held = {
  key: z.string(),
  holder: z.string(),
  token: version.describe('Grows with each time that the lock is taken: fences what its holder does.'),
  expiresAt: time.optional(),
  version,
  position,
};
export const lockTaken = component('LockTaken', z.object(held));
export const lock = component('Lock', z.object({ ...held, updatedAt: time }));

const size = z.object({ keys: count, bytes: count });
const limit = z.number().nullable();
const statePolicyFields = {
  pattern: z.string(),
  resolver: z.string().nullable(),
  owner: z.union([z.object({ subject: z.string() }), z.object({ scope: z.string() })]).nullable(),
  maxKeys: limit,
  maxBytes: limit,
  maxVersions: limit,
  maxAgeSec: limit,
};
export const statePolicySet = component('StatePolicySet', z.object({ ...statePolicyFields, position }));
export const statePolicy = component(
  'StatePolicy',
  z.object({
    ...statePolicyFields,
    usage: size.nullable().describe('Null while it is being counted, and without a quota.'),
  }),
);
export const statePolicies = component(
  'StatePolicyList',
  z.object({ policies: z.array(statePolicy), position }),
);

const loadCounts = { written: count, unchanged: count, deleted: count, expired: count, locked: count };
export const loaded = component(
  'Loaded',
  z.object({ entries: count, ...loadCounts, position }).describe('Each entry of the file counts once.'),
);
