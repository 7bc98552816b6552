import type { Json } from '../../../domain/event.ts';
import { ok, type Result } from '../../errors.ts';
import { given } from '../../given.ts';
import type { CallAnswer } from '../../registry/socket/channel.ts';
import { type Fields, invalid, isFields } from './fields.ts';

/** Frames that services send of themselves. What `data` holds is left to the hub's schema. */
export type ServiceFrame =
  | { readonly type: 'heartbeat'; readonly service: string; readonly data: Json }
  | { readonly type: 'serve'; readonly data: Json }
  | { readonly type: 'stopServing'; readonly service: string }
  | { readonly type: 'answerCall'; readonly call: number; readonly answer: CallAnswer };

const maxIdLength = 128;
const maxMessageLength = 4_096;
const maxCodeLength = 128;

const isText = (value: Json | undefined, max: number): value is string =>
  typeof value === 'string' && value !== '' && value.length <= max;

/** Undefined for a frame that is none of these. */
export const serviceFrame = (fields: Fields): Result<ServiceFrame> | undefined => {
  switch (fields.type) {
    case 'heartbeat': {
      const { type: _type, id: _id, service, ...data } = fields;
      return isText(service, maxIdLength)
        ? ok({ type: 'heartbeat', service, data })
        : invalid('/service', `must be a string of 1 to ${maxIdLength} characters`);
    }
    case 'serve': {
      const { type: _type, id: _id, ...data } = fields;
      return ok({ type: 'serve', data });
    }
    case 'stopServing':
      return isText(fields.service, maxIdLength)
        ? ok({ type: 'stopServing', service: fields.service })
        : invalid('/service', `must be a string of 1 to ${maxIdLength} characters`);
    case 'callResult':
      return answerFrame(fields.call, ok({ ok: true, value: fields.result ?? null }));
    case 'callFailed':
      return answerFrame(fields.call, errorOf(fields.error));
    default:
      return undefined;
  }
};

const answerFrame = (call: Json | undefined, answer: Result<CallAnswer>): Result<ServiceFrame> => {
  if (typeof call !== 'number' || !Number.isSafeInteger(call) || call < 1)
    return invalid('/call', 'must be the number of a call');
  return answer.ok ? ok({ type: 'answerCall', call, answer: answer.value }) : answer;
};

const errorOf = (error: Json | undefined): Result<CallAnswer> => {
  if (!isFields(error)) return invalid('/error', 'must be a JSON object');
  const { message, code, data } = error;
  if (!isText(message, maxMessageLength))
    return invalid('/error/message', `must be a string of 1 to ${maxMessageLength} characters`);
  if (code !== undefined && !isText(code, maxCodeLength))
    return invalid('/error/code', `must be a string of 1 to ${maxCodeLength} characters`);
  return ok({ ok: false, error: { message, ...given({ code, data }) } });
};
