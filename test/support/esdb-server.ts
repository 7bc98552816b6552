import { randomUUID } from 'node:crypto';
import type { IServerFeaturesServer } from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js';
import type { IStreamsServer } from '@eventstore/db-client/generated/streams_grpc_pb.js';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { batchAppend, plainAppend } from './esdb/append.ts';
import { count, createEsdbFaults, type EsdbContext } from './esdb/faults.ts';
import { proto } from './esdb/proto.ts';
import { read } from './esdb/read.ts';
import { createEsdbStore } from './esdb/store.ts';

const methods = ['append', 'batchappend', 'delete', 'read', 'tombstone'];

const supportedMethods = (): InstanceType<typeof proto.features.SupportedMethods> => {
  const response = new proto.features.SupportedMethods();
  response.setEventStoreServerVersion('23.10.0.0');
  for (const name of methods) {
    const method = new proto.features.SupportedMethod();
    method.setServiceName('event_store.client.streams.streams');
    method.setMethodName(name);
    response.addMethods(method);
  }
  return response;
};

const serve = (context: EsdbContext): Server => {
  const { faults, store } = context;
  const server = new Server();
  const featuresServer: IServerFeaturesServer = {
    getSupportedMethods: (_call, callback) => {
      count(context, 'features');
      if (faults.settings.features === 'unimplemented') callback({ code: status.UNIMPLEMENTED, details: '' });
      else if (faults.settings.failFeatures > 0) {
        faults.settings.failFeatures--;
        callback({ code: status.INTERNAL, details: 'an odd error' });
      } else callback(null, supportedMethods());
    },
  };
  const streamsServer: IStreamsServer = {
    read: (call) => read(context, call),
    append: (call, callback) => plainAppend(context, call, callback),
    batchAppend: (call) => batchAppend(context, call),
    delete: (_call, callback) => callback({ code: status.UNIMPLEMENTED, details: '' }),
    tombstone: (call, callback) => {
      const identifier = call.request.getOptions()?.getStreamIdentifier();
      store.tombstone(Buffer.from(identifier?.getStreamName_asU8() ?? []).toString('utf8'));
      callback(null, new proto.streams.TombstoneResp());
    },
  };
  server.addService(proto.ServerFeaturesService, featuresServer);
  server.addService(proto.StreamsService, streamsServer);
  return server;
};

const bind = (server: Server, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });

/**
 * A server that speaks EventStoreDB's gRPC protocol over a log in memory, on a free port of this machine. It shows an
 * adapter's logic under faults; it proves nothing about durability, clusters, TLS, access control or speed.
 *
 * @param now The clock that events are recorded by.
 */
export const startEsdbServer = async (now: () => number = Date.now) => {
  const context: EsdbContext = {
    store: createEsdbStore(now),
    faults: createEsdbFaults(),
    calls: new Map(),
    subscribedFrom: [],
  };
  let server = serve(context);
  const port = await bind(server, 0);

  /** Writes an event of the server's own into the log, as a real one does every 30 s. */
  const systemEvent = (): void => {
    const event = { id: randomUUID(), type: '$statsCollected', contentType: 'application/json' };
    const [data, metadata] = [Buffer.from('{}'), Buffer.alloc(0)];
    context.store.append('$stats-127.0.0.1:2113', [{ ...event, data, metadata }], 'any');
  };

  /** Breaks every connection at once, as a killed process does. The log stays. */
  const kill = (): void => server.forceShutdown();
  return {
    url: `esdb://127.0.0.1:${port}?tls=false&keepAliveInterval=-1`,
    port,
    store: context.store,
    faults: context.faults,
    /** How often the named call (`batchAppend`, `append`, `readStream`, `readAll`, `subscribe`, `features`) was taken. */
    calls: (name: string): number => context.calls.get(name) ?? 0,
    /** The commit position that each subscription asked to go on behind, 0 for the start. */
    subscribedFrom: context.subscribedFrom,
    kill,
    /** Serves the same log again on the same port; ids appended with `any` are forgotten, as by a real restart. */
    restart: async (): Promise<void> => {
      kill();
      context.store.forgetIds();
      server = serve(context);
      await bind(server, port);
    },
    systemEvent,
    /** Writes one such event after every `count` writes. */
    systemEventsEvery: (count: number): void => {
      let writes = 0;
      context.store.onWrite(() => {
        if (++writes % (count + 1) === 0) systemEvent();
      });
    },
    stop: kill,
  };
};

export type EsdbServer = Awaited<ReturnType<typeof startEsdbServer>>;
