import test from 'ava';
import { CloudEvent as ForeignEvent } from 'cloudevents';
import fc from 'fast-check';
import type { Json } from '../../domain/event.ts';
import { binaryOf, type Fields, parseBinary } from '../../src/bus/cloudevents/binary.ts';
import type { CloudEvent } from '../../src/bus/cloudevents/event.ts';
import { cloudEventOf, messageInputOf } from '../../src/bus/cloudevents/message.ts';
import { parseBatch, parseStructured, structuredOf } from '../../src/bus/cloudevents/structured.ts';
import type { Result } from '../../src/errors.ts';
import { anyJson, seeded } from '../support/arbitraries.ts';
import { anyCloudEvent, published, specified } from '../support/cloudevents.ts';

const take = <Value>(result: Result<Value>): Value => {
  if (result.ok) return result.value;
  throw new Error(result.problem.detail);
};
const pointersOf = (result: Result<unknown>): unknown =>
  result.ok
    ? []
    : ((result.problem.facts?.errors ?? [result.problem.code]) as { pointer?: string }[]).map(
        (error) => error.pointer ?? error,
      );
const through = (event: CloudEvent): CloudEvent => cloudEventOf(published(messageInputOf(event)));
const fieldsOf = (headers: Readonly<Record<string, string>>): Fields =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));

const least = { specversion: '1.0', id: '1', source: '/a', type: 't' };
const leastFields = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/a', 'ce-type': 't' };

for (const [name, example] of Object.entries(specified)) {
  test(`the specification’s example of ${name} data › comes out of a message as it went in`, (t) => {
    t.deepEqual(structuredOf(through(take(parseStructured(example)))), example);
  });

  test(`the specification’s example of ${name} data › has the binary form that the specification shows`, (t) => {
    const binary = binaryOf(through(take(parseStructured(example))));
    t.deepEqual(binary?.headers, {
      'ce-specversion': '1.0',
      'ce-type': 'com.example.someevent',
      'ce-source': '/mycontext',
      'ce-id': example.id,
      'ce-time': '2018-04-05T17:31:00Z',
      'ce-comexampleextension1': 'value',
      'ce-comexampleothervalue': '5',
      'content-type': 'datacontenttype' in example ? example.datacontenttype : 'application/json',
    });
    const body = binary?.body.toString('latin1');
    if ('data_base64' in example) t.is(body, '\u0000\u0001\u0002\u00ff');
    else t.is(body, example === specified.xml ? example.data : JSON.stringify(example.data));
  });
}

test('structured › an attribute that is null is absent, and data that is null is not', (t) => {
  const event = take(parseStructured({ ...least, subject: null, unset: null, data: null }));
  t.deepEqual(structuredOf(through(event)), { ...least, data: null });
  t.deepEqual(structuredOf(through(take(parseStructured(least)))), least);
});

test('structured › data that looks like bytes stays data', (t) => {
  const event = { ...least, data: { data_base64: 'AAEC' } };
  t.deepEqual(structuredOf(through(take(parseStructured(event)))), event);
});

test('any event › is the same one after a message carried it, with the types of its attributes', (t) => {
  fc.assert(
    fc.property(anyCloudEvent, (event) => {
      const json = structuredOf(event);
      const read = take(parseStructured(JSON.parse(JSON.stringify(json)) as Json));
      t.deepEqual({ ...structuredOf(through(read)) }, { ...json });
    }),
    seeded,
  );
  t.pass();
});

test('any event in binary mode › is the same one after a message carried it', (t) => {
  fc.assert(
    fc.property(anyCloudEvent, (event) => {
      const sent = binaryOf(event);
      if (sent === undefined) throw new Error('every one of these has a binary form');
      const body = sent.body.length === 0 ? undefined : sent.body;
      const read = take(parseBinary(fieldsOf(sent.headers), sent.headers['content-type'], body));
      const out = binaryOf(through(read));
      t.deepEqual(out?.headers, sent.headers);
      t.deepEqual(out?.body, sent.body);
    }),
    seeded,
  );
  t.pass();
});

