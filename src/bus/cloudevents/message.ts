import type { Json } from '../../../domain/event.ts';
import { priorities } from '../../../domain/message/message.ts';
import type { MessageView } from '../../../projections/views.ts';
import { idOf } from '../../ids.ts';
import {
  type Attributes,
  type AttributeValue,
  checkAttributes,
  isAttributeName,
  isAttributeText,
  isExtensionName,
  maxExtensions,
} from './attributes.ts';
import { type CloudEvent, type EventData, holdsJson, isBase64, noData } from './event.ts';

/**
 * How a CloudEvent stands in a message, and how any message is one (docs/cloudevents.md). An attribute `a` is the
 * header `ce-a`; a header with a further hyphen is none, and says what a text alone does not.
 */
const prefix = 'ce-';
const dataHeader = 'ce-data-is';
const integersHeader = 'ce-integers-are';
const booleansHeader = 'ce-booleans-are';

/** The input of PublishMessage but for its topic. */
export type MessageInput = {
  readonly messageId: string;
  readonly payload: Json;
  readonly headers: Readonly<Record<string, string>>;
  readonly key?: string;
  readonly priority?: string;
};

/**
 * The message that carries an event. Two sources may use one id on one topic, so the message's id stands for both; the
 * same event again has the same.
 */
export const messageInputOf = ({ attributes, data }: CloudEvent): MessageInput => {
  const { partitionkey, ...others } = attributes;
  const headers: Record<string, string> = {};
  const integers: string[] = [];
  const booleans: string[] = [];
  for (const [name, value] of Object.entries(others)) {
    headers[prefix + name] = String(value);
    if (typeof value === 'number') integers.push(name);
    if (typeof value === 'boolean') booleans.push(name);
  }
  if (integers.length > 0) headers[integersHeader] = integers.join();
  if (booleans.length > 0) headers[booleansHeader] = booleans.join();
  if (data.kind !== 'value') headers[dataHeader] = data.kind;
  const priority = priorityOf(attributes.priority);
  return {
    messageId: idOf('cloudevent', String(attributes.source), String(attributes.id)),
    payload: payloadOf(data),
    headers,
    ...(typeof partitionkey === 'string' ? { key: partitionkey } : {}),
    ...(priority === undefined ? {} : { priority }),
  };
};

const payloadOf = (data: EventData): Json => {
  switch (data.kind) {
    case 'none':
      return null;
    case 'value':
      return data.value;
    case 'bytes':
      return { data_base64: data.base64 };
  }
};

/** A priority of the bus in any case; any other value is an attribute like others. */
const priorityOf = (value: AttributeValue | undefined): string | undefined => {
  const wanted = typeof value === 'string' ? value.toUpperCase() : undefined;
  return priorities.find((priority) => priority === wanted);
};

/** Any message as a CloudEvent: the one that it carries, or one that tells what the message is. Never fails. */
export const cloudEventOf = (message: MessageView): CloudEvent => carriedBy(message) ?? describe(message);

const listOf = (text: string | undefined): ReadonlySet<string> => new Set(text?.split(','));

const integerForm = /^(?:0|-?[1-9]\d{0,9})$/;

/** Whoever publishes may set any header: what is no sound event is taken for none. */
const carriedBy = ({ headers, key, payload, priority }: MessageView): CloudEvent | undefined => {
  if (headers['ce-specversion'] === undefined) return undefined;
  const integers = listOf(headers[integersHeader]);
  const booleans = listOf(headers[booleansHeader]);
  const entries: [string, AttributeValue][] = [];
  for (const [header, text] of Object.entries(headers)) {
    const name = header.slice(prefix.length);
    if (!header.startsWith(prefix) || !isAttributeName(name) || name === 'partitionkey') continue;
    if (integers.has(name) && integerForm.test(text)) entries.push([name, Number(text)]);
    else if (booleans.has(name) && (text === 'true' || text === 'false'))
      entries.push([name, text === 'true']);
    else entries.push([name, text]);
  }
  if (key !== undefined) entries.push(['partitionkey', key]);
  if (priority !== 'NORMAL' && headers['ce-priority'] === undefined) entries.push(['priority', priority]);
  const attributes = checkAttributes(entries);
  if (!attributes.ok) return undefined;
  const data = dataOf(headers[dataHeader], payload);
  const fits = data.kind !== 'value' || typeof data.value === 'string' || holdsJson(attributes.value);
  return fits ? { attributes: attributes.value, data } : undefined;
};

const dataOf = (kind: string | undefined, payload: Json): EventData => {
  if (kind === 'none' && payload === null) return noData;
  const base64 = kind === 'bytes' ? base64In(payload) : undefined;
  return base64 === undefined ? { kind: 'value', value: payload } : { kind: 'bytes', base64 };
};

const base64In = (payload: Json): string | undefined => {
  if (typeof payload !== 'object' || payload === null || !('data_base64' in payload)) return undefined;
  const { data_base64: text, ...others } = payload;
  const isWrapper = Object.keys(others).length === 0 && typeof text === 'string' && isBase64(text);
  return isWrapper ? text : undefined;
};

export const messageType = 'nexus.message';

/** A message that carries no event: its headers become extension attributes where their names and values can be. */
const describe = (message: MessageView): CloudEvent => {
  const { messageId, topic, payload, priority, key, headers, publishedAt, position } = message;
  const own: Record<string, AttributeValue> = {
    specversion: '1.0',
    // An id of control characters is none here; the position names the message as well.
    id: isAttributeText(messageId) ? messageId : position,
    source: `/nexus/topics/${topic}`,
    type: messageType,
    time: publishedAt,
    datacontenttype: 'application/json',
    position,
    priority,
  };
  if (key !== undefined && isAttributeText(key)) own.partitionkey = key;
  const extensions = Object.entries(headers)
    .filter(
      ([name, text]) =>
        isExtensionName(name) &&
        name !== 'partitionkey' &&
        !Object.hasOwn(own, name) &&
        isAttributeText(text),
    )
    .slice(0, maxExtensions - 3);
  const attributes: Attributes = { ...own, ...Object.fromEntries(extensions) };
  return { attributes, data: { kind: 'value', value: payload } };
};
