import type { Json } from '../../../domain/event.ts';
import type { Service, ServiceFilter, ServiceInterface } from '../../nexus-core.ts';
import { type Args, command, given, got, gotOrNull, limitOf, type Resolve, refuseKey } from './resolving.ts';

const service: Resolve<{ id: string; asOf: string }, Service | null> = async (_, args, { core, context }) => {
  const { id = '', ...options } = given(args);
  return gotOrNull(await core.service(id, options, context));
};

type ServicesArgs = Required<Omit<ServiceFilter, 'capabilities' | 'limit' | 'cursor' | 'asOf'>> & {
  capability: readonly string[];
  asOf: string;
  first: number;
  after: string;
};
const services: Resolve<ServicesArgs, readonly Service[]> = async (_, args, { core, context }) => {
  const { capability, first, after, ...filter } = given(args);
  const query = {
    ...filter,
    ...(capability === undefined ? {} : { capabilities: capability }),
    ...(after === undefined ? {} : { cursor: after }),
    ...limitOf('first', first),
  };
  return got(await core.services(query, context)).services;
};

const serviceInterface: Resolve<{ name: string }, ServiceInterface | null> = async (
  _,
  { name },
  { core, context },
) => gotOrNull(await core.serviceInterface(name ?? '', context));

const serviceInterfaces: Resolve<{ first: number; after: string }, readonly ServiceInterface[]> = async (
  _,
  args,
  { core, context },
) => {
  const { first, after } = given(args);
  const query = { ...(after === undefined ? {} : { cursor: after }), ...limitOf('first', first) };
  return got(await core.serviceInterfaces(query, context)).interfaces;
};

export const serviceQueries = { service, services, serviceInterface, serviceInterfaces } as const;

/** Fields that may be null: without a check, without a TTL, never removed. */
const nullable = ['healthCheckUrl', 'ttlSec', 'removeAfterSec'] as const;
/** Inputs whose own fields may be left out. */
const nested = ['healthCheck', 'balancing'] as const;

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const fieldsOf = (input: Fields): Fields => {
  const fields: Record<string, unknown> = given(input);
  for (const name of nullable) if (input[name] === null) fields[name] = null;
  for (const name of nested) {
    const value = fields[name];
    if (isFields(value)) fields[name] = given(value);
  }
  return fields;
};

const registerService: Resolve<{ input: Fields }, object> = async (_, { input }, at) => {
  const done = await command('RegisterService', fieldsOf(input ?? {}), at);
  return 'service' in done ? { ...done, ...idOf(done.service) } : done;
};

const idOf = (value: unknown): object =>
  typeof value === 'object' && value !== null && 'id' in value ? { id: value.id } : {};

const updateService: Resolve<{ id: string; input: Fields }, object> = async (_, { id, input }, at) => ({
  ...(await command('UpdateService', { ...fieldsOf(input ?? {}), id }, at)),
  id,
});

const deregisterService: Resolve<{ id: string; reason: string }, object> = async (_, args, at) => ({
  ...(await command('DeregisterService', given(args), at)),
  id: args.id,
});

type HeartbeatArgs = { id: string; load: number; status: string; metrics: Json };
const heartbeat: Resolve<HeartbeatArgs, object> = async (_, args, at) => {
  refuseKey(at, 'a heartbeat may be sent again as it is');
  const { core, context } = at;
  const { id = '', ...beat } = given(args);
  return { ...got(await core.heartbeat(id, beat, context)), id, success: true };
};

type InvokeArgs = {
  name: string;
  method: string;
  data: Json;
  strategy: string;
  key: string;
  capability: string;
  timeoutMs: number;
  idempotent: boolean;
};
/** `data: null` is a value, so only the other arguments are looked at for null. */
const invokeService: Resolve<InvokeArgs, object> = async (_, args, at) => {
  refuseKey(at, 'a call of a service leaves no event');
  const { core, context, whileAsked } = at;
  const { data, ...rest }: Args<InvokeArgs> = args;
  const { name = '', ...call } = given(rest);
  const input = { ...call, ...(data === undefined ? {} : { data }) };
  return {
    ...got(await whileAsked((signal) => core.invoke(name, input, context, { signal }))),
    success: true,
  };
};

const retireInterface: Resolve<{ name: string; major: string; reason: string }, object> = async (
  _,
  args,
  at,
) => command('RetireInterface', given(args), at);

export const serviceMutations = {
  registerService,
  updateService,
  deregisterService,
  heartbeat,
  invokeService,
  retireInterface,
} as const;
