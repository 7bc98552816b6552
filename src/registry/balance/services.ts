import { sameJson } from '../../../domain/json.ts';
import { type Balancing, defaultPolicy, type Method } from '../../../domain/service/policy.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';
import type { Candidate } from './candidate.ts';
import {
  addMember,
  createPool,
  type Member,
  moveMember,
  type Pool,
  removeMember,
  type Standing,
} from './pool.ts';
import { createMeanLatency, type MeanLatency } from './stats.ts';

/** What the instance of a service that was registered or changed last says of the service. */
export type ServiceRules = {
  /** Calls that run at one time, on this node. */
  readonly maxInFlight: number;
  /** Undefined for one that was not registered. */
  method(name: string): Method | undefined;
};

/** The instances of one name. */
export type ServiceGroup = {
  readonly name: string;
  readonly all: Pool;
  readonly capabilities: Map<string, Pool>;
  readonly mean: MeanLatency;
  /** Instances that have no address. */
  sockets: number;
  /** When the last slow start ends. */
  rampsUntilMs: number;
  /** The one that was registered or changed last; undefined: to be looked for. */
  newest: Candidate | undefined;
  /** Of `newest`, as its document was. */
  rules: ServiceRules | undefined;
};

/** The services, by name; one without instances is none. */
export type ServiceGroups = {
  byName(name: string): ServiceGroup | undefined;
  /** The group that an instance of this name belongs to, which is made when there is none. */
  groupOf(name: string): ServiceGroup;
  link(candidate: Candidate, standing: Standing): void;
  /** Takes another document of the candidate in, which keeps its standing. */
  change(candidate: Candidate, document: ServiceDocument): void;
  unlink(candidate: Candidate): void;
};

/** Whether an instance with either document stands in the same pools in the same way. */
const samePlace = (one: ServiceDocument, other: ServiceDocument): boolean =>
  one.name === other.name &&
  one.weight === other.weight &&
  one.reach === other.reach &&
  sameJson(one.capabilities, other.capabilities);

const isNewer = (one: Candidate, other: Candidate): boolean => {
  const [mine, theirs] = [one.document.fieldsAt, other.document.fieldsAt];
  return mine === theirs ? one.document.id > other.document.id : mine > theirs;
};

const newestOf = (group: ServiceGroup): Candidate | undefined => {
  if (group.newest === undefined) {
    for (const { candidate } of group.all.members)
      if (group.newest === undefined || isNewer(candidate, group.newest)) group.newest = candidate;
  }
  return group.newest;
};

export const balancingOf = (group: ServiceGroup): Balancing =>
  newestOf(group)?.document.balancing ?? defaultPolicy.balancing;

/** A method's name is a caller's word: only what was registered counts, not what every object has. */
export const methodOf = (group: ServiceGroup, name: string): Method | undefined => {
  const methods = newestOf(group)?.document.methods;
  return methods !== undefined && Object.hasOwn(methods, name) ? methods[name] : undefined;
};

export const rulesOf = (group: ServiceGroup): ServiceRules => {
  group.rules ??= {
    maxInFlight: balancingOf(group).maxInFlight,
    method: (name) => methodOf(group, name),
  };
  return group.rules;
};

/** The candidate's place in a pool; undefined when it is not in there. */
export const memberIn = (candidate: Candidate, pool: Pool): Member | undefined => {
  for (const member of candidate.members) if (member.pool === pool) return member;
  return undefined;
};

export const moveCandidate = (candidate: Candidate, standing: Standing): void => {
  candidate.standing = standing;
  for (const member of candidate.members) moveMember(member, standing);
};

const createGroup = (name: string): ServiceGroup => ({
  name,
  all: createPool(),
  capabilities: new Map(),
  mean: createMeanLatency(),
  sockets: 0,
  rampsUntilMs: 0,
  newest: undefined,
  rules: undefined,
});

export const createServiceGroups = (): ServiceGroups => {
  const groups = new Map<string, ServiceGroup>();

  const groupOf = (name: string): ServiceGroup => {
    const known = groups.get(name) ?? createGroup(name);
    groups.set(name, known);
    return known;
  };

  const link = (candidate: Candidate, standing: Standing): void => {
    const { document } = candidate;
    const group = groupOf(document.name);
    candidate.service = group;
    candidate.standing = standing;
    const members = [addMember(group.all, candidate, standing)];
    for (const capability of new Set(document.capabilities)) {
      const pool = group.capabilities.get(capability) ?? createPool();
      group.capabilities.set(capability, pool);
      members.push(addMember(pool, candidate, standing));
    }
    candidate.members = members;
    if (document.reach === 'socket') group.sockets++;
    if (group.newest !== undefined && isNewer(candidate, group.newest)) group.newest = candidate;
    group.rules = undefined;
  };

  const unlink = (candidate: Candidate): void => {
    const { document, service: group } = candidate;
    for (const member of candidate.members) removeMember(member);
    candidate.members = [];
    for (const capability of document.capabilities)
      if (group.capabilities.get(capability)?.members.length === 0) group.capabilities.delete(capability);
    if (document.reach === 'socket') group.sockets--;
    if (group.newest === candidate) group.newest = undefined;
    group.rules = undefined;
    if (group.all.members.length === 0) groups.delete(group.name);
  };

  return {
    byName: (name) => groups.get(name),
    groupOf,
    link,
    unlink,

    change(candidate, document) {
      const { document: before, service, standing } = candidate;
      if (samePlace(document, before)) {
        candidate.document = document;
        if (service.newest !== undefined && isNewer(candidate, service.newest)) service.newest = candidate;
        service.rules = undefined;
        return;
      }
      unlink(candidate);
      candidate.document = document;
      candidate.weight = document.weight;
      link(candidate, standing);
    },
  };
};
