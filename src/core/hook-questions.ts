import * as z from 'zod';
import type { Json } from '../../domain/event.ts';
import { hubHeaders } from '../bus/requests/schemas.ts';
import { type Command, type CommandData, commandSchemas } from '../command/catalog.ts';
import { registrationChange } from '../command/service-schemas.ts';
import { anyJson, stateSchemas } from '../command/state-schemas.ts';
import { fault, invalidAt, ok, type Result } from '../errors.ts';
import { given } from '../given.ts';
import { maxAppendBytes } from '../log/event-log.ts';
import { verdicts } from '../plugin/hooks/answers.ts';
import type { Question } from '../plugin/hooks/hooks.ts';
import { validate } from './validate.ts';

/** What plugins are asked about commands. A change passes the schema of the command again, and must fit into an event. */

/** What an event holds beside the data of its command. */
const aroundBytes = 4_096;

const fitting = <Data>(data: Data): Result<Data> =>
  Buffer.byteLength(JSON.stringify(data)) + aroundBytes <= maxAppendBytes
    ? ok(data)
    : fault(invalidAt('', 'is too large for an event'));

const { priority, headers } = commandSchemas.PublishMessage.shape;
const publishChange = z
  .strictObject({ payload: anyJson, priority: priority.unwrap(), headers: headers.unwrap() })
  .partial();
const publishVerdicts = verdicts(publishChange);

type Publish = CommandData<'PublishMessage'>;
type Headers = NonNullable<Publish['headers']>;

/** Where the reply to a request goes is a matter of the requester and of who replies. */
const isHubHeader = (name: string): boolean => name === hubHeaders.replyTo || name === hubHeaders.requestId;
const headersWhere = (all: Headers, isMeant: (name: string) => boolean): Headers =>
  Object.fromEntries(Object.entries(all).filter(([name]) => isMeant(name)));

export const publishQuestion = (
  data: Publish,
  subject: string,
): Question<Publish, z.output<typeof publishChange>> => ({
  hook: 'before_publish',
  name: data.topic,
  subject,
  value: data,
  answers: publishVerdicts,
  input: (value) => ({
    topic: value.topic,
    payload: value.payload,
    priority: value.priority,
    ...given({ key: value.key }),
    headers: headersWhere(value.headers ?? {}, (name) => !isHubHeader(name)),
    subject,
  }),
  change: (value, { headers: changed, ...change }) => {
    if (changed === undefined) return fitting({ ...value, ...given(change) });
    if (Object.keys(changed).some(isHubHeader))
      return fault(invalidAt('/headers', 'has names of the hub’s own'));
    const own = headersWhere(value.headers ?? {}, isHubHeader);
    return fitting({ ...value, ...given(change), headers: { ...changed, ...own } });
  },
});

export type StateWrite = Extract<
  Command,
  { readonly type: 'SetState' | 'PatchState' | 'IncrementState' | 'DeleteState' }
>;

const stateChange = z.strictObject({ value: anyJson });
const stateVerdicts = verdicts(stateChange);

const writeInput = (write: StateWrite): { readonly [name: string]: Json } => {
  const { key } = write.data;
  switch (write.type) {
    case 'SetState':
      return { operation: 'set', key, value: write.data.value };
    case 'PatchState':
      return { operation: 'patch', key, patch: write.data.patch };
    case 'IncrementState':
      return { operation: 'increment', key, by: write.data.by };
    case 'DeleteState':
      return { operation: 'delete', key };
  }
};

/** `value` stands in the place of the value, the patch or the number that the client sent. */
const changedWrite = (write: StateWrite, value: Json): Result<StateWrite> => {
  const { type, data } = write;
  switch (type) {
    case 'SetState': {
      const checked = validate(stateSchemas.SetState, { ...data, value });
      return checked.ok ? ok({ type, data: checked.value }) : checked;
    }
    case 'PatchState': {
      const checked = validate(stateSchemas.PatchState, { ...data, patch: value });
      return checked.ok ? ok({ type, data: checked.value }) : checked;
    }
    case 'IncrementState': {
      const checked = validate(stateSchemas.IncrementState, { ...data, by: value });
      return checked.ok ? ok({ type, data: checked.value }) : checked;
    }
    case 'DeleteState':
      return fault(invalidAt('/value', 'is not for a deletion'));
  }
};

export const writeQuestion = (
  write: StateWrite,
  subject: string,
): Question<StateWrite, z.output<typeof stateChange>> => ({
  hook: 'before_state_change',
  name: write.data.key,
  subject,
  value: write,
  answers: stateVerdicts,
  input: (value) => ({
    ...writeInput(value),
    ...given({ expectedVersion: value.data.expectedVersion }),
    subject,
  }),
  change: (value, change) => {
    const changed = changedWrite(value, change.value);
    return changed.ok ? fitting(changed.value) : changed;
  },
});

type Registration = CommandData<'RegisterService'>;
const registrationVerdicts = verdicts(registrationChange);

export const registrationQuestion = (
  data: Registration,
  subject: string,
): Question<Registration, z.output<typeof registrationChange>> => ({
  hook: 'before_service_register',
  name: data.name,
  subject,
  value: data,
  answers: registrationVerdicts,
  input: ({ methods, healthCheck, balancing, ...plain }) => ({
    service: {
      ...given(plain),
      methods: Object.fromEntries(
        Object.entries(methods).map(([name, method]) => [name, { ...given(method) }]),
      ),
      healthCheck: { ...healthCheck },
      balancing: { ...balancing },
    },
    subject,
  }),
  change: (value, change) => fitting({ ...value, ...given(change) }),
});
