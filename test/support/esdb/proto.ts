import { createRequire } from 'node:module';

// The generated stubs are CommonJS whose exports no ES import can see.
const load = createRequire(import.meta.url);

const streams: typeof import('@eventstore/db-client/generated/streams_pb.js') = load(
  '@eventstore/db-client/generated/streams_pb.js',
);
const shared: typeof import('@eventstore/db-client/generated/shared_pb.js') = load(
  '@eventstore/db-client/generated/shared_pb.js',
);
const status: typeof import('@eventstore/db-client/generated/status_pb.js') = load(
  '@eventstore/db-client/generated/status_pb.js',
);
const features: typeof import('@eventstore/db-client/generated/serverfeatures_pb.js') = load(
  '@eventstore/db-client/generated/serverfeatures_pb.js',
);
const streamsService: typeof import('@eventstore/db-client/generated/streams_grpc_pb.js') = load(
  '@eventstore/db-client/generated/streams_grpc_pb.js',
);
const featuresService: typeof import('@eventstore/db-client/generated/serverfeatures_grpc_pb.js') = load(
  '@eventstore/db-client/generated/serverfeatures_grpc_pb.js',
);
const loadOfClient = createRequire(load.resolve('@eventstore/db-client'));
const any: typeof import('google-protobuf/google/protobuf/any_pb.js') = loadOfClient(
  'google-protobuf/google/protobuf/any_pb.js',
);
const empty: typeof import('google-protobuf/google/protobuf/empty_pb.js') = loadOfClient(
  'google-protobuf/google/protobuf/empty_pb.js',
);

/** The messages and services of EventStoreDB's gRPC API, as the client generated them. */
export const proto = {
  streams,
  shared,
  status,
  features,
  Any: any.Any,
  Empty: empty.Empty,
  StreamsService: streamsService.StreamsService,
  ServerFeaturesService: featuresService.ServerFeaturesService,
};

/** A stream's name in a request, as text. */
export const nameOf = (identifier: { getStreamName_asU8(): Uint8Array } | undefined): string =>
  Buffer.from(identifier?.getStreamName_asU8() ?? []).toString('utf8');

export const identifierOf = (name: string): InstanceType<typeof shared.StreamIdentifier> => {
  const identifier = new shared.StreamIdentifier();
  identifier.setStreamName(Uint8Array.from(Buffer.from(name, 'utf8')));
  return identifier;
};