const anyMessage = fc
  .record(
    {
      messageId: fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
      payload: anyJson,
      priority: fc.constantFrom('LOW', 'HIGH', 'CRITICAL'),
      key: fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }),
      headers: fc.dictionary(
        fc.oneof(
          fc.constantFrom(
            'ce-specversion',
            'ce-id',
            'ce-source',
            'ce-type',
            'ce-a',
            'ce-data-is',
            'type',
            'a',
          ),
          fc.constantFrom('ce-integers-are', 'ce-booleans-are', 'ce-datacontenttype', 'position', 'data'),
          fc.string({ unit: 'binary', minLength: 1, maxLength: 6 }),
        ),
        fc.oneof(
          fc.constantFrom('1.0', 'a', '/a', 'none', 'bytes', '7', 'true', 'text/plain', 'a\r\nb: c'),
          fc.string({ unit: 'binary', maxLength: 8 }),
        ),
        { noNullPrototype: true },
      ),
    },
    { requiredKeys: ['messageId', 'payload', 'headers'] },
  )
  .map(published);

test('any message › whatever its id, key and headers are, is a sound event for a foreign reader', (t) => {
  fc.assert(
    fc.property(anyMessage, (message) => {
      const event = cloudEventOf(message);
      t.true(
        new ForeignEvent({ ...structuredOf(event) } as ConstructorParameters<
          typeof ForeignEvent
        >[0]).validate(),
      );
      for (const [name, value] of Object.entries(binaryOf(event)?.headers ?? {})) {
        t.regex(name, /^(?:ce-[a-z0-9]+|content-type)$/);
        t.regex(value, /^[ -~]*$/);
      }
    }),
    { ...seeded, numRuns: 1_000 },
  );
  t.pass();
});

test('a message that came otherwise › is an event that tells what the message is', (t) => {
  const headers = { traceparent: '00-a-b-01', 'X-Other': 'left out', type: 'left out', position: 'left out' };
  const message = published({ messageId: 'm-1', payload: { a: 1 }, headers, key: 'k', priority: 'HIGH' });
  t.deepEqual(structuredOf(cloudEventOf(message)), {
    specversion: '1.0',
    id: 'm-1',
    source: '/nexus/topics/orders.eu',
    type: 'nexus.message',
    time: '2030-01-01T00:00:00.000Z',
    datacontenttype: 'application/json',
    position: '00000000000000ff',
    priority: 'HIGH',
    partitionkey: 'k',
    traceparent: '00-a-b-01',
    data: { a: 1 },
  });
});

test('a message whose headers only pretend to be an event › is described as any other', (t) => {
  const forged = {
    'ce-specversion': '1.0',
    'ce-id': '1',
    'ce-source': '/a',
    'ce-type': 'a\r\nset-cookie: b',
  };
  const event = cloudEventOf(published({ messageId: 'm', payload: 1, headers: forged }));
  t.like(event.attributes, { id: 'm', type: 'nexus.message' });
});

test('a message › has the key, priority and id that its event says, and another id for another source', (t) => {
  const inputOf = (more: object) => messageInputOf(take(parseStructured({ ...least, ...more })));
  t.like(inputOf({ partitionkey: 'k', priority: 'high' }), { key: 'k', priority: 'HIGH' });
  t.false('priority' in inputOf({ priority: 'urgent' }));
  t.false('priority' in inputOf({ priority: 7 }));
  t.is(inputOf({ data: 1 }).messageId, inputOf({ data: 2 }).messageId);
  t.not(inputOf({}).messageId, inputOf({ source: '/b' }).messageId);
});

