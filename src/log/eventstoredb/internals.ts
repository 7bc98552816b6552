import { createRequire } from 'node:module';
import type { EventStoreDBClient } from '@eventstore/db-client';
import { StreamsClient, StreamsService } from '@eventstore/db-client/generated/streams_grpc_pb.js';
import type { BatchAppendReq, BatchAppendResp } from '@eventstore/db-client/generated/streams_pb.js';

// The generated messages are CommonJS whose exports no ES import can see.
const load = createRequire(import.meta.url);
export const messages: typeof import('@eventstore/db-client/generated/streams_pb.js') = load(
  '@eventstore/db-client/generated/streams_pb.js',
);
export const shared: typeof import('@eventstore/db-client/generated/shared_pb.js') = load(
  '@eventstore/db-client/generated/shared_pb.js',
);
// The client's own copy, wherever it was installed.
export const wellKnown: typeof import('google-protobuf/google/protobuf/empty_pb.js') = createRequire(
  load.resolve('@eventstore/db-client'),
)('google-protobuf/google/protobuf/empty_pb.js');

/** The part of a gRPC duplex call that batch appends need. */
export type BatchCall = {
  write(request: BatchAppendReq): boolean;
  on(event: 'data', listener: (response: BatchAppendResp) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end' | 'close', listener: () => void): unknown;
  cancel(): void;
};

// biome-ignore-start lint/complexity/useLiteralKeys: protected members can only be reached by element access
/** Opens a BatchAppend call on the client's own channel, with its discovery, credentials and reconnection. */
export const openBatchCall = (client: EventStoreDBClient): Promise<BatchCall> =>
  client['GRPCStreamCreator'](StreamsClient, 'batchAppend', (grpc) =>
    grpc.batchAppend(
      ...client['callArguments']({ requiresLeader: true }, { deadline: Number.POSITIVE_INFINITY }),
    ),
  )();

/** Asks the server once per client whether it knows BatchAppend. A failure is cached: the client is spoilt then. */
export const supportsBatchAppend = (client: EventStoreDBClient): Promise<boolean> =>
  client['supports'](StreamsService.batchAppend);

/** Closes the client's channel, which the client itself never does. Calls that still run may end on it. */
export const closeChannel = async (client: EventStoreDBClient): Promise<void> => {
  (await client['getChannel']()).close();
};
// biome-ignore-end lint/complexity/useLiteralKeys: see above
