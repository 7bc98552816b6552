import type { GraphQLSchema } from 'graphql';
import { makeServer } from 'graphql-ws';
import { steadyNow } from '../../clock.ts';
import { problem } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { Logger } from '../../logger.ts';
import type { NexusCore } from '../../nexus-core.ts';
import type { Access, Admitted } from '../auth/access.ts';
import { parseJson } from '../json.ts';
import { problemOf } from '../problem.ts';
import type { Connection, SocketHost } from '../ws/attach.ts';
import { maxIdLength } from '../ws/frame.ts';
import { createIntake, type Incoming } from '../ws/intake.ts';
import { createOutbox } from '../ws/outbox.ts';
import { closeCodes, sessionLimits } from '../ws/session.ts';
import { type Documents, refusal } from './document.ts';
import { formatError, formatResult } from './faults.ts';
import { createExecuting, type Executing, keyFault } from './keyed.ts';
import { parseMessage } from './request.ts';
import type { ResolverContext } from './resolving.ts';

export type GraphqlSocketOptions = {
  readonly schema: GraphQLSchema;
  readonly documents: Documents;
  readonly core: NexusCore;
  readonly access: Access;
  readonly logger: Logger;
  readonly framesPerSec: number;
  readonly hideSuggestions: boolean;
};

/** What the hub keeps for one socket: its subject is known from the upgrade, or from connection_init. */
type Extra = {
  subject: Admitted | undefined;
  readonly address: string;
  readonly close: (code: number, reason: string) => void;
  /** Aborts when the socket is closed. */
  readonly gone: AbortSignal;
  readonly admitted: () => void;
};

const badRequest = 4400;
const maxDocumentsInFlight = sessionLimits.maxSubscriptions;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

/** GraphQL by the subprotocol `graphql-transport-ws`. */
export const createGraphqlSockets = (options: GraphqlSocketOptions): SocketHost => {
  const { schema, documents, core, access, logger, hideSuggestions } = options;

  /** By the arguments that graphql-ws hands back with each result. */
  const executings = new WeakMap<object, Executing>();

  const server = makeServer<Record<string, unknown> | undefined, Extra>({
    onConnect: async ({ extra, connectionParams }) => {
      if (extra.subject !== undefined) return true;
      const token = connectionParams?.token;
      const verified = await access.verifyToken(typeof token === 'string' ? token : '');
      if (extra.gone.aborted) return false;
      if (!verified.ok) {
        core.denied(verified.problem, { address: extra.address });
        const { code, detail } = verified.problem;
        extra.close(code === 'unauthorized' ? closeCodes.unauthorized : closeCodes.tryAgain, detail);
        return false;
      }
      extra.subject = verified.value;
      extra.admitted();
      return true;
    },
    onSubscribe: ({ extra, subscriptions }, _id, payload) => {
      if (Object.keys(subscriptions).length > maxDocumentsInFlight) {
        return [
          refusal(problem('rate_limited', `One connection may have ${maxDocumentsInFlight} operations`)),
        ];
      }
      const request = parseMessage(payload);
      if (!request.ok) return [refusal(request.problem)];
      const refused = documents.refused(request.value);
      if (refused !== undefined) return [refusal(refused)];
      const prepared = documents.prepare(request.value);
      if (!prepared.ok) return prepared.errors;
      const unkept = keyFault(request.value, prepared);
      if (unkept !== undefined) return [refusal(unkept)];
      const subject = extra.subject;
      if (subject === undefined) return [refusal(problem('unauthorized', 'A token is needed'))];
      const { gone } = extra;
      const executing = createExecuting(core, request.value, prepared);
      const at: ResolverContext = {
        core,
        context: { subject, correlationId: newId() },
        executing,
        whileAsked: (ask) => ask(gone),
      };
      const args = {
        schema,
        document: prepared.document,
        operationName: request.value.operationName,
        variableValues: request.value.variables,
        contextValue: at,
        hideSuggestions,
      };
      executings.set(args, executing);
      return args;
    },
    onNext: (_context, _id, _payload, args, result) =>
      formatResult(result, logger, executings.get(args)?.replayed === true),
    onError: (_context, _id, _payload, errors) => errors.map((error) => formatError(error, logger)),
  });

  const attend = ({ socket, transport, subject, address, onAlive }: Connection) => {
    const outbox = createOutbox({
      socket,
      transport,
      highBytes: sessionLimits.maxBufferedBytes,
      onDrained: onAlive,
    });
    let deliver: (text: string) => Promise<void> = async () => {};
    const refuse = (reason: string): undefined => {
      outbox.close(badRequest, reason);
    };
    const intake = createIntake<Incoming>({
      ...sessionLimits,
      framesPerSec: options.framesPerSec,
      socket,
      room: () => (outbox.full ? outbox.drained() : undefined),
      nowMs: steadyNow,
      failed: (error) => outbox.close(closeCodes.internal, problemOf(error, logger).code),
      take: ({ text }) => {
        if (text === undefined) return refuse('frames must be text');
        const json = parseJson(text);
        if (!json.ok) return refuse('a frame is not acceptable JSON');
        const id = isRecord(json.value) ? json.value.id : undefined;
        if (typeof id === 'string' && id.length > maxIdLength) return refuse('an id is too long');
        // Settles only when the operation is over, so it is not waited for: operations are counted instead.
        deliver(text.toString()).catch(() => refuse('a message is not one of the protocol'));
        return undefined;
      },
    });
    const gone = new AbortController();
    const extra: Extra = {
      subject,
      address,
      gone: gone.signal,
      close: outbox.close,
      admitted: () => watchCredential(),
    };
    let stopWatching = (): void => {};
    const watchCredential = (): void => {
      if (extra.subject === undefined) return;
      stopWatching = access.watch(extra.subject, ({ detail }) =>
        outbox.close(closeCodes.unauthorized, detail),
      );
    };
    watchCredential();
    const closed = server.opened(
      {
        protocol: socket.protocol,
        send: async (text) => {
          outbox.send(text);
          if (outbox.full) await outbox.drained();
        },
        close: outbox.close,
        onMessage: (callback) => {
          deliver = callback;
        },
      },
      extra,
    );
    socket.on('message', (data, isBinary) => {
      if (Buffer.isBuffer(data)) intake.push({ text: isBinary ? undefined : data, bytes: data.length });
    });
    socket.once('close', (code, reason) => {
      stopWatching();
      intake.stop();
      gone.abort();
      closed(code, reason.toString()).catch((error: unknown) =>
        logger.debug({ err: error }, 'a subscription did not end well'),
      );
    });
    return {
      get paused() {
        return intake.paused;
      },
      drain: async () => {
        intake.stop();
        outbox.flush();
      },
    };
  };

  return { protocol: 'graphql-transport-ws', admitsLater: true, attend };
};