const long = 'x'.repeat(4_097);
for (const [what, change, pointers] of [
  ['no id', { id: undefined }, ['/id']],
  ['an empty id', { id: '' }, ['/id']],
  ['an id that is a number', { id: 1 }, ['/id']],
  ['a control character', { id: 'a\u0007' }, ['/id']],
  ['half a surrogate pair', { type: '\ud800' }, ['/type']],
  ['a noncharacter', { type: '\uffff' }, ['/type']],
  ['a value of 4,097 characters', { subject: long }, ['/subject']],
  ['another version', { specversion: '0.3' }, ['/specversion']],
  ['a source that is no URI reference', { source: 'a b' }, ['/source']],
  ['a source with broken percent-encoding', { source: '/%zz' }, ['/source']],
  ['an empty source', { source: '' }, ['/source']],
  ['a schema that is relative', { dataschema: '/a' }, ['/dataschema']],
  ['an empty subject', { subject: '' }, ['/subject']],
  ['a day that is none', { time: '2023-02-29T00:00:00Z' }, ['/time']],
  ['a type that is none', { datacontenttype: 'json' }, ['/datacontenttype']],
  ['a type that ends its line', { datacontenttype: 'text/plain\r\nx: y' }, ['/datacontenttype']],
  ['capital letters in a name', { myExtension: 1 }, ['/myExtension']],
  ['a hyphen in a name', { 'my-extension': 1 }, ['/my-extension']],
  ['a slash in a name', { 'a/b': 1 }, ['/a~1b']],
  ['an empty name', { '': 1 }, ['/']],
  ['a name of 61 characters', { ['a'.repeat(61)]: 1 }, [`/${'a'.repeat(60)}`]],
  ['an object as a value', { a: {} }, ['/a']],
  ['a fraction as a value', { a: 1.5 }, ['/a']],
  ['a number of 33 bits', { a: 2 ** 31 }, ['/a']],
  ['an empty partition key', { partitionkey: '' }, ['/partitionkey']],
  ['a partition key of 257 characters', { partitionkey: 'x'.repeat(257) }, ['/partitionkey']],
  ['data twice', { data: 1, data_base64: '' }, ['/data_base64']],
  ['Base64 without its padding', { data_base64: 'AA' }, ['/data_base64']],
  ['an object as text', { datacontenttype: 'text/plain', data: {} }, ['/data']],
  ['several faults', { id: 1, a: [], B: 1 }, ['/id', '/a', '/B']],
  ['65 extensions', Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`a${index}`, 1])), ['/a64']],
] as const) {
  test(`an event with ${what} › is invalid, and each fault is pointed at`, (t) => {
    const json = JSON.parse(JSON.stringify({ ...least, ...change })) as Json;
    t.deepEqual(pointersOf(parseStructured(json)), pointers);
  });
}

for (const json of [null, [], 'a', 1, undefined] as const) {
  test(`${JSON.stringify(json)} › is no event`, (t) => {
    t.deepEqual(pointersOf(parseStructured(json)), ['']);
  });
}

test('an event with 64 extensions of every type and the longest names › is carried whole', (t) => {
  const values = [true, -1, 'x'.repeat(4_096)];
  const names = Array.from({ length: 64 }, (_, index) => `${index}`.padStart(60, 'a'));
  const event = { ...least, ...Object.fromEntries(names.map((name, index) => [name, values[index % 3]])) };
  t.deepEqual(structuredOf(through(take(parseStructured(JSON.parse(JSON.stringify(event)) as Json)))), event);
});

test('a batch › is an array of at most 1,000 events, of which each is judged by itself', (t) => {
  const results = take(parseBatch([least, { ...least, id: 1 }, 7]));
  t.deepEqual(results.map(pointersOf), [[], ['/id'], ['']]);
  t.deepEqual(take(parseBatch([])), []);
  t.false(parseBatch(Array.from({ length: 1_001 }, () => least)).ok);
  t.false(parseBatch(least).ok);
});

