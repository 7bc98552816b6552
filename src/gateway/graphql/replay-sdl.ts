/** Types of replays to durable subscriptions. */
export const replayTypes = /* GraphQL */ `
type Replay {
  replayId: ID!
  topic: String!
  "Exclusive."
  from: String!
  "Inclusive."
  to: String!
  "0: as fast as it is taken; 1: the original pace; 2: twice that."
  speed: Float!
  requestedAt: String!
  requestedBy: String!
  "waiting or running."
  status: String!
  "Everything of its range up to here was handed over, as of at most about a second ago."
  position: String!
  "Messages that were."
  messages: Int!
}

type ReplayResult {
  success: Boolean!
  replayId: ID!
  subscription: String!
  topic: String!
  from: String!
  to: String!
  speed: Float!
  position: String!
}

type StopReplaysResult {
  success: Boolean!
  "Replays that were stopped."
  done: Int!
  position: String!
}
`;
