import fc from 'fast-check';
import { asPosition, type Json } from '../../domain/event.ts';
import { priorities } from '../../domain/message/message.ts';
import type { MessageView } from '../../projections/views.ts';
import {
  type AttributeValue,
  isAttributeText,
  isExtensionName,
} from '../../src/bus/cloudevents/attributes.ts';
import type { CloudEvent, EventData } from '../../src/bus/cloudevents/event.ts';
import type { MessageInput } from '../../src/bus/cloudevents/message.ts';
import { anyJson } from './arbitraries.ts';

/** The message that the hub makes of `input`, as its readers get it. */
export const published = (input: MessageInput & { readonly topic?: string }): MessageView => {
  const priority = priorities.find((name) => name === input.priority) ?? 'NORMAL';
  const place = { publishedAt: '2030-01-01T00:00:00.000Z', publisher: 'local' };
  return { topic: 'orders.eu', ...input, priority, ...place, position: asPosition('00000000000000ff') };
};

/** The examples of the JSON format's document (1.0.2, sections 3.2 and 4.3), with Base64 where it has words. */
export const specified = {
  bytes: {
    specversion: '1.0',
    type: 'com.example.someevent',
    source: '/mycontext',
    id: 'A234-1234-1234',
    time: '2018-04-05T17:31:00Z',
    comexampleextension1: 'value',
    comexampleothervalue: 5,
    datacontenttype: 'application/vnd.apache.thrift.binary',
    data_base64: 'AAEC/w==',
  },
  xml: {
    specversion: '1.0',
    type: 'com.example.someevent',
    source: '/mycontext',
    id: 'B234-1234-1234',
    time: '2018-04-05T17:31:00Z',
    comexampleextension1: 'value',
    comexampleothervalue: 5,
    datacontenttype: 'application/xml',
    data: '<much wow="xml"/>',
  },
  object: {
    specversion: '1.0',
    type: 'com.example.someevent',
    source: '/mycontext',
    id: 'C234-1234-1234',
    time: '2018-04-05T17:31:00Z',
    comexampleextension1: 'value',
    comexampleothervalue: 5,
    datacontenttype: 'application/json',
    data: { appinfoA: 'abc', appinfoB: 123, appinfoC: true },
  },
  string: {
    specversion: '1.0',
    type: 'com.example.someevent',
    source: '/mycontext',
    id: 'D234-1234-1234',
    time: '2018-04-05T17:31:00Z',
    comexampleextension1: 'value',
    comexampleothervalue: 5,
    data: "I'm just a string",
  },
} as const;

const anyText = fc.string({ unit: 'grapheme', maxLength: 20 }).filter(isAttributeText);
const someText = anyText.filter((text) => text !== '');
const anyName = fc
  .stringMatching(/^[a-z0-9]{1,20}$/)
  .filter((name) => isExtensionName(name) && name !== 'partitionkey');
const anyValue: fc.Arbitrary<AttributeValue> = fc.oneof(
  anyText,
  fc.boolean(),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
);

/** JSON that the parser of bodies takes. */
export const takenJson: fc.Arbitrary<Json> = anyJson.filter(
  (value) => !/"(?:__proto__|constructor|prototype)"/.test(JSON.stringify(value)),
);

const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 });
const anyData: fc.Arbitrary<{ readonly type: string | undefined; readonly data: EventData }> = fc.oneof(
  fc.record({
    type: fc.constantFrom(
      undefined,
      'application/json',
      'application/vnd.a+json; charset=utf-8',
      'text/json',
    ),
    data: takenJson.map((value): EventData => ({ kind: 'value', value })),
  }),
  fc.record({
    type: fc.constantFrom('text/plain', 'text/html; charset="utf-8"'),
    data: fc.string({ unit: 'grapheme', minLength: 1 }).map((value): EventData => ({ kind: 'value', value })),
  }),
  fc.record({
    type: fc.constantFrom('application/octet-stream', 'image/png'),
    data: bytes.map((value): EventData => ({ kind: 'bytes', base64: Buffer.from(value).toString('base64') })),
  }),
  fc.record({
    type: fc.constantFrom(undefined, 'image/png'),
    data: fc.constant<EventData>({ kind: 'none' }),
  }),
);

export const anyCloudEvent: fc.Arbitrary<CloudEvent> = fc
  .tuple(
    fc.record(
      {
        specversion: fc.constant('1.0'),
        id: someText,
        source: fc.constantFrom(
          '/a',
          'urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66',
          'https://a.example/b?c#d',
        ),
        type: someText,
        subject: someText,
        time: fc.constantFrom('2018-04-05T17:31:00Z', '2018-04-05t17:31:00.123456789+02:00'),
        dataschema: fc.constantFrom('https://a.example/schema#/a'),
        partitionkey: someText,
        priority: fc.oneof(fc.constantFrom('HIGH', 'low'), anyText),
      },
      { requiredKeys: ['specversion', 'id', 'source', 'type'] },
    ),
    fc.dictionary(anyName, anyValue, { maxKeys: 6, noNullPrototype: true }),
    anyData,
  )
  .map(([core, extensions, { type, data }]) => ({
    attributes: { ...extensions, ...core, ...(type === undefined ? {} : { datacontenttype: type }) },
    data,
  }));