for (const [what, change, contentType, body, pointers] of [
  ['a name with a hyphen', { 'ce-a-b': '1' }, undefined, undefined, ['/ce-a-b']],
  ['no name', { 'ce-': '1' }, undefined, undefined, ['/ce-']],
  ['the reserved name', { 'ce-data': '1' }, undefined, undefined, ['/ce-data']],
  ['a name of the prototype', { 'ce-constructor': '1' }, undefined, undefined, ['/ce-constructor']],
  [
    'the type of its data beside Content-Type',
    { 'ce-datacontenttype': 'a/b' },
    undefined,
    undefined,
    ['/ce-datacontenttype'],
  ],
  ['a Content-Type that is none', {}, 'json', Buffer.from('1'), ['/Content-Type']],
  ['an overlong encoding', { 'ce-subject': '%C0%A0' }, undefined, undefined, ['/ce-subject']],
  ['a stray percent sign', { 'ce-subject': '100%' }, undefined, undefined, ['/ce-subject']],
  ['bytes beyond ASCII', { 'ce-subject': '\u00e4' }, undefined, undefined, ['/ce-subject']],
  ['an encoded line end', { 'ce-subject': 'a%0D%0Ab' }, undefined, undefined, ['/ce-subject']],
  ['no id', { 'ce-id': undefined }, undefined, undefined, ['/ce-id']],
  ['JSON that is none', {}, 'application/json', Buffer.from('I am'), ['bad_json']],
  ['a key of the prototype', {}, 'application/json', Buffer.from('{"__proto__":1}'), ['bad_json']],
  [
    'JSON in another charset',
    {},
    'application/json; charset=latin1',
    Buffer.from('1'),
    ['unsupported_media_type'],
  ],
] as const) {
  test(`binary mode with ${what} › is refused`, (t) => {
    const fields: Record<string, readonly string[] | undefined> = fieldsOf(leastFields);
    for (const [name, value] of Object.entries(change))
      fields[name] = value === undefined ? undefined : [value];
    for (const name of Object.keys(fields)) if (fields[name] === undefined) delete fields[name];
    const result = parseBinary(fields, contentType, body);
    t.deepEqual(
      result.ok || result.problem.code === 'invalid' ? pointersOf(result) : [result.problem.code],
      pointers,
    );
  });
}

test('binary mode › an attribute that is given twice is refused', (t) => {
  t.deepEqual(
    pointersOf(parseBinary({ ...fieldsOf(leastFields), 'ce-id': ['1', '2'] }, undefined, undefined)),
    ['/ce-id'],
  );
});

for (const [what, contentType, body, data] of [
  ['JSON', 'application/json', '{"a":1}', { data: { a: 1 } }],
  ['JSON of a suffix', 'application/vnd.a+json; charset=utf-8', '[1]', { data: [1] }],
  ['text', 'text/plain', 'häuser', { data: 'häuser' }],
  ['text that is no UTF-8', 'text/plain', Buffer.from([0xe4]), { data_base64: '5A==' }],
  ['text of another charset', 'text/plain; charset=latin1', Buffer.from([0xe4]), { data_base64: '5A==' }],
  ['anything else', 'application/xml', '<a/>', { data_base64: 'PGEvPg==' }],
] as const) {
  test(`binary mode › a body of ${what} keeps its value, and goes out as the bytes that came`, (t) => {
    const event = through(take(parseBinary(fieldsOf(leastFields), contentType, Buffer.from(body))));
    t.deepEqual(structuredOf(event), { ...least, datacontenttype: contentType, ...data });
    t.deepEqual(binaryOf(event)?.body, Buffer.from(body));
    t.is(binaryOf(event)?.headers['content-type'], contentType);
  });
}

for (const [what, change] of [
  ['whose attributes take more than 8 KiB', { a: '€'.repeat(1_000) }],
  ['whose data is an event by its type', { datacontenttype: 'application/cloudevents+json', data: {} }],
  ['whose text is not in UTF-8 by its type', { datacontenttype: 'text/plain; charset=latin1', data: 'ä' }],
  ['whose text is not well-formed', { datacontenttype: 'text/plain', data: '\ud800' }],
] as const) {
  test(`an event ${what} › has no binary form`, (t) => {
    t.is(binaryOf(take(parseStructured({ ...least, ...change }))), undefined);
  });
}
