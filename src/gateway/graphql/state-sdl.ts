/** State as GraphQL shows it. */
export const stateTypes = /* GraphQL */ `type State {
  key: String!
  value: JSON
  version: Int!
  updatedAt: String!
  updatedBy: String!
  position: String!
  "When the key is deleted unless it is set again; null when it stays."
  expiresAt: String
}

type StateVersion {
  version: Int!
  value: JSON
  deleted: Boolean!
  updatedAt: String!
  updatedBy: String!
  eventId: ID!
  position: String!
  expiresAt: String
  "The resolver that made the value of a conflict."
  resolvedBy: String
}

type StateMoment {
  "0 when the key did not exist."
  version: Int!
  position: String!
}

type StateDifference {
  key: String!
  from: StateMoment!
  to: StateMoment!
  "A JSON patch (RFC 6902): makes of the value at from the one at to."
  patch: JSON!
}

type StateChange {
  key: String!
  value: JSON
  "Null when there was none, or when it is no longer kept."
  oldValue: JSON
  version: Int!
  deleted: Boolean!
  position: String!
}

type SetStateResult {
  success: Boolean!
  key: String!
  value: JSON
  version: Int!
  position: String!
  expiresAt: String
  "Set when the write met another version, and a resolver made the value."
  resolution: StateResolution
}

type StateResolution {
  resolver: String!
}

type DeleteStateResult {
  success: Boolean!
  key: String!
  position: String!
}

type Lock {
  key: String!
  holder: String!
  token: Int!
  "When it is lost unless it is renewed before."
  expiresAt: String
  version: Int!
  "When it was taken or last renewed."
  updatedAt: String!
  position: String!
}

type LockResult {
  success: Boolean!
  key: String!
  holder: String!
  "Grows with each holder: what the lock guards refuses whoever comes with a lesser one."
  token: Int!
  expiresAt: String!
  version: Int!
  position: String!
}

enum PatchFormat { MERGE_PATCH JSON_PATCH }
`;

export const stateQueryFields = /* GraphQL */ `  "Null when there is none."
  state(key: String!, version: Int, asOf: String): State
  "In key order. after: a key, exclusive. first: 100 unless given, at most 1,000."
  states(prefix: String, first: Int, after: String, asOf: String): [State!]!
  "Newest first. before: a version, exclusive. last: 100 unless given, at most 1,000."
  stateHistory(key: String!, last: Int, before: Int): [StateVersion!]!
  "from, to: a version, a position or an RFC 3339 time each. to: now unless given. Null when there is no such version."
  stateDifference(key: String!, from: String!, to: String): StateDifference
  "Who holds the key as a lock; null when nobody does."
  lock(key: String!): Lock
`;

export const stateMutationFields = /* GraphQL */ `  "expectedVersion 0: the key must not exist. ttlMs: the key is deleted that long after; without it stays."
  setState(key: String!, value: JSON, expectedVersion: Int, resolver: String, ttlMs: Float): SetStateResult!
  "patch: a JSON merge patch (RFC 7396) unless format is JSON_PATCH (RFC 6902)."
  patchState(key: String!, patch: JSON, format: PatchFormat, expectedVersion: Int, resolver: String): SetStateResult!
  "Adds by, 1 unless given, to the number that is there, or to 0."
  incrementState(key: String!, by: Float, ttlMs: Float, expectedVersion: Int): SetStateResult!
  deleteState(key: String!, expectedVersion: Int): DeleteStateResult!
  "holder: the token's subject unless given. ttlMs: the lock is lost that long after, unless it is renewed. waitMs: so long it may wait for its turn, 60,000 at most."
  acquireLock(key: String!, ttlMs: Float!, holder: String, waitMs: Int): LockResult!
  renewLock(key: String!, token: Int!, ttlMs: Float!): LockResult!
  "Without token, for an admin: whoever holds it."
  releaseLock(key: String!, token: Int): DeleteStateResult!
`;

export const stateSubscriptionFields = /* GraphQL */ `  "Either key or prefix."
  stateChanged(key: String, prefix: String, after: String): StateChange!
`;
