import type { Json } from '../../../domain/event.ts';
import { fault, invalid, ok, type Result } from '../../errors.ts';
import { type Attributes, checkAttributes, notAnEvent } from './attributes.ts';
import { type CloudEvent, type EventData, holdsJson, isBase64, noData } from './event.ts';

export const structuredType = 'application/cloudevents+json';
export const batchType = 'application/cloudevents-batch+json';
/** Events in one batch. */
export const maxBatchEvents = 1_000;

const isArray = (value: object): value is readonly Json[] => Array.isArray(value);

/** Reads one event in the JSON format; `invalid` names each fault by its place in `json`. */
export const parseStructured = (json: Json | undefined): Result<CloudEvent> => {
  if (typeof json !== 'object' || json === null || isArray(json)) {
    return fault(notAnEvent([{ pointer: '', detail: 'must be an object' }]));
  }
  const { data, data_base64: base64, ...members } = json;
  const attributes = checkAttributes(Object.entries(members));
  if (!attributes.ok) return attributes;
  const read = dataOf(attributes.value, data, base64);
  return read.ok ? ok({ attributes: attributes.value, data: read.value }) : read;
};

const dataOf = (
  attributes: Attributes,
  data: Json | undefined,
  base64: Json | undefined,
): Result<EventData> => {
  if (base64 !== undefined && base64 !== null) {
    if (data !== undefined) return invalid('/data_base64', 'excludes data');
    if (typeof base64 === 'string' && isBase64(base64)) return ok({ kind: 'bytes', base64 });
    return invalid('/data_base64', 'must be Base64 with its padding (RFC 4648)');
  }
  if (data === undefined) return ok(noData);
  if (typeof data === 'string' || holdsJson(attributes)) return ok({ kind: 'value', value: data });
  // JSON's null is no text of any type: whoever sends it means that there is none.
  return data === null ? ok(noData) : invalid('/data', 'must be a text, as datacontenttype is no JSON');
};

/** Reads a batch: its events, or what is wrong with each, in order. */
export const parseBatch = (json: Json | undefined): Result<readonly Result<CloudEvent>[]> => {
  if (typeof json !== 'object' || json === null || !isArray(json)) {
    return fault(notAnEvent([{ pointer: '', detail: 'must be an array of events' }]));
  }
  if (json.length > maxBatchEvents) return invalid('', `must be ${maxBatchEvents} events at most`);
  return ok(json.map((item) => parseStructured(item)));
};

/** The event in the JSON format. */
export const structuredOf = ({ attributes, data }: CloudEvent): Readonly<Record<string, Json>> => {
  switch (data.kind) {
    case 'none':
      return attributes;
    case 'value':
      return { ...attributes, data: data.value };
    case 'bytes':
      return { ...attributes, data_base64: data.base64 };
  }
};
