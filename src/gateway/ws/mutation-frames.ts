import type { Json } from '../../../domain/event.ts';
import { ok, type Result } from '../../errors.ts';
import { given } from '../../given.ts';
import type { CommandInput } from '../../nexus-core.ts';
import { isTraceId, traceRule } from '../context.ts';
import { type Fields, invalid, isFields } from './fields.ts';
import { commandIdOfKey } from './idempotency.ts';

/** What a change is traced by, as REST's X-Causation-Id and X-Correlation-Id say it. */
export type Trace = { readonly causationId?: string; readonly correlationId?: string };

/** `publish` and `command`: the frames that change something, on WebSocket and ZeroMQ alike. */
export type MutationFrame = {
  readonly type: 'publish' | 'command';
  readonly command: CommandInput;
  readonly trace: Trace;
};

export const publishFrame = ({
  type: _type,
  id: _id,
  causationId,
  correlationId,
  idempotencyKey,
  ...data
}: Fields): Result<MutationFrame> => {
  const trace = traceOf(causationId, correlationId);
  if (!trace.ok) return trace;
  const command = { type: 'PublishMessage', data };
  if (idempotencyKey === undefined) return ok({ type: 'publish', command, trace: trace.value });
  const commandId = commandIdOfKey(idempotencyKey);
  if (!commandId.ok) return commandId;
  return ok({ type: 'publish', command: { ...command, commandId: commandId.value }, trace: trace.value });
};

export const traceOf = (causationId: Json | undefined, correlationId: Json | undefined): Result<Trace> => {
  if (causationId !== undefined && !isTraceId(causationId)) return invalid('/causationId', traceRule);
  if (correlationId !== undefined && !isTraceId(correlationId)) return invalid('/correlationId', traceRule);
  return ok(given({ causationId, correlationId }));
};

/** `command` is the body of POST /commands. */
export const commandFrame = (fields: Fields): Result<MutationFrame> => {
  const { command, causationId, correlationId, idempotencyKey } = fields;
  const trace = traceOf(causationId, correlationId);
  if (!trace.ok) return trace;
  if (!isFields(command)) return invalid('/command', 'must be a JSON object');
  const { type, data, commandId, expectedRevision } = command;
  for (const key of Object.keys(command)) {
    if (!commandKeys.has(key))
      return invalid('/command', `the field ${JSON.stringify(key.slice(0, 64))} is unknown`);
  }
  if (typeof type !== 'string') return invalid('/command/type', 'must be a string');
  if (
    commandId !== undefined &&
    !(
      typeof commandId === 'string' &&
      commandId !== '' &&
      commandId.length <= 128 &&
      commandId.isWellFormed()
    )
  ) {
    return invalid('/command/commandId', 'must be a string of 1 to 128 characters');
  }
  if (commandId !== undefined && idempotencyKey !== undefined)
    return invalid('/idempotencyKey', 'is for a command without a commandId');
  const byKey = idempotencyKey === undefined ? undefined : commandIdOfKey(idempotencyKey);
  if (byKey?.ok === false) return byKey;
  if (expectedRevision !== undefined && !isRevision(expectedRevision)) {
    return invalid('/command/expectedRevision', 'must be an integer from -1 (no event yet)');
  }
  return ok({
    type: 'command',
    command: {
      type,
      data,
      ...given({ commandId: byKey?.value ?? commandId, expectedRevision }),
    },
    trace: trace.value,
  });
};

const commandKeys = new Set(['type', 'data', 'commandId', 'expectedRevision']);
const isRevision = (value: Json): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= -1;
