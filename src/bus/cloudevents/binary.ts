import { isUtf8 } from 'node:buffer';
import type { Json } from '../../../domain/event.ts';
import { fault, ok, problem, type Result } from '../../errors.ts';
import { parseJson } from '../../gateway/json.ts';
import { isJsonType, isMediaType, isUtf8Type, type MediaType, mediaTypeOf } from '../../media-type.ts';
import { type Attributes, checkAttributes, notAnEvent, required } from './attributes.ts';
import { type CloudEvent, type EventData, holdsJson, noData } from './event.ts';
import { decodeHeaderValue, encodeHeaderValue } from './header-value.ts';

export const fieldPrefix = 'ce-';

/** Header fields by lower-case name, each with all its values as they came. */
export type Fields = { readonly [name: string]: readonly string[] | undefined };

const requiredFields = required.map((name) => fieldPrefix + name);

/** True when the fields say that the message is a CloudEvent, a whole one or not. */
export const isBinaryMode = (fields: Readonly<Record<string, unknown>>): boolean =>
  requiredFields.some((name) => fields[name] !== undefined);

/**
 * Reads an event whose attributes are header fields and whose data is the body. JSON becomes its value, text in UTF-8 a
 * text, all else stays bytes.
 *
 * @param contentType Of the body; undefined only when there is none.
 * @param body Undefined for none: an empty one cannot be told from it.
 */
export const parseBinary = (
  fields: Fields,
  contentType: string | undefined,
  body: Buffer | undefined,
): Result<CloudEvent> => {
  const faults: { pointer: string; detail: string }[] = [];
  const entries: [string, string][] = [];
  for (const name of Object.keys(fields)) {
    if (!name.startsWith(fieldPrefix)) continue;
    const attribute = name.slice(fieldPrefix.length);
    const [value = '', ...others] = fields[name] ?? [];
    const text = others.length === 0 ? decodeHeaderValue(value) : undefined;
    if (attribute === 'datacontenttype') faults.push({ pointer: `/${name}`, detail: 'is Content-Type here' });
    else if (text !== undefined) entries.push([attribute, text]);
    else {
      const detail =
        others.length > 0 ? 'may be given only once' : 'must be visible ASCII, percent-encoded as UTF-8';
      faults.push({ pointer: `/${name.slice(0, 64)}`, detail });
    }
  }
  if (contentType !== undefined && isMediaType(contentType)) entries.push(['datacontenttype', contentType]);
  else if (contentType !== undefined)
    faults.push({ pointer: '/Content-Type', detail: 'must be a media type' });
  if (faults.length > 0) return fault(notAnEvent(faults.slice(0, 20)));
  const attributes = checkAttributes(entries, fieldPrefix);
  if (!attributes.ok) return attributes;
  const data = body === undefined ? ok(noData) : dataOf(mediaTypeOf(contentType ?? ''), body);
  return data.ok ? ok({ attributes: attributes.value, data: data.value }) : data;
};

const dataOf = (media: MediaType, body: Buffer): Result<EventData> => {
  if (isJsonType(media)) {
    if (!isUtf8Type(media)) return fault(problem('unsupported_media_type', 'JSON must be UTF-8'));
    const json = parseJson(body);
    return json.ok ? ok({ kind: 'value', value: json.value }) : json;
  }
  if (media.type.startsWith('text/') && isUtf8Type(media) && isUtf8(body)) {
    return ok({ kind: 'value', value: body.toString('utf8') });
  }
  return ok({ kind: 'bytes', base64: body.toString('base64') });
};

export type BinaryMessage = {
  /** By lower-case name; `content-type` is absent when there are neither data nor a type. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
};

/** Characters of all fields: most clients and servers take 16 KiB with everything else that stands there. */
const maxFieldsLength = 8_192;

/**
 * The event in binary mode; undefined for one that only the JSON format can hold: attributes of more than 8 KiB, data
 * that is itself a CloudEvent by its type, a text that its type says is not in UTF-8.
 */
export const binaryOf = ({ attributes, data }: CloudEvent): BinaryMessage | undefined => {
  const { datacontenttype, ...others } = attributes;
  const headers: Record<string, string> = {};
  let length = 0;
  for (const [name, value] of Object.entries(others)) {
    const text = encodeHeaderValue(String(value));
    headers[fieldPrefix + name] = text;
    length += fieldPrefix.length + name.length + text.length + 4;
  }
  const type = contentTypeOf(attributes, data);
  if (type !== undefined) headers['content-type'] = type;
  if (length + (type?.length ?? 0) > maxFieldsLength) return undefined;
  if (type !== undefined && mediaTypeOf(type).type.startsWith('application/cloudevents')) return undefined;
  const body = bodyOf(attributes, data);
  return body === undefined ? undefined : { headers, body };
};

/** JSON that names no type is named here, as its format implied it (JSON format, 3.1.2). */
const contentTypeOf = ({ datacontenttype }: Attributes, data: EventData): string | undefined => {
  if (typeof datacontenttype === 'string') return datacontenttype;
  switch (data.kind) {
    case 'none':
      return undefined;
    case 'value':
      return 'application/json';
    case 'bytes':
      return 'application/octet-stream';
  }
};

const bodyOf = (attributes: Attributes, data: EventData): Buffer | undefined => {
  switch (data.kind) {
    case 'none':
      return Buffer.alloc(0);
    case 'bytes':
      return Buffer.from(data.base64, 'base64');
    case 'value':
      return encode(attributes, data.value);
  }
};

const encode = (attributes: Attributes, value: Json): Buffer | undefined => {
  const media = mediaTypeOf(String(attributes.datacontenttype ?? 'application/json'));
  const isJson = holdsJson(attributes);
  if (!isJson && (typeof value !== 'string' || !value.isWellFormed())) return undefined;
  const text = isJson ? JSON.stringify(value) : String(value);
  return isUtf8Type(media) ? Buffer.from(text) : undefined;
};
