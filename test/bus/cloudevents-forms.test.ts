import test from 'ava';
import fc from 'fast-check';
import { isAttributeText } from '../../src/bus/cloudevents/attributes.ts';
import { decodeHeaderValue, encodeHeaderValue } from '../../src/bus/cloudevents/header-value.ts';
import { isTimestamp } from '../../src/bus/cloudevents/timestamp.ts';
import { isUri, isUriReference } from '../../src/bus/cloudevents/uri.ts';
import { isMediaType } from '../../src/media-type.ts';
import { seeded } from '../support/arbitraries.ts';

test('header values › are encoded as the specification shows, and decoded once', (t) => {
  t.is(encodeHeaderValue('Euro € 😀'), 'Euro%20%E2%82%AC%20%F0%9F%98%80');
  t.is(encodeHeaderValue('"100%"\u007f~!'), '%22100%25%22%7F~!');
  for (const [field, text] of [
    ['Euro%20%E2%82%AC%20%F0%9F%98%80', 'Euro € 😀'],
    ['%e2%82%ac', '€'],
    ['%41', 'A'],
    ['%2541', '%41'],
    ['a b', 'a b'],
    ['"a \\"b\\" %25"', 'a "b" %'],
    ['say "a"', 'say "a"'],
    ['', ''],
    ['"open', undefined],
    ['%', undefined],
    ['%C0%A0', undefined],
    ['%ED%A0%80', undefined],
    ['\u20ac', undefined],
  ] as const) {
    t.is(decodeHeaderValue(field), text, field);
  }
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }).filter(isAttributeText), (text) => {
      const field = encodeHeaderValue(text);
      return /^[!-~]*$/.test(field) && decodeHeaderValue(field) === text;
    }),
    seeded,
  );
});

test('URI references, times and media types › are judged by their grammars', (t) => {
  for (const text of [
    'https://a.example/b?c#d',
    'mailto:a@b',
    'urn:uuid:1',
    '/a/b',
    '1-555-123-4567',
    'a/b:c',
    '?q',
    '#f',
    '//host/p',
    'http://[::1]:80/',
    './a:b',
    '%41',
  ])
    t.true(isUriReference(text), text);
  for (const text of [
    'a b',
    '1a:b',
    '/ä',
    '/%',
    '/a#b#c',
    '<a>',
    '//a b',
    'http://[::1',
    '/[',
    '\\',
    'http://a:b/',
  ])
    t.false(isUriReference(text), text);
  t.true(isUri('urn:a') && isUri('https://a/#b'));
  t.false(isUri('/a') || isUri('') || isUri('a'));
  for (const text of [
    '2018-04-05T17:31:00Z',
    '2020-02-29t23:59:60.123456789012z',
    '2000-02-29T00:00:00+23:59',
  ])
    t.true(isTimestamp(text), text);
  for (const text of [
    '2018-04-05',
    '2018-04-05T17:31:00',
    '1900-02-29T00:00:00Z',
    '2018-13-01T00:00:00Z',
    '2018-04-31T00:00:00Z',
    '2018-04-05T24:00:00Z',
    '2018-04-05T17:31:00+24:00',
    ' 2018-04-05T17:31:00Z',
  ])
    t.false(isTimestamp(text), text);
  for (const text of ['a/b', 'application/vnd.a+json;v=1', 'text/plain; charset="utf-8"; a=b'])
    t.true(isMediaType(text), text);
  for (const text of ['a', 'a/', 'a/b;', 'a/b; c', 'a/b\n', 'a/b; c="d', 'ä/b', 'a b/c'])
    t.false(isMediaType(text), text);
});

test('the grammars › come to an end on the longest texts, whose every part could be another part too', (t) => {
  for (const text of [
    '/a'.repeat(2_000),
    `${'a'.repeat(4_000)}:\u0000`,
    `//${'a@'.repeat(2_000)}`,
    '%41'.repeat(1_300),
  ]) {
    t.is(typeof isUriReference(text), 'boolean');
    t.is(typeof isMediaType(`a/b${';a=b'.repeat(1_000)}${text}`), 'boolean');
  }
});
