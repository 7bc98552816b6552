import type { LogEvent, NewMetadata, StreamId } from '../../domain/event.ts';
import type { InterfaceRejection } from '../../domain/interface/interface.ts';
import type { RetentionRejection } from '../../domain/retention/retention.ts';
import type { ServiceRejection } from '../../domain/service/service.ts';
import type { StateRejection } from '../../domain/state/state.ts';
import type { SubscriptionRejection } from '../../domain/subscription/subscription.ts';
import type { Outcome } from '../command/handle.ts';
import { fault, invalidAt, type Problem, problem } from '../errors.ts';
import { given } from '../given.ts';
import type { EventReceipt } from '../nexus-core.ts';

/** What a command that was not refused has written, now or when it came before; nothing when it changed nothing. */
export const writtenBy = <State, Event extends { readonly type: string }, Rejection>(
  stream: StreamId,
  outcome: Extract<Outcome<State, Event, Rejection>, { readonly outcome: 'done' | 'unchanged' | 'repeated' }>,
): { readonly events: readonly EventReceipt[]; readonly duplicate: boolean } => {
  switch (outcome.outcome) {
    case 'done':
      return {
        events: receiptsOf(stream, outcome.events, outcome.appended.events),
        duplicate: outcome.appended.duplicate,
      };
    case 'repeated':
      return { events: receiptsOfRecorded(outcome.recorded), duplicate: true };
    case 'unchanged':
      return { events: [], duplicate: false };
  }
};

/** Turns each outcome that is a refusal into the problem that clients see. */
export const refusalOf = <State, Event, Rejection>(
  outcome: Exclude<Outcome<State, Event, Rejection>, { readonly outcome: 'done' | 'unchanged' | 'repeated' }>,
  stream: StreamId,
  explain: (rejection: Rejection) => Problem,
): { readonly ok: false; readonly problem: Problem } => {
  switch (outcome.outcome) {
    case 'rejected':
      return fault(explain(outcome.rejection));
    case 'conflict':
      return fault(
        problem(
          'revision_conflict',
          `${stream} is at revision ${outcome.actual}, not at ${outcome.expected}`,
          {
            stream,
            expectedRevision: outcome.expected,
            actualRevision: outcome.actual,
          },
        ),
      );
    case 'busy':
      return fault(problem('busy', `${stream} changed during each of ${outcome.attempts} tries`, { stream }));
  }
};

export const receiptsOf = (
  stream: StreamId,
  events: readonly Pick<EventReceipt, 'id' | 'type'>[],
  places: readonly Pick<EventReceipt, 'revision' | 'position'>[],
): readonly EventReceipt[] =>
  places.map((place, index) => ({
    id: events[index]?.id ?? '',
    type: events[index]?.type ?? '',
    stream,
    revision: place.revision,
    position: place.position,
  }));

export const explainService =
  (id: string) =>
  (rejection: ServiceRejection): Problem =>
    rejection.code === 'id_taken'
      ? problem('id_taken', `the id ${id} belongs to another subject`, { id })
      : problem('not_found', `no service has the id ${id}`, { id });

export const explainInterface =
  (service: string) =>
  (rejection: InterfaceRejection): Problem => {
    switch (rejection.code) {
      case 'breaking_change': {
        const { major, declared, differences } = rejection;
        const [first] = differences;
        const example = first === undefined ? '' : `: ${first.method}${first.pointer}, ${first.why}`;
        return problem(
          'breaking_change',
          `the methods are not compatible with those of ${service} ${declared}${example}`,
          { service, major, declared, differences },
        );
      }
      case 'too_many':
        return invalidAt(
          '/version',
          `begins one interface too many: ${service} has ${rejection.max}, of which one has to be retired first`,
        );
      case 'bad_version':
        return invalidAt('/version', 'must be a semantic version');
      case 'not_found':
        return problem('not_found', `${service} has no interface of this major version`, { service });
    }
  };

export const explainState =
  (key: string) =>
  (rejection: StateRejection): Problem => {
    const { code } = rejection;
    switch (code) {
      case 'not_found':
        return problem(code, `the key ${key} does not exist`, { key });
      case 'version_conflict': {
        const { expectedVersion, currentVersion, currentValue, unsettled } = rejection;
        const current = currentVersion === 0 ? 'does not exist' : `is at version ${currentVersion}`;
        const expected =
          expectedVersion === undefined
            ? ''
            : expectedVersion === 0
              ? ', and it was expected not to exist'
              : `, and version ${expectedVersion} was expected`;
        const why =
          unsettled === undefined ? '' : `; ${unsettled.resolver} cannot resolve it: ${unsettled.reason}`;
        return problem(code, `the key ${key} ${current}${expected}${why}`, {
          key,
          ...given({ expectedVersion }),
          currentVersion,
          currentValue,
          ...unsettled,
        });
      }
      case 'patch_failed': {
        const { index, detail, currentVersion } = rejection;
        return problem(code, `operation ${index} of the patch: ${detail}`, { key, index, currentVersion });
      }
      case 'not_a_number': {
        const { detail, currentVersion } = rejection;
        return problem(code, `the key ${key} cannot be incremented: ${detail}`, { key, currentVersion });
      }
      case 'lock_held': {
        const { holder, expiresAt } = rejection;
        return problem(code, `the key ${key} is held as a lock by ${holder} until ${expiresAt}`, {
          key,
          holder,
          expiresAt,
        });
      }
      case 'not_a_lock':
        return problem(code, `the key ${key} has a value and is no lock`, {
          key,
          currentVersion: rejection.currentVersion,
        });
      case 'lock_lost': {
        const { token, heldBy } = rejection;
        const now = heldBy === null ? 'nobody holds it' : `${heldBy} holds it`;
        return problem(code, `the lock ${key} is not held with the token ${token}: ${now}`, {
          key,
          token,
          heldBy,
        });
      }
    }
  };

export const explainSubscription =
  (name: string) =>
  (rejection: SubscriptionRejection): Problem => {
    switch (rejection.code) {
      case 'not_found':
        return problem('not_found', `there is no subscription ${name.slice(0, 128)}`, {
          subscription: name.slice(0, 128),
        });
      case 'not_owner':
        return problem('not_owner', `another node serves ${name} now`, { subscription: name });
      case 'stale_list':
        return problem('busy', `dead letters of ${name} are being redriven or discarded by others`, {
          subscription: name,
        });
    }
  };

export const explainRetention =
  (topic: string) =>
  (rejection: RetentionRejection): Problem =>
    rejection.code === 'not_found'
      ? problem('not_found', `the pattern ${topic} has no retention`, { topic })
      : invalidAt('/topic', `is one pattern too many: ${rejection.max} have a retention already`);

/** Where the events of a command stand that was sent before. */
export const receiptsOfRecorded = (recorded: readonly LogEvent[]): readonly EventReceipt[] =>
  recorded.map(({ id, type, stream, revision, position }) => ({ id, type, stream, revision, position }));

export const mismatch = (commandId: string) =>
  fault(problem('idempotency_mismatch', 'this command id was used with another input', { commandId }));

/**
 * The refusal of a command whose id came before with another input, or undefined: it is the same command, or what was
 * recorded is another one's (a message that is repeated by its own id).
 */
export const mismatchOf = (recorded: LogEvent | undefined, own: NewMetadata) => {
  const { commandId, commandHash } = own;
  return commandId === undefined ||
    recorded?.metadata.commandId !== commandId ||
    recorded.metadata.commandHash === commandHash
    ? undefined
    : mismatch(commandId);
};
