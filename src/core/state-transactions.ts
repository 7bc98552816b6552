import { type Json, type LogEvent, type Position, type StreamId, streamId } from '../../domain/event.ts';
import { matchesKey } from '../../domain/names.ts';
import { currentVersion } from '../../domain/state/decider.ts';
import type { StateCommand, StateEvent, StateState } from '../../domain/state/state.ts';
import {
  decideStateTransaction,
  type StateOperation,
  type StateTransactionRejection,
} from '../../domain/state/transaction.ts';
import type { QuotaRejection } from '../../domain/state-policy/quota.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { restoreState } from '../../projections/state.ts';
import type { Handler } from '../command/handle.ts';
import type { Transaction, TransactionOutcome } from '../command/transact.ts';
import type { TransactionData, TransactionOperation } from '../command/transaction-schema.ts';
import { fault, invalid, ok, type Problem, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import type { EventReceipt } from '../nexus-core.ts';
import type { Reservation } from '../state/quotas.ts';
import { type Call, type Done, notShown, optionsOf, ownReadModelsMs } from './command-call.ts';
import type { Deciders } from './deciders.ts';
import type { Parts } from './parts.ts';
import { mismatchOf, receiptsOfRecorded } from './refusals.ts';
import { stateCommandOf } from './state-commands.ts';
import { explainWrite, onceCounted, reserving, type WriteRejection } from './state-quotas.ts';

const streamOf = (key: string): StreamId => streamId('state', key);

const commandOf = (
  operation: TransactionOperation,
  subject: string,
  nowMs: number,
): StateCommand | undefined => {
  switch (operation.op) {
    case 'set': {
      const { op: _op, ...data } = operation;
      return stateCommandOf({ type: 'SetState', data }, subject, nowMs);
    }
    case 'patch': {
      const { op: _op, ...data } = operation;
      return stateCommandOf({ type: 'PatchState', data }, subject, nowMs);
    }
    case 'increment': {
      const { op: _op, ...data } = operation;
      return stateCommandOf({ type: 'IncrementState', data }, subject, nowMs);
    }
    case 'delete': {
      const { op: _op, ...data } = operation;
      return stateCommandOf({ type: 'DeleteState', data }, subject, nowMs);
    }
    case 'get':
      return undefined;
  }
};

/** Keys one of which has an event when the branch was done and wrote any. */
export const tellingKeys = (operations: readonly TransactionOperation[]): readonly string[] => {
  const certain = operations.find(({ op }) => op !== 'get' && op !== 'delete');
  return certain === undefined
    ? operations.filter(({ op }) => op === 'delete').map(({ key }) => key)
    : [certain.key];
};

/** What an operation tells of its key as the transaction has left it. */
const resultOf = ({ op, key }: TransactionOperation, state: StateState, wrote: boolean): Json => {
  const { exists, value, expiresAt } = state;
  if (op === 'delete') return { op, key, deleted: wrote, version: wrote ? state.version : 0 };
  const at = { value, version: currentVersion(state), ...given({ expiresAt }) };
  return op === 'get' ? { op, key, exists, ...at } : { op, key, ...at };
};

/** The pattern whose usage must be known before it can be decided, if that is why a transaction was refused. */
const unknownUsage = (outcome: TransactionOutcome<StateState, Rejection>): string | undefined =>
  outcome.outcome === 'rejected' && outcome.rejection.rejection.code === 'usage_unknown'
    ? outcome.rejection.rejection.pattern
    : undefined;

type Rejection = Omit<StateTransactionRejection, 'rejection'> & { readonly rejection: WriteRejection };

/** A quota refuses what all operations of a branch need together: told of the last one on its keys. */
const overQuota = (
  succeeded: boolean,
  branch: readonly StateOperation[],
  rejection: QuotaRejection,
): Rejection => {
  const index = branch.findLastIndex(
    ({ key, command }) => command !== undefined && matchesKey(rejection.pattern, key),
  );
  return { succeeded, index, key: branch[index]?.key ?? '', rejection };
};

const explain = ({ succeeded, index, key, rejection }: Rejection): Problem => {
  const { code, detail, facts } = explainWrite(key)(rejection);
  const pointer = `/${succeeded ? 'then' : 'else'}/${index}`;
  return problem(code, `nothing was done, because of ${pointer}: ${detail}`, { ...facts, pointer });
};

/** Several state keys in one transaction (docs/adr/0029-transactions.md). */
export const createStateTransactions = (
  { runner, clock, log, quotas }: Pick<Parts, 'runner' | 'clock' | 'log' | 'quotas'>,
  { transact }: Pick<Handler, 'transact'>,
  deciders: Pick<Deciders, 'state'>,
) => {
  /** What the events say of the keys that they stand for; of the others, which were only read, the read models. */
  const stateAt = (key: string, position: Position, recorded: readonly LogEvent[]): StateState => {
    const { initial, evolve } = deciders.state.decider;
    const own = recorded.find(({ stream }) => stream === streamOf(key));
    const event = own === undefined ? undefined : deciders.state.decode(own);
    if (own !== undefined && event !== undefined)
      return evolve(initial, event, { revision: own.revision, actor: own.metadata.actor });
    const document = runner.store.at<StateDocument>('state', key, position)?.document;
    return document === undefined ? initial : restoreState(document);
  };

  const doneOf = (
    data: TransactionData,
    succeeded: boolean,
    events: readonly EventReceipt[],
    position: Position,
    stateOf: (key: string) => StateState,
  ): Omit<Done, 'duplicate'> => {
    const written = new Set<string>(events.map(({ stream }) => stream));
    const results = (succeeded ? data.then : data.else).map((operation) =>
      resultOf(operation, stateOf(operation.key), written.has(streamOf(operation.key))),
    );
    return { events, position, result: { succeeded, results, position }, created: false };
  };

  const run = async (
    data: TransactionData,
    call: Call,
    reservation: Reservation | undefined,
  ): Promise<Result<Done>> => {
    const { context, metadata, commandId, expectedRevision } = call;
    if (transact === undefined) {
      const detail = `the event log is ${log.kind}, which cannot change several keys in one transaction`;
      return fault(problem('not_supported', detail, { log: log.kind }));
    }
    if (expectedRevision !== undefined) {
      return invalid('/expectedRevision', 'is for a command on one stream; a transaction has compare');
    }
    const nowMs = clock();
    const operationsOf = (branch: readonly TransactionOperation[]): readonly StateOperation[] =>
      branch.map((operation) => ({
        key: operation.key,
        ...given({ command: commandOf(operation, context.subject.id, nowMs) }),
      }));
    const transaction = {
      compare: data.compare.map(({ key, ...what }) => ({ key, ...given(what) })),
      success: operationsOf(data.then),
      failure: operationsOf(data.else),
    };
    const telling = [...new Set([...tellingKeys(data.then), ...tellingKeys(data.else)])].map(streamOf);
    const eventId = (stream: StreamId): string => optionsOf(call, stream).eventId?.(0) ?? '';
    const keys = new Set([...data.compare, ...data.then, ...data.else].map(({ key }) => key));
    const work: Transaction<StateState, StateEvent, Rejection> = {
      streams: [...keys].map(streamOf),
      decide: (stateOf) => {
        const decided = decideStateTransaction(transaction, (key) => stateOf(streamOf(key)));
        if (!decided.ok) {
          reservation?.take([]);
          return decided;
        }
        const { succeeded } = decided;
        const refused = reservation?.take(
          decided.events.map(({ key, event }) => ({ key, before: stateOf(streamOf(key)), events: [event] })),
        );
        if (refused !== undefined) {
          const branch = succeeded ? transaction.success : transaction.failure;
          return { ok: false, rejection: overQuota(succeeded, branch, refused) };
        }
        const events = decided.events.map(({ key, event }) => ({ stream: streamOf(key), event }));
        return { ok: true, succeeded, events };
      },
      metadata,
      ...(commandId === undefined ? {} : { repeats: { eventId, streams: telling } }),
    };
    const once = () => transact(deciders.state, work);
    const outcome = await (reservation === undefined ? once() : onceCounted(quotas, once, unknownUsage));
    switch (outcome.outcome) {
      case 'rejected':
        await runner.reached(outcome.position, ownReadModelsMs);
        return fault(explain(outcome.rejection));
      case 'busy': {
        const detail = `the keys changed during each of ${outcome.attempts} tries`;
        return fault(problem('busy', detail));
      }
      case 'repeated': {
        const [first] = outcome.recorded;
        const refused = mismatchOf(first, metadata);
        if (refused !== undefined) return refused;
        const events = receiptsOfRecorded(outcome.recorded);
        const position = events.at(-1)?.position ?? log.start;
        if (!(await runner.reached(position, ownReadModelsMs))) return notShown(position);
        const succeeded = first?.metadata.transaction?.succeeded ?? true;
        const { recorded } = outcome;
        const done = doneOf(data, succeeded, events, position, (key) => stateAt(key, position, recorded));
        return ok({ ...done, duplicate: true });
      }
      case 'done': {
        const { succeeded, events, position, stateOf } = outcome;
        // Whoever is told of a version is not shown an older one next, also by what wrote nothing.
        const isShown = await runner.reached(position, ownReadModelsMs);
        reservation?.settle(position);
        if (!isShown && events.length > 0) return notShown(position);
        const done = doneOf(data, succeeded, events, position, (key) => stateOf(streamOf(key)));
        return ok({ ...done, duplicate: false });
      }
    }
  };

  return (data: TransactionData, call: Call): Promise<Result<Done>> =>
    reserving(quotas, (reservation) => run(data, call, reservation));
};
