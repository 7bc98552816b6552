/** First frames of what is no message. No topic has a `$`, so none can be taken for one. */
export const heartbeatTopic = '$nexus.heartbeat';
/** Batches of the log, for other nodes. */
export const logTopic = '$nexus.log';
