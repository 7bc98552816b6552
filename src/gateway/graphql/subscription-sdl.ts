/** Types of durable subscriptions; `Subscription` is what GraphQL calls its own live queries. */
export const subscriptionTypes = /* GraphQL */ `
type DurableSubscription {
  name: String!
  "active or paused."
  status: String!
  topic: String!
  ackWaitMs: Int!
  maxDeliver: Int!
  backoffMs: [Int!]!
  maxInFlight: Int!
  "none or key."
  order: String!
  createdAt: String!
  createdBy: String!
  "Node that serves it; null while none does."
  owner: String
  "Everything that matches at or before it is settled."
  position: String!
  "Matching messages that are not acknowledged yet; null while the node that serves it cannot be asked."
  lagEvents: Int
  "Unsettled deliveries, those that wait for their next attempt included; null likewise."
  inFlight: Int
  "What retention has taken last before it was delivered; null when nothing, or likewise."
  gap: Gap
  deadLetters: Int!
}

type Gap {
  from: String!
  to: String!
}

type Failure {
  at: String!
  reason: String!
}

type DeadLetter {
  messageId: ID!
  "As it was delivered last."
  message: Message!
  "Failed attempts, those before a redrive included."
  attempts: Int!
  "The newest failures, oldest first."
  errors: [Failure!]!
  redrives: Int!
  deadLetteredAt: String!
  "Of the dead message."
  position: String!
}

type DurableSubscriptionResult {
  success: Boolean!
  name: String!
  "True when it was made by this mutation."
  created: Boolean!
  subscription: DurableSubscription!
  position: String!
}

type DeleteSubscriptionResult {
  success: Boolean!
  name: String!
  position: String!
}

type RemovedDeadLettersResult {
  success: Boolean!
  "Dead letters that were meant."
  done: Int!
  position: String!
}
`;
