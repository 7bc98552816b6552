import type { Method, Strategy } from '../../../domain/service/policy.ts';
import type { Instance, Instances } from '../instance.ts';
import { pick } from './pick.ts';

/** How a call to an instance ended, as far as it says something about the instance. */
export type CallOutcome =
  /** It answered, whatever it answered below 500. */
  | 'answered'
  /** It answered with 500 or more, or with what cannot be read, or the connection broke. */
  | 'failed'
  | 'timeout'
  /** No connection was made; nothing was sent. */
  | 'unreachable'
  /** The caller went away, or something else happened that is not the instance's doing. */
  | 'cancelled';

export type PickRequest = {
  readonly service: string;
  readonly method?: string | undefined;
  /** Default: the method's, else the service's. */
  readonly strategy?: Strategy | undefined;
  /** What `consistent-hash` and `sticky` go by. */
  readonly key?: string | undefined;
  /** Only instances that have it. */
  readonly capability?: string | undefined;
  /** Instances that this call has been at already. */
  readonly tried: ReadonlySet<Instance>;
  /** Only instances that have an address. */
  readonly directOnly?: boolean;
};

export type Picked = {
  readonly instance: Instance;
  /** To be called once, when the call has ended. @param reason of a call that failed, for the log. */
  settle(outcome: CallOutcome, reason?: string): void;
};

/** What the newest registered instance of a service says of the service. */
export type ServiceRules = {
  /** Calls that run at one time, on this node. */
  readonly maxInFlight: number;
  /** Undefined for one that was not registered. */
  method(name: string): Method | undefined;
};

/** Chooses the instance that a call goes to, and learns from how it ended (docs/adr/0024-balancing.md). */
export type Balancer = {
  /** Undefined when no instance is fit. */
  pick(request: PickRequest): Picked | undefined;
  /** Undefined for a service that nobody is registered as. */
  rules(service: string): ServiceRules | undefined;
  /** After an instance was added, and after each change of its document or evidence. */
  put(instance: Instance): void;
  remove(instance: Instance): void;
};

export type BalancerOptions = {
  readonly instances: Instances;
  /** 0 (inclusive) … 1 (exclusive). */
  readonly random: () => number;
};

export const createBalancer = ({ instances, random }: BalancerOptions): Balancer => ({
  pick({ service, capability, tried }) {
    const instance = pick(
      instances.byName(service),
      (candidate) =>
        !tried.has(candidate) &&
        (capability === undefined || candidate.document.capabilities.includes(capability)),
      random,
    );
    if (instance === undefined) return undefined;
    instance.inFlight++;
    return {
      instance,
      settle: () => {
        instance.inFlight--;
      },
    };
  },
  rules(service) {
    for (const { document } of instances.byName(service))
      return {
        maxInFlight: document.balancing.maxInFlight,
        method: (name) => document.methods[name],
      };
    return undefined;
  },
  put: () => {},
  remove: () => {},
});
